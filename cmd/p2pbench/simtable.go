package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/carrier-p2p/carrier/bench/report"
	"github.com/carrier-p2p/carrier/skad/sim"
)

// A simColumn is one figure of a simulation. Columns that no row has are left out.
type simColumn struct {
	name string
	show func(r *simResult) string // "": this row has none
}

func simColumns() []simColumn {
	share := func(name string, get func(r *simResult) *float64) simColumn {
		return simColumn{name, func(r *simResult) string {
			if v := get(r); v != nil {
				return fmt.Sprintf("%.4f", *v)
			}
			return ""
		}}
	}
	mean := func(name string, get func(r *simResult) *float64) simColumn {
		return simColumn{name, func(r *simResult) string {
			if v := get(r); v != nil {
				return fmt.Sprintf("%.2f", *v)
			}
			return ""
		}}
	}
	return []simColumn{
		{"share", func(r *simResult) string {
			if r.Adversary == "" {
				return ""
			}
			return fmt.Sprintf("%.2f", r.Share)
		}},
		{"paths", func(r *simResult) string {
			if r.Paths == 0 {
				return ""
			}
			return fmt.Sprint(r.Paths)
		}},
		share("success", func(r *simResult) *float64 { return r.Success }),
		share("formula", func(r *simResult) *float64 { return r.SuccessFormula }),
		share("siblings found", func(r *simResult) *float64 { return r.SiblingsFound }),
		mean("contacts", func(r *simResult) *float64 { return r.ContactsMean }),
		mean("rpcs", func(r *simResult) *float64 { return r.RPCsMean }),
		{"time p50/p99 (RTT)", func(r *simResult) string {
			if r.TimeToTarget == nil {
				return ""
			}
			return fmt.Sprintf("%.2f / %.2f", r.TimeToTarget.P50, r.TimeToTarget.P99)
		}},
		{"strays in table/siblings", func(r *simResult) string {
			if r.StraysInTable == nil || r.StraysInSiblings == nil {
				return ""
			}
			return fmt.Sprintf("%d / %d", *r.StraysInTable, *r.StraysInSiblings)
		}},
		share("table kept", func(r *simResult) *float64 { return r.TableKept }),
		share("coverage", func(r *simResult) *float64 { return r.CoverageMean }),
		share("median", func(r *simResult) *float64 { return r.CoverageMedian }),
		share("worst", func(r *simResult) *float64 { return r.CoverageWorst }),
		share("formula", func(r *simResult) *float64 { return r.CoverageFormula }),
		mean("duplicates", func(r *simResult) *float64 { return r.Duplicates }),
		mean("payloads", func(r *simResult) *float64 { return r.Payloads }),
		mean("control", func(r *simResult) *float64 { return r.Control }),
		mean("hops", func(r *simResult) *float64 { return r.HopsMean }),
		{"t99/last (RTT)", func(r *simResult) string {
			if r.TimeToDeliver == nil || r.TimeToLast == nil {
				return ""
			}
			return fmt.Sprintf("%.2f / %.2f", r.TimeToDeliver.P99, r.TimeToLast.P50)
		}},
		{"ready p50/p99 (RTT)", func(r *simResult) string {
			if r.TimeToReady == nil {
				return ""
			}
			return fmt.Sprintf("%.1f / %.1f", r.TimeToReady.P50, r.TimeToReady.P99)
		}},
		share("while apart", func(r *simResult) *float64 { return r.SiblingsApart }),
		{"healed after (s)", func(r *simResult) string {
			switch {
			case r.HealSeconds != nil:
				return fmt.Sprintf("%.0f", *r.HealSeconds)
			case r.SiblingsApart != nil:
				return "not"
			}
			return ""
		}},
		{"left", func(r *simResult) string {
			if r.Left == nil {
				return ""
			}
			return fmt.Sprint(*r.Left)
		}},
		mean("upkeep (B/s)", func(r *simResult) *float64 { return r.UpkeepBytes }),
		share("alarms", func(r *simResult) *float64 { return r.DensityAlarms }),
	}
}

// printSim prints runs for people, one to a line, and under them what the whole cost.
func printSim(w io.Writer, title string, results []*simResult) {
	if len(results) == 0 {
		return
	}
	fmt.Fprintln(w, title)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	var columns []simColumn
	var names []string
	for _, c := range simColumns() {
		for _, r := range results {
			if c.show(r) != "" {
				columns, names = append(columns, c), append(names, c.name)
				break
			}
		}
	}
	fmt.Fprintf(t, "%s\t\n", strings.Join(names, "\t"))
	for _, r := range results {
		var cells []string
		for _, c := range columns {
			cells = append(cells, c.show(r))
		}
		fmt.Fprintf(t, "%s\t\n", strings.Join(cells, "\t"))
	}
	_ = t.Flush() // standard output that is gone is not worth more words
	last := results[len(results)-1]
	var events uint64
	var virtual time.Duration
	var seconds float64
	for _, r := range results {
		virtual += r.Virtual
		events += uint64(r.EventsPerSecond * r.Seconds)
		seconds += r.Seconds
	}
	fmt.Fprintf(w, "%v of virtual time in %.1f s; %s events, %s/s; heap %s MB; trace %s\n", virtual.Round(time.Second), seconds,
		report.Short(float64(events)), report.Short(float64(events)/seconds), report.Megabytes(float64(last.HeapBytes)), last.TraceHash[:16])
}

// title says what was simulated.
func (f *simFlags) title(experiment string, e evilFlags) string {
	text := fmt.Sprintf("%s: %d nodes, k=%d, s=%d, seed %d", experiment, f.Nodes, f.K, f.Siblings, f.Seed)
	if f.Loss > 0 {
		text += fmt.Sprintf(", %v of the messages lost", f.Loss)
	}
	if f.Homes > 0 {
		text += fmt.Sprintf(", %v behind routers", f.Homes)
	}
	if f.Clients > 0 {
		text += fmt.Sprintf(", %v clients", f.Clients)
	}
	if e.Adversary != "" {
		text += ", adversary " + e.Adversary
	}
	return text + fmt.Sprintf("; RTT is %v", sim.MedianRTT)
}
