// Command p2pbench loads peer-to-peer nodes and says what it saw: how many messages arrived whole and in order, how long they
// took, and what both sides paid in processor time and memory.
//
//	p2pbench                                    a short tour against a serving node it starts itself
//	p2pbench oneway --size 1KiB --conns 100     one scenario
//	p2pbench oneway --against gnet,tls          the same beside baselines, in turns, with medians and ratios
//	p2pbench serve                              the serving side alone, for --target from elsewhere
//
// Every run takes place in fresh processes: one that dials, and a child of it that serves and ends with it. Figures go to
// standard output, everything else to standard error.
//
// Exit codes: 0 all sent was received and verified; 1 could not run; 2 wrong usage; 3 it ran, and messages
// were lost, doubled, altered or not answered; 4 it ran, and a threshold was not met or something crept; 130
// interrupted, with what was measured until then printed.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/carrier-p2p/carrier/bench/driver"
	"github.com/carrier-p2p/carrier/bench/fingerprint"
	"github.com/carrier-p2p/carrier/bench/load"
	"github.com/carrier-p2p/carrier/bench/swarm"
)

const (
	exitFine        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitFaults      = 3
	exitThreshold   = 4
	exitInterrupted = 130
)

// errFaults, errThreshold and errInterrupted are outcomes whose details have been printed already.
var (
	errFaults      = errors.New("p2pbench: not everything arrived as it was sent")
	errThreshold   = errors.New("p2pbench: a threshold was not met")
	errInterrupted = errors.New("p2pbench: interrupted")
)

// app is what commands work with.
type app struct {
	ctx    context.Context
	stdin  io.Reader
	stdout io.Writer
	stderr *os.File

	model   *kong.Application // the command line as it is parsed
	command []string          // what was typed, for whoever repeats it
	lent    map[string]string // drivers of other programs: their paths, by name
}

type commands struct {
	Version kong.VersionFlag `help:"Say what this program was built from, and end."`

	Run      runCommand      `cmd:"" default:"withargs" help:"A short tour: the scenarios one after the other (default)."`
	Oneway   onewayCommand   `cmd:"" help:"Messages in one direction."`
	RPC      rpcCommand      `cmd:"" name:"rpc" help:"Requests and their answers."`
	Stream   streamCommand   `cmd:"" help:"Bulk, in one direction or both."`
	Connect  connectCommand  `cmd:"" help:"Dial, handshake, close, again and again."`
	Churn    churnCommand    `cmd:"" help:"Connections that are replaced again and again, and what they leave behind."`
	Hold     holdCommand     `cmd:"" help:"Idle connections and what they cost the serving side."`
	Fanout   fanoutCommand   `cmd:"" aliases:"broadcast" help:"The same message to every connection, round after round."`
	Mixed    mixedCommand    `cmd:"" help:"Requests beside a bulk stream on the same connection."`
	Storm    stormCommand    `cmd:"" help:"Requests of an established peer while others shake hands."`
	Slow     slowCommand     `cmd:"" help:"Requests of many peers while one has stopped reading."`
	Soak     soakCommand     `cmd:"" help:"Requests for long, and what creeps."`
	Serve    serveCommand    `cmd:"" help:"The serving side alone."`
	Identity identityCommand `cmd:"" help:"Make or show a node's identity."`
	Sim      simCommand      `cmd:"" help:"Simulate the overlay: lookups among adversaries and more."`
	Swarm    swarmCommand    `cmd:"" help:"Many real nodes of an overlay over loopback: lookups, broadcasts, a kill."`
	NAT      natCommand      `cmd:"" name:"nat" help:"What the network around this host is: router, mappings, kind of NAT."`
	Wire     wireCommand     `cmd:"" help:"Explain bytes of the wire protocol."`

	Play    playCommand    `cmd:"" help:"Run a scenario file, or a scenario that comes with the program."`
	Compare compareCommand `cmd:"" help:"What got slower or faster between two files of results, beyond noise."`
	Report  reportCommand  `cmd:"" help:"Show kept results again: a page with plots, a table, a spreadsheet."`

	Completion completionCommand `cmd:"" help:"A script that completes commands and flags, for bash, zsh or fish."`
	Man        manCommand        `cmd:"" help:"The manual page."`
}

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal ends the run with what it has; from then on signals do what they do by default, so a second one kills.
	context.AfterFunc(ctx, stop)

	var c commands
	parser, err := kong.New(&c, kong.Name("p2pbench"), kong.Description(description()),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
		kong.Vars{"version": version(), "drivers": strings.Join(driver.Names(), ", "), "driver": driver.Names()[0],
			"adversaries": strings.Join(swarm.Adversaries(), ", ")})
	if err != nil {
		panic("p2pbench: bug: the command line does not compile: " + err.Error())
	}
	command, err := parser.Parse(os.Args[1:])
	if err == nil {
		err = exclusive(command)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "p2pbench: %v\nTry '%s --help'.\n", trimPackage(err), misused(command, err, os.Args[1:]))
		return exitUsage
	}
	var stdout io.Writer = os.Stdout
	if wantsColour(os.Stdout) {
		painted := &painter{to: os.Stdout}
		defer painted.flush()
		stdout = painted
	}
	err = command.Run(&app{ctx: ctx, stdin: os.Stdin, stdout: stdout, stderr: os.Stderr, model: parser.Model, command: append([]string{"p2pbench"}, os.Args[1:]...)})
	return exitCode(err)
}

// version says what the program was built from.
func version() string {
	b := fingerprint.ReadBuild()
	return strings.Join(slices.DeleteFunc([]string{"p2pbench", b.Short(), b.Go, runtime.GOOS + "/" + runtime.GOARCH, b.Settings},
		func(s string) bool { return s == "" }), " ")
}

// exclusive refuses two flags of which one would be taken in place of the other. Those with a default cannot be told so to kong,
// for which they are always given.
func exclusive(command *kong.Context) error {
	given := map[string]bool{}
	for _, at := range command.Path {
		if at.Flag != nil {
			given[at.Flag.Name] = true
		}
	}
	for _, pair := range [][2]string{{"rate", "stages"}, {"size", "sizes"}} {
		if given[pair[0]] && given[pair[1]] {
			return fmt.Errorf("--%s and --%s: want one of them", pair[0], pair[1])
		}
	}
	return nil
}

// misused is the command that a wrong command line meant, as far as it names one. parsed is nil if it could not be parsed.
func misused(parsed *kong.Context, err error, args []string) string {
	if wrong := (*kong.ParseError)(nil); errors.As(err, &wrong) {
		parsed = wrong.Context
	}
	if parsed == nil || parsed.Selected() == nil {
		return "p2pbench"
	}
	meant := parsed.Selected()
	names := append([]string{meant.Name}, meant.Aliases...)
	if !slices.ContainsFunc(args, func(arg string) bool { return slices.Contains(names, arg) }) { // none: the tour
		return "p2pbench"
	}
	path := meant.Name
	for at := meant.Parent; at != nil; at = at.Parent { // its FullPath has other names of a command beside it
		path = at.Name + " " + path
	}
	return path
}

func description() string {
	return `Load peer-to-peer nodes, check every message, and say what both sides paid.

Without --target a serving node is started as a child process on loopback. Examples:

  p2pbench                                        a tour
  p2pbench oneway --size 1KiB --conns 100
  p2pbench rpc --inflight 64 --rate 20k           latency from planned times
  p2pbench rpc --inflight 64 --against gnet,tls   beside baselines, in turns
  p2pbench connect --conns 64 --json -            JSON on standard output
  p2pbench rpc --find-max --slo 'p99<2ms'         the highest rate for that
  p2pbench rpc --rate 20k --out page.html         a page with plots
  p2pbench play ramp                              a ready scenario
  p2pbench compare before.jsonl after.jsonl       what got slower

Exit codes: 0 fine, 1 could not run, 2 usage, 3 messages lost or wrong, 4 a threshold not met,
130 interrupted.`
}

func exitCode(err error) int {
	switch {
	case err == nil:
		return exitFine
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	case errors.Is(err, errFaults):
		return exitFaults
	case errors.Is(err, errThreshold):
		return exitThreshold
	case errors.Is(err, errUsage), errors.Is(err, load.ErrConfig), errors.Is(err, swarm.ErrConfig):
		fmt.Fprintln(os.Stderr, "p2pbench:", trimPackage(err))
		return exitUsage
	}
	fmt.Fprintln(os.Stderr, "p2pbench:", trimPackage(err))
	return exitFailed
}

// trimPackage shows an error without our own names in front.
func trimPackage(err error) string {
	text := ": " + err.Error()
	for _, prefix := range []string{"p2pbench: ", "load: ", "driver: ", "report: ", "swarm: ", "scenario: ", "slo: ", "process: ", "natmap: ", "engine: "} {
		text = strings.ReplaceAll(text, ": "+prefix, ": ")
	}
	return text[len(": "):]
}
