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
	"strconv"
	"time"

	"github.com/carrier-p2p/carrier/bench/driver"
	"github.com/carrier-p2p/carrier/bench/load"
	"github.com/carrier-p2p/carrier/bench/slo"
)

// scenario runs one scenario as its flags say: here, or several times in processes of their own.
func (a *app) scenario(f *loadFlags, c load.Config) error {
	c, err := f.config(c)
	if err != nil {
		return err
	}
	names, err := f.drivers()
	if err != nil {
		return err
	}
	if f.Control != "" && f.Target == "" {
		return fmt.Errorf("%w: --control without --target", errUsage)
	}
	if f.FindMax {
		return a.findMax(f, c, names)
	}
	if len(names) > 1 || f.rounds() > 1 {
		if f.Profile != "" {
			return fmt.Errorf("%w: --profile is for one run", errUsage)
		}
		if f.Target != "" {
			return fmt.Errorf("%w: --against and --rounds start serving nodes of their own: no --target", errUsage)
		}
		return a.turns(&f.runFlags, []step{{config: c}}, names)
	}
	if f.Config != "" {
		return a.child(f, c)
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

func writeJSON(w io.Writer, v any) error { return json.NewEncoder(w).Encode(v) }

// measure runs one scenario in this process.
func (a *app) measure(f *loadFlags, c load.Config) (*load.Result, error) {
	d, err := driver.ByName(f.Driver)
	if err != nil {
		return nil, err
	}
	addr, control, done, err := a.serving(f, c)
	if err != nil {
		return nil, err
	}
	defer done()
	profiled, err := startProfile(f.Profile, "dialling")
	if err != nil {
		return nil, err
	}
	defer profiled()
	dialer, err := d.NewDialer(c.Shape())
	if err != nil {
		return nil, err
	}
	defer dialer.Close()
	show := newProgress(a.stderr, f.Quiet, f.Label, c.Scenario, f.Driver)
	defer show.clear()
	bench := load.Bench{
		Config: c, Driver: f.Driver, Dialer: dialer, Addr: addr, Server: control,
		Beside: func(ctx context.Context) (*load.Result, error) { return a.stormFrom(ctx, f.Driver, addr, c) },
		Watch:  show.tick, WatchEvery: show.every,
	}
	ctx := a.ctx
	if f.Follow {
		ctx = a.follow()
	}
	return bench.Run(ctx)
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

// serving finds the serving side, or starts it. control is nil if it cannot be asked.
func (a *app) serving(f *loadFlags, c load.Config) (addr string, control load.Control, done func(), err error) {
	if f.Target == "" {
		child, err := load.StartChild(a.self(
			"serve", "--child", "--listen", "127.0.0.1:0", "--driver", f.Driver,
			"--conns", strconv.Itoa(c.Shape().Conns), "--idle="+strconv.FormatBool(c.Shape().Idle), "--storm="+strconv.FormatBool(c.Shape().Storm), "--profile", f.Profile))
		if err != nil {
			return "", nil, nil, err
		}
		return child.Ready.Address, child, func() { _ = child.Close() }, nil // it has said all it had to say
	}
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

// self is this program with other arguments. Its first argument stays what it was: programs are told apart by it.
func (a *app) self(args ...string) *exec.Cmd {
	path, err := os.Executable()
	if err != nil {
		path = os.Args[0]
	}
	cmd := exec.Command(path, args...)
	cmd.Args[0] = os.Args[0]
	cmd.Stderr = a.stderr
	return cmd
}

// stormLimit ends a storm that nobody ends.
const stormLimit = time.Minute

// stormFrom shakes hands with addr, from another process, until ctx ends.
func (a *app) stormFrom(ctx context.Context, driverName, addr string, c load.Config) (*load.Result, error) {
	storm := load.Config{Scenario: load.Connect, Conns: c.Conns, Duration: c.Duration + stormLimit}
	args := append(arguments(storm, driverName, ""), "--quiet", "--target", addr)
	return a.runSelf(ctx, args)
}

// runSelf runs this program and reads the result it prints. When ctx ends it is told to end, and its result is what it had
// until then.
func (a *app) runSelf(ctx context.Context, args []string) (*load.Result, error) {
	cmd := a.self(args...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = stdin.Close() })
	defer stop()
	result := new(load.Result)
	decodeErr := json.NewDecoder(stdout).Decode(result)
	err = cmd.Wait()
	if decodeErr == nil {
		return result, nil // how it ended is in the result
	}
	if errors.Is(decodeErr, io.EOF) && err != nil {
		return nil, fmt.Errorf("p2pbench: %s: %w", args[0], err)
	}
	return nil, fmt.Errorf("p2pbench: %s: its result: %w", args[0], decodeErr)
}
