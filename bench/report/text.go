package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/carrier-p2p/carrier/bench/load"
)

// WriteText prints groups for people: a lone run with everything, several as a table with ratios.
func WriteText(w io.Writer, records []Record) error { return WriteTextWithin(w, records, 0) }

// WriteTextWithin is WriteText for a terminal of so many columns; 0: as many as it takes. A table that is wider stands on its side,
// and shows no bounds if that is not enough.
func WriteTextWithin(w io.Writer, records []Record, columns int) error {
	for _, g := range Groups(records) {
		if len(g.Drivers) == 1 && g.Rounds == 1 {
			if err := WriteRun(w, &g.Runs[g.Drivers[0]][0].Result); err != nil {
				return err
			}
			continue
		}
		if err := g.writeText(w, columns); err != nil {
			return err
		}
	}
	return nil
}

// WriteRun prints one run for people.
func WriteRun(w io.Writer, r *load.Result) error {
	c := r.Config
	c.Scenario = r.Scenario
	fmt.Fprintf(w, "%s: %s\n", r.Driver, Title(c))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, value string) { fmt.Fprintf(t, "  %s\t%s\n", name, value) }
	if r.Cannot != "" {
		line("n/a", r.Cannot)
		return t.Flush()
	}
	if r.Failure != "" {
		line("failed", r.Failure)
		return t.Flush()
	}
	line("verified", fmt.Sprintf("%d in %.2f s", r.Messages, r.Seconds))
	for _, m := range Metrics(r.Scenario) {
		if v, ok := m.Get(r); ok {
			line(m.Name, m.Show(v))
		}
	}
	if r.Late > 0 {
		line("late", fmt.Sprintf("%d began more than 1 ms after their time", r.Late))
	}
	if r.Unsent > 0 {
		line("unsent", fmt.Sprintf("%d were planned and never begun", r.Unsent))
	}
	line("dialling side", sideLine(&r.Client))
	if r.Server != nil {
		line("serving side", sideLine(r.Server))
	}
	for _, d := range r.Drifts {
		line("drift", fmt.Sprintf("%s went %+.0f %% over the run, %s an hour (p %.4f)", d.What, 100*d.Share, Short(d.PerHour), d.P))
	}
	for _, text := range r.Warnings {
		line("note", text)
	}
	line("errors", FaultLine(r.Errors))
	if r.Interrupted {
		line("interrupted", "this is what was measured until then")
	}
	return t.Flush()
}

func sideLine(s *load.Side) string {
	return fmt.Sprintf("CPU %.2f s, RSS %s MB, heap %s MB, %s",
		s.CPUSeconds, Megabytes(float64(s.RSSBytes)), Megabytes(float64(s.HeapBytes)), Plural(s.Goroutines, "goroutine"))
}

// FaultLine shows what went wrong, by kind.
func FaultLine(faults map[string]uint64) string {
	if len(faults) == 0 {
		return "none"
	}
	var kinds []string
	for _, kind := range slices.Sorted(maps.Keys(faults)) {
		kinds = append(kinds, fmt.Sprintf("%s %d", kind, faults[kind]))
	}
	return strings.Join(kinds, ", ")
}

// heading is the group's title and how it was measured.
func (g *Group) heading() string {
	if g.Rounds == 1 {
		return Title(g.Config)
	}
	return fmt.Sprintf("%s: medians [min..max] of %d rounds in turns", Title(g.Config), g.Rounds)
}

// writeText shows medians with their bounds, then how many times the first driver's median is each other's.
func (g *Group) writeText(w io.Writer, columns int) error {
	heading, rows := g.heading(), g.table()
	if columns > 0 && width(rows) > columns {
		rows = onItsSide(rows)
		if width(rows) > columns {
			heading, rows = strings.Replace(heading, " [min..max]", "", 1), withoutBounds(rows)
		}
	}
	fmt.Fprintf(w, "\n%s\n", heading)
	t := tabwriter.NewWriter(w, 0, 0, tableGap, ' ', 0)
	for _, row := range rows {
		fmt.Fprintf(t, "  %s\n", strings.TrimRight(strings.Join(row, "\t"), "\t"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, text := range g.notes() {
		fmt.Fprintf(w, "  note: %s\n", text)
	}
	return nil
}

// tableGap is how many blanks stand between two columns of a table.
const tableGap = 2

// width is how many columns of a terminal a table takes, with what stands in front of it.
func width(rows [][]string) int {
	widest := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widest[i] = max(widest[i], utf8.RuneCountInString(cell))
		}
	}
	sum := 0
	for _, n := range widest {
		sum += tableGap + n
	}
	return sum
}

// onItsSide makes columns rows.
func onItsSide(rows [][]string) [][]string {
	side := make([][]string, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			side[i] = append(side[i], cell)
		}
	}
	return side
}

// withoutBounds takes away what stands in brackets.
func withoutBounds(rows [][]string) [][]string {
	short := make([][]string, len(rows))
	for i, row := range rows {
		for _, cell := range row {
			median, _, _ := strings.Cut(cell, " [")
			short[i] = append(short[i], median)
		}
	}
	return short
}

// table is the group as rows of cells, the first of them the header.
func (g *Group) table() [][]string {
	shown := g.Columns()
	header := []string{"driver"}
	for _, m := range shown {
		header = append(header, m.Name)
	}
	rows := [][]string{append(header, "errors")}
	for _, driver := range g.Drivers {
		row := []string{driver}
		for _, m := range shown {
			row = append(row, g.Cell(driver, m))
		}
		rows = append(rows, append(row, FaultLine(g.Faults(driver))))
	}
	for _, driver := range g.Drivers[1:] {
		row := []string{g.Drivers[0] + " / " + driver}
		for _, m := range shown {
			cell := "-"
			if ratio, ok := g.Ratios[driver][m.Name]; ok {
				cell = fmt.Sprintf("%.2fx", ratio)
			}
			row = append(row, cell)
		}
		rows = append(rows, append(row, ""))
	}
	return rows
}

// notes are the warnings of the group's runs: how many of a driver's runs had any, and the first of each driver.
func (g *Group) notes() (notes []string) {
	for _, driver := range g.Drivers {
		warned, first := 0, ""
		if why := g.Runs[driver][0].Cannot; why != "" {
			notes = append(notes, fmt.Sprintf("%s: n/a: %s", driver, why))
		}
		for _, r := range g.Runs[driver] {
			if r.Failure != "" {
				notes = append(notes, fmt.Sprintf("%s: a run failed: %s", driver, r.Failure))
			}
			if len(r.Warnings) > 0 {
				if warned++; first == "" {
					first = r.Warnings[0]
				}
			}
		}
		if warned > 0 {
			note := driver + ": " + first
			if of := len(g.Runs[driver]); of > 1 {
				note += fmt.Sprintf(" (in %d of %d runs)", warned, of)
			}
			notes = append(notes, note)
		}
	}
	return notes
}
