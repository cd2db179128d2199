package process

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"

	"github.com/carrier-p2p/carrier/bench/load"
)

// errUsage is a command line that is none of the protocol's.
var errUsage = errors.New("process: this program lends drivers to p2pbench: see its --program")

// errInterrupted is a run that was told to end before it had anything. Who told it needs no words.
var errInterrupted = errors.New("process: interrupted")

// interruptedCode is what shells report of a program that an interrupt ended.
const interruptedCode = 130

// Main is the main function of a program that lends drivers. It does not return.
func Main(drivers ...load.Driver) {
	// An interrupt at the terminal reaches the whole process group; the one who started this process hears it and decides.
	signal.Ignore(os.Interrupt)
	err := serveCommandLine(os.Args[1:], drivers, os.Stdin, os.Stdout)
	if errors.Is(err, errInterrupted) {
		os.Exit(interruptedCode)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, os.Args[0]+":", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func serveCommandLine(args []string, drivers []load.Driver, in io.Reader, out io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	switch args[0] {
	case "drivers":
		for _, d := range drivers {
			fmt.Fprintln(out, d.Name())
		}
		return nil
	case "serve":
		return serve(args[1:], drivers, in, out)
	}
	return run(args[0], args[1:], drivers, in, out)
}

// newFlags has the flags of both kinds of children.
func newFlags() (flags *flag.FlagSet, driver *string) {
	flags = flag.NewFlagSet("", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error says what was wrong
	return flags, flags.String("driver", "", "")
}

func serve(args []string, drivers []load.Driver, in io.Reader, out io.Writer) error {
	flags, driver := newFlags()
	var shape load.Shape
	child := flags.Bool("child", false, "")
	listen := flags.String("listen", "127.0.0.1:0", "")
	flags.IntVar(&shape.Conns, "conns", 0, "")
	flags.BoolVar(&shape.Idle, "idle", false, "")
	flags.BoolVar(&shape.Fan, "fan", false, "")
	flags.BoolVar(&shape.Storm, "storm", false, "")
	flags.BoolVar(&shape.Churn, "churn", false, "")
	if err := flags.Parse(args); err != nil || !*child {
		return errors.Join(errUsage, err)
	}
	d, err := byName(drivers, *driver)
	if err != nil {
		return err
	}
	return Serve(d, *listen, shape, in, out)
}

func run(scenario string, args []string, drivers []load.Driver, in io.Reader, out io.Writer) error {
	flags, driver := newFlags()
	config := flags.String("config", "", "")
	target := flags.String("target", "", "")
	for _, shown := range []string{"json", "label"} { // of those who show progress
		flags.String(shown, "", "")
	}
	for _, shown := range []string{"follow", "quiet", "no-table"} {
		flags.Bool(shown, false, "")
	}
	if err := flags.Parse(args); err != nil {
		return errors.Join(errUsage, err)
	}
	d, err := byName(drivers, *driver)
	if err != nil {
		return err
	}
	var c load.Config
	if err := json.Unmarshal([]byte(*config), &c); err != nil {
		return errors.Join(errUsage, err)
	}
	c.Scenario = scenario
	if c, err = c.WithDefaults(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { // ends with the input, at the latest with the process
		_, _ = io.Copy(io.Discard, in)
		cancel()
	}()
	began := func() { fmt.Fprintln(out) }
	result, err := (&Run{Driver: d, Config: c, Addr: *target, Self: OfThisProgram, Began: began}).Do(ctx)
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return errInterrupted
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(result)
}

// OfThisProgram is a Self: the running program with other arguments, and the same standard error.
func OfThisProgram(args ...string) *exec.Cmd {
	path, err := os.Executable()
	if err != nil {
		path = os.Args[0]
	}
	cmd := exec.Command(path, args...)
	cmd.Args[0] = os.Args[0] // programs are told apart by it
	cmd.Stderr = os.Stderr
	return cmd
}

func byName(drivers []load.Driver, name string) (load.Driver, error) {
	for _, d := range drivers {
		if d.Name() == name {
			return d, nil
		}
	}
	return nil, fmt.Errorf("process: this program has no driver %q", name)
}

// Drivers asks a program for the names of its drivers.
func Drivers(cmd *exec.Cmd) (names []string, err error) {
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("process: %s drivers: %w", cmd.Path, err)
	}
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		names = append(names, s.Text())
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("process: %s drivers: it names none", cmd.Path)
	}
	return names, nil
}
