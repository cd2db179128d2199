package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/carrier-p2p/carrier/skad"
	"github.com/carrier-p2p/carrier/skad/sim"
	"github.com/carrier-p2p/carrier/skad/spread"
)

// simCommand simulates the overlay: the nodes are those of package skad, the network between them is not there.
type simCommand struct {
	Lookup    simLookupCommand    `cmd:"" help:"Lookups in a network at rest, among adversaries."`
	Broadcast simBroadcastCommand `cmd:"" help:"Messages to everybody, among adversaries."`
	Join      simJoinCommand      `cmd:"" help:"All nodes join through one."`
	Churn     simChurnCommand     `cmd:"" help:"Lookups while nodes come and go."`
	Route     simRouteCommand     `cmd:"" help:"Messages over the overlay, among adversaries."`
	Partition simPartitionCommand `cmd:"" help:"A network that falls apart and heals."`
	Goals     simGoalsCommand     `cmd:"" help:"All that the overlay promises, measured."`
}

func (simCommand) Help() string {
	return `Thousands of nodes in one process and in virtual time. A seed is printed first, and does the same again.

  p2pbench sim lookup --nodes 10000 --adversary paper --share 0.2 --paths 4
  p2pbench sim churn --mean 1h
  p2pbench sim goals`
}

// simFlags are those of every simulation.
type simFlags struct {
	Nodes    int     `help:"How many nodes." default:"2000"`
	Seed     uint64  `help:"All randomness comes from it; 0: drawn. It is printed first, and the same seed does the same again."`
	K        int     `name:"k" help:"Contacts in a bucket." default:"16"`
	Siblings int     `help:"s: nodes that are responsible for a key." default:"16"`
	Eta      int     `help:"The sibling list holds eta times s; 0: 3, and 5 with the adversary of the paper."`
	Loss     float64 `help:"Part of the messages that get lost, 0 to 1."`
	Clients  float64 `help:"Part of the nodes that only ask, 0 to 1."`
	Homes    float64 `help:"Part of the nodes that are behind a router and do not know it, 0 to 1."`
	Workers  int     `help:"How many processors share the work; 0: all. It changes nothing but the time it takes."`
	JSON     string  `help:"Write the figures as JSON, one run to a line; - for standard output." placeholder:"FILE|-"`
	Quiet    bool    `help:"No progress, no table." short:"q"`
}

// evilFlags are those of simulations with an adversary.
type evilFlags struct {
	Adversary string  `help:"What the adversary's nodes do; with a name that is none a list is shown." placeholder:"NAME"`
	Share     float64 `help:"Part of the nodes that it owns, 0 to 1."`
}

// config makes the configuration of a network, with a fresh adversary, one of those that matter to the experiment.
func (f *simFlags) config(e evilFlags, matter ...string) (sim.Config, error) {
	c := sim.Config{Nodes: f.Nodes, Seed: f.Seed, K: f.K, Siblings: f.Siblings, Eta: f.Eta, Loss: f.Loss, Clients: f.Clients, Homes: f.Homes, Share: e.Share, Workers: f.Workers}
	if c.Eta == 0 && e.Adversary == "paper" {
		c.Eta = 5
	}
	if e.Share > 0 && e.Adversary == "" {
		return c, fmt.Errorf("%w: --share without --adversary", errUsage)
	}
	if e.Adversary == "" {
		return c, nil
	}
	var err error
	if slices.Contains(sim.Adversaries(), e.Adversary) && !slices.Contains(matter, e.Adversary) {
		return c, fmt.Errorf("%w: adversary %s does nothing here; try %s", errUsage, e.Adversary, strings.Join(matter, ", "))
	}
	if c.Adversary, err = sim.AdversaryNamed(e.Adversary); err != nil {
		return c, fmt.Errorf("%w: %w", errUsage, err)
	}
	return c, nil
}

// begin draws the seed, if none was given, and prints it before anything can go wrong.
func (f *simFlags) begin(a *app) {
	if f.Seed == 0 {
		f.Seed = rand.Uint64()>>1 | 1
	}
	if !f.Quiet {
		fmt.Fprintf(a.stderr, "seed %d\n", f.Seed)
	}
}

// A simResult is one run as JSON.
type simResult struct {
	Experiment string  `json:"experiment"`
	Seed       uint64  `json:"seed"`
	Nodes      int     `json:"nodes"`
	K          int     `json:"k"`
	Siblings   int     `json:"siblings"`
	Adversary  string  `json:"adversary,omitempty"`
	Share      float64 `json:"share"`
	Loss       float64 `json:"loss"`
	Paths      int     `json:"paths,omitempty"`
	Width      int     `json:"width,omitempty"`
	Beta       []int   `json:"beta,omitempty"`
	Repair     string  `json:"repair,omitempty"`
	*sim.Report
	EventsPerSecond float64 `json:"events_per_second"`
	HeapBytes       uint64  `json:"heap_bytes"`
	Seconds         float64 `json:"seconds"`
}

// result begins the result of a run.
func (f *simFlags) result(experiment string, e evilFlags) *simResult {
	return &simResult{Experiment: experiment, Seed: f.Seed, Nodes: f.Nodes, K: f.K, Siblings: f.Siblings, Adversary: e.Adversary, Share: e.Share, Loss: f.Loss}
}

// measure runs an experiment in a network and adds what it cost.
func (r *simResult) measure(w *sim.Network, run func() (*sim.Report, error)) error {
	began, before := time.Now(), w.Events()
	report, err := run()
	if err != nil {
		return simError(err)
	}
	r.Report = report
	r.Seconds = time.Since(began).Seconds()
	r.EventsPerSecond = float64(report.Events-before) / r.Seconds
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	r.HeapBytes = m.HeapAlloc
	runtime.KeepAlive(w)
	return nil
}

// simError sorts errors: what was asked for makes no sense, or the user has had enough.
func simError(err error) error {
	switch {
	case errors.Is(err, sim.ErrConfig), errors.Is(err, skad.ErrConfig), errors.Is(err, skad.ErrOptions), errors.Is(err, spread.ErrConfig):
		return fmt.Errorf("%w: %w", errUsage, err)
	case errors.Is(err, context.Canceled):
		return errInterrupted
	}
	return err
}

// writeJSON writes results, one to a line, where --json says.
func (f *simFlags) writeJSON(a *app, results []*simResult) error {
	if f.JSON == "" {
		return nil
	}
	return writeFile(f.JSON, a.stdout, func(w io.Writer) error {
		enc := json.NewEncoder(w)
		for _, r := range results {
			if err := enc.Encode(r); err != nil {
				return err
			}
		}
		return nil
	})
}

// writeFile lets write fill a file, or standard output for "-".
func writeFile(name string, stdout io.Writer, write func(io.Writer) error) (err error) {
	if name == "-" {
		return write(stdout)
	}
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return write(file)
}

// A simProgress shows how far a simulation is, as progress does for runs against the clock.
type simProgress struct {
	out   *os.File
	quiet bool
	live  bool
	last  time.Time
	shown int
}

func newSimProgress(a *app, quiet bool) *simProgress {
	return &simProgress{out: a.stderr, quiet: quiet, live: term.IsTerminal(int(a.stderr.Fd())), last: time.Now()}
}

// tick says that done of total is done.
func (p *simProgress) tick(what string, done, total int) {
	every := 2 * time.Second
	if p.live {
		every = 200 * time.Millisecond
	}
	if p.quiet || time.Since(p.last) < every {
		return
	}
	p.last = time.Now()
	line := fmt.Sprintf("%s: %d of %d", what, done, total)
	if !p.live {
		fmt.Fprintln(p.out, line)
		return
	}
	p.shown = overwrite(p.out, line, p.shown)
}

// clear takes the live line away.
func (p *simProgress) clear() {
	if p.shown > 0 {
		overwrite(p.out, "", p.shown)
		fmt.Fprint(p.out, "\r")
		p.shown = 0
	}
}
