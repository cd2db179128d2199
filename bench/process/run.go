package process

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"time"

	"github.com/carrier-p2p/carrier/bench/load"
)

// Self makes a command of this program with other arguments.
type Self func(args ...string) *exec.Cmd

// Arguments is the command line of one run of c with one driver, for a process of its own. The config travels whole, so that
// what it can say need not be said again in flags.
func Arguments(c load.Config, driver, label string) []string {
	config, err := json.Marshal(c)
	if err != nil {
		panic("process: bug: a config is no JSON: " + err.Error())
	}
	return []string{c.Scenario, "--driver", driver, "--json", "-", "--label", label, "--follow", "--config", string(config)}
}

// serveArguments is the command line of the serving side.
func serveArguments(driver string, shape load.Shape, profile string) []string {
	args := []string{
		"serve", "--child", "--listen", "127.0.0.1:0", "--driver", driver, "--conns", strconv.Itoa(shape.Conns),
		"--idle=" + strconv.FormatBool(shape.Idle), "--storm=" + strconv.FormatBool(shape.Storm), "--churn=" + strconv.FormatBool(shape.Churn),
		"--fan=" + strconv.FormatBool(shape.Fan),
	}
	if profile != "" {
		args = append(args, "--profile", profile)
	}
	return args
}

// stopLimit is how long a run that was told to end may take for it. 45 s: its own patience with what does not
// arrive, twice, and a collection of garbage on a machine that is full.
const stopLimit = 45 * time.Second

// Result runs a command of Arguments and reads the result it prints. When ctx ends it is told to end, and its result is what it
// had until then; if it does not end it is killed.
func Result(ctx context.Context, cmd *exec.Cmd) (*load.Result, error) {
	return result(ctx, cmd, func() {})
}

// result calls began when there is anything on the child's output, if only the empty line of a storm that has begun.
func result(ctx context.Context, cmd *exec.Cmd, began func()) (*load.Result, error) {
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
	ended := make(chan struct{})
	defer close(ended)
	stop := context.AfterFunc(ctx, func() {
		_ = stdin.Close()
		patience := time.NewTimer(stopLimit)
		defer patience.Stop()
		select {
		case <-patience.C:
			_ = cmd.Process.Kill() // its serving child ends with its input
		case <-ended:
		}
	})
	defer stop()
	out := bufio.NewReader(stdout)
	if _, err := out.Peek(1); err == nil {
		began()
	}
	result := new(load.Result)
	decodeErr := json.NewDecoder(out).Decode(result)
	err = cmd.Wait()
	if decodeErr == nil {
		return result, nil // how it ended is in the result
	}
	if errors.Is(decodeErr, io.EOF) && err != nil {
		return nil, fmt.Errorf("process: %s: %w", cmd.Args[1], err)
	}
	return nil, fmt.Errorf("process: %s: its result: %w", cmd.Args[1], decodeErr)
}

// A Run is one measurement whose dialling side is this process.
type Run struct {
	Driver  load.Driver
	Config  load.Config // with defaults
	Self    Self        // starts the serving side, and a storm's
	Profile string      // prefix of the serving side's profile; "": none

	Addr   string       // where somebody serves already; "": a child does
	Server load.Control // of that somebody; nil: it cannot be asked

	Began func() // see load.Bench; nil: nobody wants to know

	Watch      func(load.Tick)
	WatchEvery time.Duration
}

// Do measures.
func (r *Run) Do(ctx context.Context) (*load.Result, error) {
	if r.Addr == "" {
		child, err := load.StartChild(r.Self(serveArguments(r.Driver.Name(), r.Config.Shape(), r.Profile)...))
		if err != nil {
			return nil, err
		}
		defer func() { _ = child.Close() }() // it has said all it had to say
		r.Addr, r.Server = child.Ready.Address, child
	}
	shape := r.Config.Shape()
	if r.Config.Dialers > 0 {
		shape.Conns = 1 // other processes dial
	}
	dialer, err := r.Driver.NewDialer(shape)
	if err != nil {
		return nil, err
	}
	defer dialer.Close()
	bench := load.Bench{
		Config: r.Config, Driver: r.Driver.Name(), Dialer: dialer, Addr: r.Addr, Server: r.Server,
		Beside: r.storm, Began: r.Began, Fleet: r.fleet, Watch: r.Watch, WatchEvery: r.WatchEvery,
	}
	result, err := bench.Run(ctx)
	if v, ok := r.Driver.(load.Versioned); ok && err == nil {
		result.Library = v.Version()
	}
	return result, err
}

// stormLimit ends a storm that nobody ends.
const stormLimit = time.Minute

// storm shakes hands with whoever serves at addr, from another process, until ctx ends.
func (r *Run) storm(ctx context.Context, addr string, began func()) (*load.Result, error) {
	storm := load.Config{
		Scenario: load.Connect, Conns: r.Config.Conns, Spoof: r.Config.Spoof, SpoofRate: r.Config.SpoofRate,
		Duration: r.Config.Duration + stormLimit, Warmup: load.NoWarmup,
	}
	if storm.Spoof {
		storm.Conns = 1 // who hears no answer needs no nodes
	}
	storm, err := storm.WithDefaults()
	if err != nil {
		return nil, err
	}
	return result(ctx, r.Self(append(Arguments(storm, r.Driver.Name(), ""), "--quiet", "--target", addr)...), began)
}

// fleetLimit ends a dialling process that nobody ends.
const fleetLimit = 24 * time.Hour

// fleet holds connections to the serving side, from another process, until ctx ends.
func (r *Run) fleet(ctx context.Context, conns int) (*load.Result, error) {
	c := r.Config
	c.Conns, c.Dialers, c.Duration, c.Warmup = conns, 0, fleetLimit, 0
	return Result(ctx, r.Self(append(Arguments(c, r.Driver.Name(), ""), "--quiet", "--target", r.Addr)...))
}
