package main

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/carrier-p2p/carrier/bench/swarm"
	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/skad/sim"
)

// A swarmResult is a run as JSON. What was not measured is null, or missing where it was not asked for.
type swarmResult struct {
	Nodes         int      `json:"nodes"`
	Processes     int      `json:"processes,omitempty"`
	Hostile       int      `json:"hostile,omitempty"`
	Converged     *float64 `json:"converged_seconds"`
	Connections   *float64 `json:"connections_per_node"`
	LookupSuccess *float64 `json:"lookup_success"`
	LookupHops    *float64 `json:"lookup_hops"`
	LookupMs      spread50 `json:"lookup_ms"`
	Coverage      *float64 `json:"broadcast_coverage"`
	CoverageAfter *float64 `json:"broadcast_coverage_after_kill"`
	BroadcastMs   spread50 `json:"broadcast_ms"`
	Copies        *float64 `json:"broadcast_copies"`
	Heap          *float64 `json:"heap_bytes_per_node"`
	Upkeep        *float64 `json:"maintenance_bytes_per_second_per_node"` // of an idle node
	UpkeepFrom    float64  `json:"maintenance_from_seconds"`              // since the last node had joined
	UpkeepUntil   float64  `json:"maintenance_until_seconds"`
	Settling      *float64 `json:"settling_bytes_per_second_per_node"` // before that, while they looked around
	Tasks         taskSums `json:"tasks"`
	Yardstick     taskSums `json:"yardstick"` // of a task that only computes, for as long each time

	Killed          int      `json:"killed,omitempty"`
	KilledProcesses int      `json:"killed_processes,omitempty"`
	SuccessAfter    *float64 `json:"lookup_success_after_kill,omitempty"`
	CopiesAfter     *float64 `json:"broadcast_copies_after_kill,omitempty"`

	Replaced      int      `json:"replaced,omitempty"`
	SuccessChurn  *float64 `json:"lookup_success_during_churn,omitempty"`
	CoverageChurn *float64 `json:"broadcast_coverage_during_churn,omitempty"`

	Restarted       int      `json:"restarted,omitempty"`
	Back            *float64 `json:"back_seconds,omitempty"`
	SuccessRestart  *float64 `json:"lookup_success_after_restart,omitempty"`
	CoverageRestart *float64 `json:"broadcast_coverage_after_restart,omitempty"`

	Simulated *swarmSimulated `json:"simulated,omitempty"`
}

type spread50 struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max,omitempty"`
}

// taskSums are the histograms of how long tasks have run.
type taskSums struct {
	Runs          int64     `json:"runs"`
	LongestMs     float64   `json:"longest_ms"`
	Held          []taskBar `json:"held"`
	LongestWorkMs float64   `json:"longest_work_ms,omitempty"`
	Worked        []taskBar `json:"worked,omitempty"` // of processor time, where that is known
}

// A taskBar is a bar of the tasks' histogram: how many held a loop for so long at most, and longer than the bar before says.
type taskBar struct {
	Most  *float64 `json:"at_most_ms"` // null: the rest
	Count int64    `json:"count"`
}

// swarmSimulated has the simulator's figures under the names of the live ones.
type swarmSimulated struct {
	LookupSuccess *float64 `json:"lookup_success"`
	Coverage      *float64 `json:"broadcast_coverage"`
	Copies        *float64 `json:"broadcast_copies"`
	SuccessAfter  *float64 `json:"lookup_success_after_kill,omitempty"`
	CoverageAfter *float64 `json:"broadcast_coverage_after_kill,omitempty"`
	CopiesAfter   *float64 `json:"broadcast_copies_after_kill,omitempty"`
}

func swarmFigures(r *swarm.Result, s *swarm.Simulated) *swarmResult {
	f := &swarmResult{Nodes: r.Nodes, Processes: r.Processes, Hostile: r.Hostile, Converged: known(r.ConvergedSeconds), Connections: known(r.Connections),
		LookupSuccess: known(r.Lookups.Success), LookupHops: known(r.Lookups.Hops), LookupMs: spread50{millis(r.Lookups.P50), millis(r.Lookups.P99), 0},
		Coverage: known(r.Broadcasts.Coverage), Copies: known(r.Broadcasts.Copies),
		BroadcastMs: spread50{millis(r.Broadcasts.P50), millis(r.Broadcasts.P99), millis(r.Broadcasts.Max)},
		Heap:        known(r.HeapBytes), Upkeep: known(r.Upkeep.Bytes), UpkeepFrom: r.Upkeep.From.Seconds(), UpkeepUntil: r.Upkeep.Until.Seconds(), Settling: known(r.Settling.Bytes), Killed: r.Killed, KilledProcesses: r.KilledProcesses, Replaced: r.Replaced, Restarted: r.Restarted}
	f.Tasks, f.Yardstick = sumsOf(&r.Tasks), sumsOf(&r.Yardstick)
	if r.Killed > 0 {
		f.CoverageAfter, f.SuccessAfter = known(r.AfterKill.Coverage), known(r.LookupsAfterKill.Success)
		f.CopiesAfter = known(r.AfterKill.Copies)
	}
	if r.Replaced > 0 {
		f.CoverageChurn, f.SuccessChurn = known(r.ChurnBroadcasts.Coverage), known(r.ChurnLookups.Success)
	}
	if r.Restarted > 0 {
		f.Back, f.CoverageRestart, f.SuccessRestart = known(r.BackSeconds), known(r.BackInformed.Coverage), known(r.LookupsBack.Success)
	}
	if s != nil {
		f.Simulated = &swarmSimulated{LookupSuccess: s.Lookups.SiblingsFound, Coverage: s.Broadcasts.CoverageMean, Copies: s.Broadcasts.Duplicates}
		if s.LookupsAfterKill != nil {
			f.Simulated.SuccessAfter, f.Simulated.CoverageAfter = s.LookupsAfterKill.SiblingsFound, s.BroadcastsAfterKill.CoverageMean
			f.Simulated.CopiesAfter = s.BroadcastsAfterKill.Duplicates
		}
	}
	return f
}

func sumsOf(t *engine.TaskStats) taskSums {
	s := taskSums{Runs: t.Runs, LongestMs: millis(t.Longest), Held: taskBars(t.Held)}
	if t.LongestWork > 0 {
		s.LongestWorkMs, s.Worked = millis(t.LongestWork), taskBars(t.Worked)
	}
	return s
}

func taskBars(runs [len(engine.TaskBounds) + 1]int64) (bars []taskBar) {
	for i, n := range runs {
		bar := taskBar{Count: n}
		if i < len(engine.TaskBounds) {
			bar.Most = known(millis(engine.TaskBounds[i]))
		}
		bars = append(bars, bar)
	}
	return bars
}

// known returns v, nil if it is not a number.
func known(v float64) *float64 {
	if math.IsNaN(v) {
		return nil
	}
	return &v
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// A swarmTable is what people see: a name, the live figure, and the simulator's with the difference if it was asked.
type swarmTable struct {
	out       io.Writer
	simulated bool
}

func (t swarmTable) row(name, figure string) { fmt.Fprintln(t.out, name+"\t"+figure) }

// beside is row for a figure that the simulator has too; figure is live, in words.
func (t swarmTable) beside(name, figure string, live float64, simulated *float64, format func(float64) string) {
	if simulated == nil || !t.simulated {
		t.row(name, figure)
		return
	}
	sign := "+"
	if format(live) == format(*simulated) {
		sign = "±"
	} else if live < *simulated {
		sign = "-"
	}
	fmt.Fprintf(t.out, "%s\t%s\t%s\t%s%s\n", name, figure, format(*simulated), sign, format(math.Abs(live-*simulated)))
}

// printSwarm writes the figures for people. s may be nil.
func printSwarm(out io.Writer, c *swarmCommand, r *swarm.Result, s *swarm.Simulated) {
	where := ""
	if r.Processes > 0 {
		where = " in " + processes(r.Processes)
	}
	fmt.Fprintf(out, "swarm: %d nodes%s on loopback, joined through one in %.1f s\n", r.Nodes, where, r.JoinSeconds)
	if r.Hostile > 0 {
		fmt.Fprintf(out, "%d of them are hostile (%s); the figures are those of the others\n", r.Hostile, c.Adversary)
	}
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	t := swarmTable{w, s != nil}
	if s == nil {
		s = &swarm.Simulated{}
	} else {
		fmt.Fprintln(w, "\tlive\tsimulated\tdifference")
	}
	if math.IsNaN(r.ConvergedSeconds) {
		t.row("converged", "no")
	} else {
		t.row("converged", fmt.Sprintf("after %.2f s: every node knows its 16 nearest; %.0f connections each", r.ConvergedSeconds, r.Connections))
	}
	t.lookups("", r.Lookups, s.Lookups)
	t.broadcasts("", r.Broadcasts, s.Broadcasts)
	if r.Replaced > 0 {
		t.row(fmt.Sprintf("%d left and %d came", r.Replaced, r.Replaced), "")
		t.lookups("  ", r.ChurnLookups, nil)
		t.broadcasts("  ", r.ChurnBroadcasts, nil)
	}
	if r.Killed > 0 {
		t.row(fmt.Sprintf("%d killed", r.Killed), killed(r))
		t.broadcasts("  ", r.AfterKill, s.BroadcastsAfterKill)
		t.lookups("  ", r.LookupsAfterKill, s.LookupsAfterKill)
	}
	if r.Restarted > 0 {
		t.row(fmt.Sprintf("%d restarted", r.Restarted), fmt.Sprintf("from stores with %d contacts each; %s", r.Restored, back(r)))
		t.broadcasts("  ", r.BackInformed, nil)
		t.lookups("  ", r.LookupsBack, nil)
	}
	t.row("heap of a node", fmt.Sprintf("%.0f kB", r.HeapBytes/1000))
	t.row("an idle node sends", upkeep(r.Upkeep))
	if !math.IsNaN(r.Settling.Bytes) {
		t.row("  while it settled", upkeep(r.Settling))
	}
	t.tasks("tasks held a loop", &r.Tasks, r.Hardest)
	t.tasks("50 µs of arithmetic did", &r.Yardstick, "")
	if r.Hostile > 0 {
		t.row("refused", fmt.Sprintf("%d forgeries, %d unwanted questions and answers; %d bans", r.Refused.Forged, r.Refused.Flood, r.Refused.Banned))
	}
	w.Flush()
}

// upkeep says how much and when: it falls with the time that a node is there.
func upkeep(u swarm.Upkeep) string {
	return fmt.Sprintf("%.0f B/s, %.0f to %.0f s after the last had joined", u.Bytes, u.From.Seconds(), u.Until.Seconds())
}

func processes(n int) string {
	if n == 1 {
		return "1 process"
	}
	return strconv.Itoa(n) + " processes"
}

func killed(r *swarm.Result) string {
	switch {
	case r.KilledProcesses > 0:
		return "with kill -9 of " + processes(r.KilledProcesses)
	case r.Processes > 0:
		return "within their processes"
	}
	return ""
}

func back(r *swarm.Result) string {
	if math.IsNaN(r.BackSeconds) {
		return "not back"
	}
	return fmt.Sprintf("back after %.2f s", r.BackSeconds)
}

// tasks writes how long tasks have held their loops, by the clock on the wall and of processor time. hardest names the one
// with the most of it.
func (t swarmTable) tasks(name string, s *engine.TaskStats, hardest string) {
	t.row(name, bars(s.Runs, s.Held, s.Longest))
	if s.LongestWork > 0 {
		line := bars(s.Runs, s.Worked, s.LongestWork)
		if hardest != "" {
			line += " (" + hardest + ")"
		}
		t.row("  of processor time", line)
	}
}

// bars is a histogram of runs, as shares. Bars that nothing fell into are left out.
func bars(runs int64, held [len(engine.TaskBounds) + 1]int64, longest time.Duration) string {
	var parts []string
	for i, n := range held {
		bound := "more"
		if i < len(engine.TaskBounds) {
			bound = "<" + engine.TaskBounds[i].String()
		}
		if n == 0 {
			continue
		}
		parts = append(parts, bound+" "+share100(float64(n)/float64(max(1, runs))))
	}
	if len(parts) == 0 {
		return "none ran"
	}
	return fmt.Sprintf("%s; longest %v of %d", strings.Join(parts, ", "), longest.Round(time.Microsecond), runs)
}

// lookups writes what became of lookups. s may be nil.
func (t swarmTable) lookups(indent string, l swarm.Lookups, s *sim.Report) {
	if s == nil {
		s = &sim.Report{}
	}
	t.beside(indent+"lookups exact", share100(l.Success), l.Success, s.SiblingsFound, share100)
	t.beside(indent+"  questions", one(l.Asked), l.Asked, s.RPCsMean, one)
	t.row(indent+"  hops", two(l.Hops))
	t.row(indent+"  took", fmt.Sprintf("p50 %.1f ms, p99 %.1f ms", millis(l.P50), millis(l.P99)))
}

// broadcasts likewise.
func (t swarmTable) broadcasts(indent string, b swarm.Broadcasts, s *sim.Report) {
	if s == nil {
		s = &sim.Report{}
	}
	t.beside(indent+"broadcast coverage", worst(b), b.Coverage, s.CoverageMean, share100)
	if !math.IsNaN(b.Copies) {
		t.beside(indent+"  copies beside the first", one(b.Copies), b.Copies, s.Duplicates, one)
	}
	t.beside(indent+"  hops of the first", two(b.Hops), b.Hops, s.HopsMean, two)
	t.row(indent+"  took", fmt.Sprintf("p50 %.1f ms, p99 %.1f ms, at most %.1f ms", millis(b.P50), millis(b.P99), millis(b.Max)))
}

func share100(v float64) string { return strconv.FormatFloat(100*v, 'f', 2, 64) + " %" }

func one(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }

func two(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }

func worst(b swarm.Broadcasts) string {
	if b.Worst == b.Coverage {
		return share100(b.Coverage)
	}
	return fmt.Sprintf("%s, worst %s", share100(b.Coverage), share100(b.Worst))
}
