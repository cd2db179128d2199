package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/carrier-p2p/carrier/bench/driver"
	"github.com/carrier-p2p/carrier/bench/load"
	"github.com/carrier-p2p/carrier/bench/scenario"
)

type playCommand struct {
	outFlags
	turnFlags
	File     string         `arg:"" optional:"" help:"A scenario file, - for standard input, or the name of a ready one; none: lists these."`
	Driver   string         `help:"What to measure, in place of what the file says: ${drivers}." placeholder:"NAME"`
	Against  []string       `help:"What to compare it with, in place of what the file says." placeholder:"NAME"`
	Program  []string       `help:"Programs that lend drivers of other modules." placeholder:"PATH"`
	Rounds   int            `help:"How often each takes its turn, in place of what the file says." placeholder:"N"`
	Duration *time.Duration `help:"Length of each measured part, in place of what the file says." placeholder:"TIME"`
	Show     bool           `help:"Print the file instead of running it."`
}

func (playCommand) Help() string {
	return `A scenario file says what to run and what to expect of it; the exit code is 4 if that is not met.

  p2pbench play                            lists the ready ones
  p2pbench play ramp --out ramp.html
  p2pbench play ramp --show > mine.scenario
  p2pbench play mine.scenario --against tls --rounds 5

  title     latency under load        what stands before a scenario is for all
  warmup    1s
  scenario  rpc                       begins a run; several follow each other
    conns     10
    stage     5s 0..20k               or: rate 20k; neither: a closed loop
    stage     10s 20k
    expect    p99<2ms, errors<0.1%

A run that names its own driver and against keeps them, whatever the command line says.
Keys: title driver against rounds duration warmup; scenario conns inflight size sizes answer bulk direction rate stage arrival expect.`
}

func (c *playCommand) Run(a *app) error {
	if c.File == "" {
		return listReady(a.stdout)
	}
	switch {
	case c.Rounds < 0:
		return badRounds(c.Rounds)
	case c.Duration != nil && *c.Duration <= 0:
		return badDuration(*c.Duration)
	}
	text, err := a.scenarioText(c.File)
	if err != nil {
		return err
	}
	if c.Show {
		_, err := io.WriteString(a.stdout, text)
		return err
	}
	file, err := scenario.Parse(text)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", errUsage, c.File, err)
	}
	flags := c.flags(file)
	names, err := a.drivers(flags)
	if err != nil {
		return err
	}
	var steps []step
	for _, run := range file.Runs {
		if c.Duration != nil && len(run.Config.Stages) == 0 {
			run.Config.Duration = *c.Duration
		}
		of, err := c.contestants(a, run, names)
		if err != nil {
			return err
		}
		steps = append(steps, step{config: run.Config, names: of, expect: run.Expect})
	}
	if !c.Quiet && c.Format == "text" && file.Title != "" {
		fmt.Fprintln(a.tableOut(c.JSON), file.Title)
	}
	return a.turns(flags, steps)
}

// contestants are those of the whole file, or of one run that names its own.
func (c *playCommand) contestants(a *app, run scenario.Run, ofFile []string) ([]string, error) {
	if run.Driver == "" && run.Against == nil {
		return ofFile, nil
	}
	names := slices.Concat([]string{cmp.Or(run.Driver, ofFile[0])}, run.Against)
	return names, a.known(names)
}

// flags are those of a command line that says what the file and the flags together say.
func (c *playCommand) flags(file *scenario.File) *runFlags {
	f := &runFlags{outFlags: c.outFlags, turnFlags: c.turnFlags, Program: c.Program, Driver: file.Driver, Against: file.Against, Rounds: file.Rounds}
	if c.Driver != "" {
		f.Driver = c.Driver
	}
	if f.Driver == "" {
		f.Driver = driver.Names()[0]
	}
	if len(c.Against) > 0 {
		f.Against = c.Against
	}
	if c.Rounds > 0 {
		f.Rounds = c.Rounds
	}
	return f
}

// scenarioText reads a file, or else a ready scenario of that name.
func (a *app) scenarioText(name string) (string, error) {
	in, done, err := a.input(name)
	if errors.Is(err, fs.ErrNotExist) {
		text, readyErr := scenario.Ready(name)
		if readyErr != nil {
			return "", fmt.Errorf("%w: no file %s: %w", errUsage, name, readyErr)
		}
		return text, nil
	}
	if err != nil {
		return "", err
	}
	defer done()
	b, err := io.ReadAll(io.LimitReader(in, load.SizeLimit)) // Parse has a smaller limit, and says so
	return string(b), err
}

func listReady(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, name := range scenario.ReadyNames() {
		text, err := scenario.Ready(name)
		if err != nil {
			return err
		}
		file, err := scenario.Parse(text)
		if err != nil {
			return err
		}
		fmt.Fprintf(t, "%s\t%s\n", name, file.Title)
	}
	return t.Flush()
}
