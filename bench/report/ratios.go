package report

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/carrier-p2p/carrier/bench/load"
)

// A ratioTable is all groups that one driver is compared with others in: a row for each figure that a scenario is about.
type ratioTable struct {
	drivers []string
	groups  []*Group
}

// ratioTables puts groups with the same first driver together.
func ratioTables(records []Record) (tables []*ratioTable) {
	for _, g := range Groups(records) {
		i := slices.IndexFunc(tables, func(t *ratioTable) bool { return t.drivers[0] == g.Drivers[0] })
		if i < 0 {
			i = len(tables)
			tables = append(tables, &ratioTable{drivers: g.Drivers[:1:1]})
		}
		t := tables[i]
		t.groups = append(t.groups, g)
		for _, d := range g.Drivers {
			if !slices.Contains(t.drivers, d) {
				t.drivers = append(t.drivers, d)
			}
		}
	}
	return tables
}

// rows has the header first.
func (t *ratioTable) rows() [][]string {
	rows := [][]string{append([]string{""}, t.drivers...)}
	for _, g := range t.groups {
		for _, m := range g.leads() {
			row := []string{Title(g.Config) + ": " + m.Name}
			for _, d := range t.drivers {
				row = append(row, g.ratioCell(d, m))
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// ratioCell is a driver's median and, in brackets, the first driver's divided by it.
func (g *Group) ratioCell(driver string, m Metric) string {
	if len(g.Runs[driver]) == 0 {
		return "" // it did not take part
	}
	s, ok := g.Spreads[driver][m.Name]
	if !ok {
		return g.absent(driver)
	}
	cell := m.Show(s.Median)
	if m.Better == Lower && s.Median >= 9995 {
		cell = Short(s.Median) // bytes and times, as rates have it
	}
	if ratio, ok := g.Ratios[driver][m.Name]; ok {
		cell += " (" + Ratio(ratio) + ")"
	}
	if s.Median != 0 && len(g.Faults(driver)) > 0 {
		cell += "*"
	}
	return cell
}

// Ratio shows a ratio with two digits that matter.
func Ratio(v float64) string {
	if v >= 9.95 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 2, 64)
}

// leads are the figures of the group that a comparison in one line for each is about.
func (g *Group) leads() []Metric {
	var units []string
	switch {
	case g.Config.Rate == 0 && len(g.Config.Stages) == 0 && g.Scenario == load.RPC && g.Config.Conns*g.Config.Inflight == 1:
		units = []string{"p50-us"} // one at a time: its rate is nothing else
	case g.Scenario == load.OneWay && g.Config.Size >= 64<<10:
		units = []string{"MB/s"}
	case g.Scenario == load.Hold:
		units = []string{"heap-B/conn", rssUnit, "goroutines/conn"}
	default:
		if m, ok := g.lead(); ok {
			return []Metric{m}
		}
	}
	return slices.DeleteFunc(g.Columns(), func(m Metric) bool { return !slices.Contains(units, m.Unit) })
}

// WriteRatios writes a table for each driver that others were compared with: medians, and in brackets how
// many times theirs the first one's is. Format is text or md.
func WriteRatios(w io.Writer, format string, records []Record) error {
	if format != "text" && format != "md" {
		return fmt.Errorf("%w: ratios have no format %q: want text or md", ErrFormat, format)
	}
	for i, t := range ratioTables(records) {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if format == "md" {
			t.writeMarkdown(w)
		} else if err := t.writeText(w); err != nil {
			return err
		}
	}
	notes := ratioNotes(records)
	if len(notes) > 0 {
		fmt.Fprintln(w)
	}
	mark := map[string]string{"text": "", "md": "- "}[format]
	for _, note := range notes {
		if _, err := fmt.Fprintf(w, "%s%s\n", mark, note); err != nil {
			return err
		}
	}
	return nil
}

func (t *ratioTable) writeMarkdown(w io.Writer) {
	for i, row := range t.rows() {
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintf(w, "|---%s|\n", strings.Repeat("|---:", len(row)-1))
		}
	}
}

func (t *ratioTable) writeText(w io.Writer) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range t.rows() {
		fmt.Fprintln(out, strings.Join(row, "\t"))
	}
	return out.Flush()
}

// ratioNotes say where and when the figures were made, of what, and what went wrong.
func ratioNotes(records []Record) (notes []string) {
	if len(records) == 0 {
		return nil
	}
	notes = append(notes, environmentLine(&records[len(records)-1]))
	var rounds, seconds []string
	var libraries []string
	for _, g := range Groups(records) {
		rounds = once(rounds, strconv.Itoa(g.Rounds))
		seconds = once(seconds, span(g.Config.Duration.Round(time.Millisecond)))
		for _, d := range g.Drivers {
			for _, r := range g.Runs[d] {
				if r.Library != "" {
					libraries = once(libraries, r.Library)
				}
			}
			if faults := g.Faults(d); len(faults) > 0 {
				notes = append(notes, fmt.Sprintf("*%s, %s: %s", Title(g.Config), d, FaultLine(faults)))
			}
		}
	}
	notes = slices.Insert(notes, 1, fmt.Sprintf("medians of rounds in turns: %s, %s each", strings.Join(rounds, " or "), strings.Join(seconds, " or ")))
	if len(libraries) > 0 {
		notes = slices.Insert(notes, 2, strings.Join(libraries, ", "))
	}
	return append(notes, reasons(records)...)
}

// reasons are why a driver has no figures somewhere: each once.
func reasons(records []Record) (all []string) {
	for i := range records {
		r := &records[i]
		if r.Cannot != "" {
			why := r.Cannot
			if _, reason, ok := strings.Cut(why, "has no way: "); ok {
				why = reason
			}
			all = once(all, fmt.Sprintf("%s: n/a: %s", r.Driver, why))
		}
		if r.Failure != "" {
			all = once(all, fmt.Sprintf("%s, %s: failed: %s", r.Scenario, r.Driver, r.Failure))
		}
	}
	return all
}

func once(all []string, s string) []string {
	if slices.Contains(all, s) {
		return all
	}
	return append(all, s)
}

// Marks between which a page has a table that is written again.
const (
	beginMark = "<!-- measured: begin -->"
	endMark   = "<!-- measured: end -->"
)

// ErrMarks is why a page is not written: there is not one place in it for what was measured.
var ErrMarks = errors.New("report: want one line " + beginMark + " and one " + endMark + " after it")

// Between returns page with text in place of what stood between the two marks, each a line of its own.
func Between(page, text string) (string, error) {
	before, rest, begins := strings.Cut(page, beginMark+"\n")
	_, after, ends := strings.Cut(rest, endMark+"\n")
	if !begins || !ends || strings.Contains(before+after, beginMark) || strings.Contains(before+after, endMark) {
		return "", ErrMarks
	}
	return before + beginMark + "\n" + strings.TrimRight(text, "\n") + "\n" + endMark + "\n" + after, nil
}
