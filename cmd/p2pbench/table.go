package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/carrier-p2p/carrier/bench/load"
)

// title says what was run, with the variables that matter to the scenario.
func title(c load.Config) string {
	parts := []string{c.Scenario}
	add := func(format string, v any) { parts = append(parts, fmt.Sprintf(format, v)) }
	switch c.Scenario {
	case load.Connect, load.Storm:
		add("%d dials at once", c.Conns)
	default:
		add("%s", plural(c.Conns, "connection"))
	}
	if c.Inflight > 1 || c.Scenario == load.RPC {
		add("%d in flight on each", c.Inflight)
	}
	if c.Scenario != load.Connect && c.Scenario != load.Hold {
		add("%s B", byteSize(c.Size))
	}
	if c.Scenario == load.Mixed {
		add("beside %s B", byteSize(c.BulkSize))
	}
	if c.Rate > 0 {
		add("%s a second (open loop)", short(c.Rate))
	}
	return strings.ReplaceAll(strings.Join(parts, ", "), "iB B", "iB")
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// printResult prints one run for people.
func printResult(w io.Writer, r *load.Result) {
	c := r.Config
	c.Scenario = r.Scenario
	fmt.Fprintf(w, "%s: %s\n", r.Driver, title(c))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, value string) { fmt.Fprintf(t, "  %s\t%s\n", name, value) }
	line("verified", fmt.Sprintf("%d in %.2f s", r.Messages, r.Seconds))
	for _, m := range metrics(r.Scenario) {
		if v, ok := m.get(r); ok {
			line(m.name, m.show(v))
		}
	}
	if r.Late > 0 {
		line("late", fmt.Sprintf("%d began more than 1 ms after their time", r.Late))
	}
	if r.Unsent > 0 {
		line("unsent", fmt.Sprintf("%d were planned and never begun: the rate is more than this can take", r.Unsent))
	}
	line("dialling side", sideLine(&r.Client))
	if r.Server != nil {
		line("serving side", sideLine(r.Server))
	}
	line("errors", faultLine(r.Errors))
	if r.Interrupted {
		line("interrupted", "this is what was measured until then")
	}
	_ = t.Flush() // standard output that is gone is not worth more words
}

func sideLine(s *load.Side) string {
	return fmt.Sprintf("CPU %.2f s, RSS %s MB, heap %s MB, %s",
		s.CPUSeconds, megabytes(float64(s.RSSBytes)), megabytes(float64(s.HeapBytes)), plural(s.Goroutines, "goroutine"))
}

func faultLine(faults map[string]uint64) string {
	if len(faults) == 0 {
		return "none"
	}
	var kinds []string
	for _, kind := range slices.Sorted(maps.Keys(faults)) {
		kinds = append(kinds, fmt.Sprintf("%s %d", kind, faults[kind]))
	}
	return strings.Join(kinds, ", ")
}
