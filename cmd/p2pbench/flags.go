package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/carrier-p2p/carrier/bench/driver"
	"github.com/carrier-p2p/carrier/bench/load"
	"github.com/carrier-p2p/carrier/bench/report"
)

// errUsage is wrapped by every complaint about the command line.
var errUsage = errors.New("p2pbench: usage")

// runFlags are those of everything that measures.
type runFlags struct {
	Driver    string        `help:"What to measure: ${drivers}; ${driver} if nothing is said." default:"${driver}" placeholder:"NAME"`
	Transport string        `help:"What carrier runs over: tcp, udp, quic. What is sent one way over udp may be lost." enum:"tcp,udp,quic" default:"tcp"`
	Duration  time.Duration `help:"Length of each measured part." default:"2s"`
	Warmup    time.Duration `help:"What runs before the clock starts; 0 for none." default:"500ms"`
	outFlags
	turnFlags
	Against []string `help:"Also measure these drivers, in turns with --driver, and print ratios." placeholder:"NAME"`
	Rounds  int      `help:"How often each takes its turn; 0: 3 with --against, else 1." placeholder:"N"`
	Program []string `help:"Programs that lend drivers of other modules; see the package comment of bench/process." placeholder:"PATH"`
	Config  string   `hidden:"" help:"The whole config as JSON; flags of the scenario are ignored."`
	Label   string   `hidden:"" help:"Shown in front of progress."`
	Follow  bool     `hidden:"" help:"Ignore interrupts, and end with what was measured when standard input does."`
	NoTable bool     `hidden:"" help:"Progress, but no table: whoever started this prints one."`
}

// turnFlags are about many runs.
type turnFlags struct {
	RunLimit time.Duration `help:"The longest that a run in turns may take as a whole; then it is ended and counts as failed. 0: two minutes more than thrice what it measures." default:"0" placeholder:"TIME"`
	Resume   bool          `help:"Keep the runs that --json holds already, and measure only what is missing."`
}

// outFlags say where results go.
type outFlags struct {
	JSON   string   `help:"Write one JSON object for each run, one to a line, as it ends; - for standard output." placeholder:"FILE|-"`
	Out    []string `help:"Write a report at the end; the name's ending says which: .html .md .csv .json .jsonl .bench (benchstat) .prom (OpenMetrics) .txt." placeholder:"FILE"`
	Format string   `help:"What standard output gets at the end: ${enum}." enum:"text,json,jsonl,csv,md,bench,openmetrics,html" default:"text"`
	Quiet  bool     `help:"No progress, no table." short:"q"`
	SLO    rules    `name:"slo" help:"What --driver must meet, else the exit code is 4: 'p99<2ms,errors<0.1%'." placeholder:"RULES"`
}

// check refuses now what could not be written after an hour of measuring.
func (f *outFlags) check() error {
	if f.JSON == "-" && f.Format != "text" {
		return fmt.Errorf("%w: --json - and --format both want standard output", errUsage)
	}
	for _, path := range f.Out {
		if _, err := report.FormatOf(path); err != nil {
			return fmt.Errorf("%w: --out: %w", errUsage, err)
		}
	}
	return nil
}

// AfterApply turns --transport into the name of a driver.
func (f *runFlags) AfterApply() error {
	name, err := driver.Over(f.Driver, f.Transport)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	f.Driver = name
	return nil
}

// loadFlags are those of a single scenario.
type loadFlags struct {
	runFlags
	Target  string `help:"Address that 'p2pbench serve' printed; none: a child process serves." placeholder:"ADDR"`
	Profile string `help:"Write CPU profiles of both sides to PREFIX-dialling.pprof and PREFIX-serving.pprof." placeholder:"PREFIX"`
	FindMax bool   `help:"Find the highest rate that meets --slo: many short runs, the best of which is kept."`
	Control string `help:"Control address that 'p2pbench serve' printed; without it a target cannot be asked." placeholder:"ADDR"`
}

// drivers returns the names of everything to measure, the one in question first.
func (a *app) drivers(f *runFlags) ([]string, error) {
	if err := a.borrow(f.Program); err != nil {
		return nil, err
	}
	names := append([]string{f.Driver}, f.Against...)
	return names, a.known(names)
}

// known refuses drivers that there are not, and one that would be compared with itself.
func (a *app) known(names []string) error {
	for i, name := range names {
		if _, lent := a.lent[name]; !lent {
			if _, err := driver.ByName(name); err != nil {
				return fmt.Errorf("%w: %w", errUsage, err)
			}
		}
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("%w: %s would be compared with itself", errUsage, name)
		}
	}
	return nil
}

func (f *runFlags) rounds() int {
	switch {
	case f.Rounds > 0:
		return f.Rounds
	case len(f.Against) > 0:
		return 3
	}
	return 1
}

func badDuration(d time.Duration) error {
	return fmt.Errorf("%w: --duration %v: want a time such as 500ms or 2s", errUsage, d)
}

func badRounds(n int) error { return fmt.Errorf("%w: --rounds %d: want at least 1", errUsage, n) }

// config adds what all scenarios share.
func (f *runFlags) config(c load.Config) (load.Config, error) {
	switch {
	case f.Duration <= 0:
		return c, badDuration(f.Duration)
	case f.Warmup < 0:
		return c, fmt.Errorf("%w: --warmup %v: want a time such as 500ms, or 0s for none", errUsage, f.Warmup)
	case f.Rounds < 0:
		return c, badRounds(f.Rounds)
	}
	c.Duration, c.Warmup = f.Duration, f.Warmup
	if f.Config != "" {
		scenario := c.Scenario
		if err := json.Unmarshal([]byte(f.Config), &c); err != nil {
			return c, fmt.Errorf("%w: --config: %w", errUsage, err)
		}
		c.Scenario = scenario
	}
	if c.Warmup == 0 {
		c.Warmup = load.NoWarmup // in a Config 0 means the default
	}
	c, err := c.WithDefaults()
	if err != nil {
		return c, fmt.Errorf("%w: %w", errUsage, err)
	}
	return c, nil
}

// paceFlags are those of every scenario that can follow a timetable.
type paceFlags struct {
	Rate    perSecond `help:"${rated} a second in all: open loop, latency from planned times. 0: closed loop." default:"0"`
	Stages  stages    `help:"A rate that changes, in place of --rate: 10s:0..5k,30s:5k goes up for 10 s and stays for 30." placeholder:"T:R..R,..."`
	Arrival string    `help:"Planned times: evenly spaced, or at random as of many strangers: ${enum}." enum:"uniform,poisson" default:"uniform"`
}

func (f *paceFlags) set(c load.Config) load.Config {
	c.Rate, c.Stages, c.Poisson = float64(f.Rate), f.Stages, f.Arrival == "poisson"
	if len(c.Stages) > 0 {
		c.Rate = 0 // a scenario may have a default
	}
	return c
}

// sizeFlags are those of scenarios with one size of messages or several.
type sizeFlags struct {
	Size  byteSize `help:"Bytes of a message or request: 64, 1KiB." default:"64"`
	Sizes shares   `help:"Several sizes and their shares, in place of --size: 64:90,16KiB:10." placeholder:"SIZE:SHARE,..."`
}

func (f *sizeFlags) set(c load.Config) load.Config {
	c.Size, c.Sizes = int(f.Size), f.Sizes
	return c
}
