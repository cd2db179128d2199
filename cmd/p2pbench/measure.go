package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"time"

	"golang.org/x/term"

	"github.com/carrier-p2p/carrier/bench/driver"
	"github.com/carrier-p2p/carrier/bench/load"
	"github.com/carrier-p2p/carrier/bench/process"
	"github.com/carrier-p2p/carrier/bench/slo"
)

// scenario runs one scenario as its flags say: here, or several times in processes of their own.
func (a *app) scenario(f *loadFlags, c load.Config) error {
	switch asks := slices.Contains([]string{load.RPC, load.Soak, load.Mixed, load.Storm, load.Slow}, c.Scenario); {
	case c.Conns < 1: // in a Config 0 means the default, on the command line it was meant
		return fmt.Errorf("%w: --conns %d: want at least 1", errUsage, c.Conns)
	case asks && c.Inflight < 1:
		return fmt.Errorf("%w: --inflight %d: want at least 1", errUsage, c.Inflight)
	}
	c, err := f.config(c)
	if err != nil {
		return err
	}
	names, err := a.drivers(&f.runFlags)
	if err != nil {
		return err
	}
	if f.Control != "" && f.Target == "" {
		return fmt.Errorf("%w: --control without --target", errUsage)
	}
	if f.FindMax {
		return a.findMax(f, c, names)
	}
	if _, lent := a.lent[f.Driver]; lent || len(names) > 1 || f.rounds() > 1 {
		if f.Profile != "" {
			return fmt.Errorf("%w: --profile is for one run", errUsage)
		}
		if f.Target != "" {
			return fmt.Errorf("%w: --against, --rounds and lent drivers start serving nodes of their own: no --target", errUsage)
		}
		return a.turns(&f.runFlags, []step{{config: c, names: names}})
	}
	if f.Config != "" {
		return a.child(f, c)
	}
	if f.Resume || f.RunLimit != 0 {
		return fmt.Errorf("%w: --resume and --run-limit are for runs in turns", errUsage)
	}
	kept, err := a.records(&f.outFlags)
	if err != nil {
		return err
	}
	result, err := a.measure(f, c)
	if err != nil {
		return err
	}
	if err := kept.add(result, 0); err != nil {
		return err
	}
	kept.expect(kept.all, f.Driver, slo.Rules(f.SLO))
	if err := kept.conclude(kept.all); err != nil {
		return err
	}
	return kept.finish()
}

// child measures for the process that started this one, which does everything else.
func (a *app) child(f *loadFlags, c load.Config) error {
	result, err := a.measure(f, c)
	if errors.Is(err, context.Canceled) {
		return errInterrupted // it had nothing yet, and was told to end: no news
	}
	if err != nil {
		return err
	}
	if err := writeJSON(a.stdout, result); err != nil {
		return err
	}
	switch {
	case result.Failed():
		return errFaults
	case result.Interrupted:
		return errInterrupted
	}
	return nil
}

// jsonOut opens where --json points; nothing is written to it if that is nowhere.
func (a *app) jsonOut(path string) (w io.Writer, done func() error, err error) {
	switch path {
	case "":
		return io.Discard, func() error { return nil }, nil
	case "-":
		return a.stdout, func() error { return nil }, nil
	}
	file, err := os.Create(path)
	if err != nil {
		return nil, nil, err
	}
	return file, file.Close, nil
}

// tableOut is where people read, when standard output is taken by JSON.
func (a *app) tableOut(jsonPath string) io.Writer {
	if jsonPath == "-" {
		return a.stderr
	}
	return a.stdout
}

// columns is how wide the terminal is on which a table is read; 0: it goes to none.
func (a *app) columns(jsonPath string) int {
	file := os.Stdout
	if jsonPath == "-" {
		file = a.stderr
	}
	columns, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	return columns
}

func writeJSON(w io.Writer, v any) error { return json.NewEncoder(w).Encode(v) }

// measure runs one scenario in this process.
func (a *app) measure(f *loadFlags, c load.Config) (*load.Result, error) {
	d, err := driver.ByName(f.Driver)
	if err != nil {
		return nil, err
	}
	addr, control, done, err := a.target(f)
	if err != nil {
		return nil, err
	}
	defer done()
	profiled, err := startProfile(f.Profile, "dialling")
	if err != nil {
		return nil, err
	}
	defer profiled()
	show := newProgress(a.stderr, f.Quiet, f.Label, c.Scenario, f.Driver)
	defer show.clear()
	run := process.Run{
		Driver: d, Config: c, Self: process.OfThisProgram, Profile: f.Profile, Addr: addr, Server: control, Watch: show.tick, WatchEvery: show.every,
	}
	ctx := a.ctx
	if f.Follow {
		ctx = a.follow()
		run.Began = func() { fmt.Fprintln(a.stdout) }
	}
	return run.Do(ctx)
}

// follow returns a context that ends with standard input. An interrupt at the terminal reaches the whole process group; the
// one who started this process hears it and decides, and a second one must not cost the result.
func (a *app) follow() context.Context {
	signal.Ignore(os.Interrupt)
	ctx, cancel := context.WithCancel(a.ctx)
	go func() { // ends with the input, at the latest with the process
		_, _ = io.Copy(io.Discard, a.stdin)
		cancel()
	}()
	return ctx
}

// target finds the serving side that the flags name, if they do. control is nil if it cannot be asked.
func (a *app) target(f *loadFlags) (addr string, control load.Control, done func(), err error) {
	if f.Control == "" {
		return f.Target, nil, func() {}, nil
	}
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(a.ctx, "tcp", f.Control)
	if err != nil {
		return "", nil, nil, err
	}
	remote := load.NewRemote(conn, conn)
	ready, err := remote.Ready()
	if err == nil && ready.Driver != f.Driver {
		err = fmt.Errorf("%w: the target serves %s, not %s", errUsage, ready.Driver, f.Driver)
	}
	if err != nil {
		_ = conn.Close()
		return "", nil, nil, err
	}
	return f.Target, remote, func() { _ = conn.Close() }, nil
}

// runChild runs one config with one driver in a process of its own: of this program, or of the one that lends the driver.
func (a *app) runChild(ctx context.Context, c load.Config, driverName, label string, quiet bool) (*load.Result, error) {
	cmd := process.OfThisProgram(process.Arguments(c, driverName, label)...)
	if path, lent := a.lent[driverName]; lent {
		cmd.Path, cmd.Args[0] = path, path
	}
	cmd.Args = append(cmd.Args, fmt.Sprintf("--quiet=%t", quiet), "--no-table")
	return process.Result(ctx, cmd)
}

// borrow asks programs for their drivers.
func (a *app) borrow(programs []string) error {
	a.lent = map[string]string{}
	for _, program := range programs {
		path, err := exec.LookPath(program)
		if err != nil {
			return fmt.Errorf("%w: --program: %w", errUsage, err)
		}
		names, err := process.Drivers(exec.Command(path, "drivers"))
		if err != nil {
			return fmt.Errorf("%w: --program: %w", errUsage, err)
		}
		for _, name := range names {
			a.lent[name] = path
		}
	}
	return nil
}
