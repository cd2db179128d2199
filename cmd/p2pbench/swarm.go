package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/carrier-p2p/carrier/bench/swarm"
	"github.com/carrier-p2p/carrier/skad/sim"
)

// swarmCommand runs real nodes of the overlay.
type swarmCommand struct {
	Nodes      int           `help:"How many nodes." default:"200"`
	Lookups    int           `help:"Lookups, before the kill and after it." default:"1000"`
	Broadcasts int           `help:"Broadcasts, before the kill and after it." default:"20"`
	Payload    int           `help:"Bytes of a broadcast." default:"256"`
	Kill       share         `help:"Part of the nodes that are killed at the same moment: 20% or 0.2." default:"20%"`
	Idle       time.Duration `help:"How long the traffic of idle nodes is measured." default:"15s"`
	Rest       time.Duration `help:"How long nodes are left alone before that: who has joined looks around again for two minutes."`
	Loops      int           `help:"Event loops; 0: one for each core."`
	Seed       uint64        `help:"Of identities, keys and choices." default:"1"`
	Simulate   bool          `help:"Run the simulator with the same parameters, and show its figures beside."`
	JSON       string        `help:"Write the figures as one JSON object; - for standard output." placeholder:"FILE|-"`
	Quiet      bool          `help:"No progress, no table." short:"q"`
}

func (swarmCommand) Help() string {
	return `Each node is a whole one, with a listening socket of its own; all join through the first. Then the figures are taken: how long
until every node knows the 16 nearest to it, whether lookups find exactly the nodes nearest to a key, whom broadcasts reach and how
fast, what idle nodes send, and the same after a part of the nodes is killed without a word.

  p2pbench swarm
  p2pbench swarm --nodes 50 --kill 40%
  p2pbench swarm --simulate
  p2pbench swarm --json -`
}

// A share is typed as 20% or 0.2.
type share float64

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *share) UnmarshalText(text []byte) error {
	number, percent := strings.CutSuffix(string(text), "%")
	v, err := strconv.ParseFloat(number, 64)
	if percent {
		v /= 100
	}
	if err != nil || !(v >= 0 && v < 1) {
		return fmt.Errorf("%q is no share: want such as 20%% or 0.2, below 1", text)
	}
	*s = share(v)
	return nil
}

func (c *swarmCommand) Run(a *app) error {
	p := newSimProgress(a, c.Quiet)
	r, err := swarm.Run(a.ctx, swarm.Config{Nodes: c.Nodes, Lookups: c.Lookups, Broadcasts: c.Broadcasts, Payload: c.Payload,
		Kill: float64(c.Kill), Idle: c.Idle, Rest: c.Rest, Loops: c.Loops, Seed: c.Seed, Progress: p.tick})
	p.clear()
	if errors.Is(err, context.Canceled) {
		return errInterrupted
	}
	if err != nil {
		return err
	}
	var s *simulated
	if c.Simulate {
		if s, err = c.simulate(a); err != nil {
			return err
		}
	}
	if !c.Quiet && c.JSON != "-" {
		printSwarm(a.stdout, r, s)
	}
	if c.JSON == "" {
		return nil
	}
	return writeFile(c.JSON, a.stdout, func(w io.Writer) error { return json.NewEncoder(w).Encode(swarmFigures(r)) })
}

// simulated are the figures of the simulator for the same network.
type simulated struct{ lookups, broadcasts *sim.Report }

// simulate fills a simulated network of the same size, and makes as many lookups and broadcasts in it.
func (c *swarmCommand) simulate(a *app) (*simulated, error) {
	w, err := sim.New(sim.Config{Nodes: c.Nodes, Seed: c.Seed, Still: true})
	if err != nil {
		return nil, simError(err)
	}
	w.Fill()
	var s simulated
	if s.lookups, err = w.Lookups(a.ctx, sim.LookupPlan{Lookups: c.Lookups}); err != nil {
		return nil, simError(err)
	}
	s.broadcasts, err = w.Broadcasts(a.ctx, sim.BroadcastPlan{Broadcasts: c.Broadcasts, Beta: []int{8, 4, 2}, Rounds: 3, Fanout: 3, Size: c.Payload})
	if err != nil {
		return nil, simError(err)
	}
	return &s, nil
}

// A swarmResult is a run as JSON. What was not measured is null.
type swarmResult struct {
	Nodes         int      `json:"nodes"`
	Converged     *float64 `json:"converged_seconds"`
	LookupSuccess *float64 `json:"lookup_success"`
	Coverage      *float64 `json:"broadcast_coverage"`
	CoverageAfter *float64 `json:"broadcast_coverage_after_kill"`
	BroadcastMs   struct {
		P50 float64 `json:"p50"`
		P99 float64 `json:"p99"`
		Max float64 `json:"max"`
	} `json:"broadcast_ms"`
	Heap   *float64 `json:"heap_bytes_per_node"`
	Upkeep *float64 `json:"maintenance_bytes_per_second_per_node"`
}

func swarmFigures(r *swarm.Result) *swarmResult {
	f := &swarmResult{Nodes: r.Nodes, Converged: known(r.ConvergedSeconds), LookupSuccess: known(r.Lookups.Success),
		Coverage: known(r.Broadcasts.Coverage), Heap: known(r.HeapBytes), Upkeep: known(r.UpkeepBytes)}
	if r.Killed > 0 {
		f.CoverageAfter = known(r.AfterKill.Coverage)
	}
	f.BroadcastMs.P50, f.BroadcastMs.P99, f.BroadcastMs.Max = millis(r.Broadcasts.P50), millis(r.Broadcasts.P99), millis(r.Broadcasts.Max)
	return f
}

// known returns v, nil if it is not a number.
func known(v float64) *float64 {
	if math.IsNaN(v) {
		return nil
	}
	return &v
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// printSwarm writes the figures for people. s may be nil.
func printSwarm(out io.Writer, r *swarm.Result, s *simulated) {
	fmt.Fprintf(out, "swarm: %d nodes on loopback, joined through one in %.1f s\n\n", r.Nodes, r.JoinSeconds)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, figure, simulated string) {
		if s == nil {
			simulated = ""
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", name, figure, simulated)
	}
	row("", "", "simulated")
	if math.IsNaN(r.ConvergedSeconds) {
		row("converged", "no", "")
	} else {
		row("converged", fmt.Sprintf("after %.2f s: every node knows its 16 nearest; %.0f connections each", r.ConvergedSeconds, r.Connections), "")
	}
	var sim lookupsSimulated
	if s != nil {
		sim = s.figures()
	}
	row("lookups exact", share100(r.Lookups.Success), sim.exact)
	row("  questions", fmt.Sprintf("%.1f", r.Lookups.Asked), sim.asked)
	row("  hops", fmt.Sprintf("%.2f", r.Lookups.Hops), "")
	row("  took", fmt.Sprintf("p50 %.1f ms, p99 %.1f ms", millis(r.Lookups.P50), millis(r.Lookups.P99)), "")
	row("broadcast coverage", worst(r.Broadcasts), sim.coverage)
	row("  copies beside the first", fmt.Sprintf("%.1f", r.Broadcasts.Copies), sim.copies)
	row("  took", fmt.Sprintf("p50 %.1f ms, p99 %.1f ms, at most %.1f ms", millis(r.Broadcasts.P50), millis(r.Broadcasts.P99), millis(r.Broadcasts.Max)), "")
	if r.Killed > 0 {
		row(fmt.Sprintf("%d killed", r.Killed), "", "")
		row("  broadcast coverage", worst(r.AfterKill), "")
		row("  took", fmt.Sprintf("p50 %.1f ms, p99 %.1f ms, at most %.1f ms", millis(r.AfterKill.P50), millis(r.AfterKill.P99), millis(r.AfterKill.Max)), "")
		row("  lookups exact", share100(r.LookupsAfterKill.Success), "")
	}
	row("heap of a node", fmt.Sprintf("%.0f kB", r.HeapBytes/1000), "")
	row("an idle node sends", fmt.Sprintf("%.0f B/s", r.UpkeepBytes), "")
	row("tasks over 1 ms", fmt.Sprintf("%d of %d, longest %v", r.Tasks.Over, r.Tasks.Runs, r.Tasks.Longest.Round(time.Microsecond)), "")
	if r.Tasks.LongestWork > 0 {
		row("  of processor time", fmt.Sprintf("%d, longest %v", r.Tasks.OverWork, r.Tasks.LongestWork.Round(time.Microsecond)), "")
	}
	w.Flush()
}

func share100(v float64) string { return strconv.FormatFloat(100*v, 'f', 2, 64) + " %" }

func worst(b swarm.Broadcasts) string {
	if b.Worst == b.Coverage {
		return share100(b.Coverage)
	}
	return fmt.Sprintf("%s, worst %s", share100(b.Coverage), share100(b.Worst))
}

// lookupsSimulated are a simulation's figures, as shown.
type lookupsSimulated struct{ exact, asked, coverage, copies string }

func (s *simulated) figures() (f lookupsSimulated) {
	show := func(v *float64, format func(float64) string) string {
		if v == nil {
			return ""
		}
		return format(*v)
	}
	one := func(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }
	return lookupsSimulated{show(s.lookups.SiblingsFound, share100), show(s.lookups.RPCsMean, one), show(s.broadcasts.CoverageMean, share100), show(s.broadcasts.Duplicates, one)}
}
