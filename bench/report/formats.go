package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Formats returns the names of what Write writes.
func Formats() []string {
	return []string{"text", "json", "jsonl", "csv", "md", "bench", "openmetrics", "html"}
}

// Write writes records in one of Formats.
func Write(w io.Writer, format string, records []Record) error {
	write := map[string]func(io.Writer, []Record) error{
		"text": WriteText, "json": WriteJSON, "jsonl": WriteJSONL, "csv": WriteCSV, "md": WriteMarkdown,
		"bench": WriteBench, "openmetrics": WriteOpenMetrics, "html": WriteHTML,
	}[format]
	if write == nil {
		return fmt.Errorf("%w: no format %q: want one of %s", ErrFormat, format, strings.Join(Formats(), ", "))
	}
	return write(w, records)
}

// FormatOf returns the format that a file's name asks for by its ending.
func FormatOf(path string) (string, error) {
	dot := strings.LastIndexByte(path, '.')
	format := map[string]string{
		".txt": "text", ".json": "json", ".jsonl": "jsonl", ".csv": "csv", ".md": "md", ".bench": "bench", ".prom": "openmetrics", ".html": "html",
	}[path[max(dot, 0):]]
	if format == "" {
		return "", fmt.Errorf("%w: %s: want a name that ends in .txt, .json, .jsonl, .csv, .md, .bench, .prom or .html", ErrFormat, path)
	}
	return format, nil
}

// WriteCSV writes a line for each figure of each run: long and narrow, as spreadsheets and data frames like it.
func WriteCSV(w io.Writer, records []Record) error {
	out := csv.NewWriter(w)
	if err := out.Write([]string{"at", "scenario", "title", "driver", "round", "metric", "value", "better"}); err != nil {
		return err
	}
	for i := range records {
		r := &records[i]
		for _, m := range Metrics(r.Scenario) {
			v, ok := r.get(m)
			if !ok {
				continue
			}
			better := map[Better]string{Lower: "lower", Higher: "higher"}[m.Better]
			line := []string{r.At.UTC().Format(time.RFC3339), r.Scenario, Title(r.config()), r.Driver, strconv.Itoa(r.Round), m.Unit, number(m, v), better}
			if err := out.Write(line); err != nil {
				return err
			}
		}
	}
	out.Flush()
	return out.Error()
}

// number is a figure in its metric's unit, for machines.
func number(m Metric, v float64) string {
	return strconv.FormatFloat(m.Scaled(v), 'g', 6, 64)
}

// WriteMarkdown writes a table for each group.
func WriteMarkdown(w io.Writer, records []Record) error {
	for i, g := range Groups(records) {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "### %s\n\n", g.heading())
		for n, row := range g.table() {
			fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
			if n == 0 {
				fmt.Fprintf(w, "|---%s|\n", strings.Repeat("|---:", len(row)-1))
			}
		}
		if notes := g.notes(); len(notes) > 0 {
			fmt.Fprintf(w, "\n%s\n", strings.Join(notes, "\n"))
		}
	}
	if len(records) > 0 {
		fmt.Fprintf(w, "\n%s\n", environmentLine(&records[0]))
	}
	return nil
}

// environmentLine says on what a record was made, in one line.
func environmentLine(r *Record) string {
	var parts []string
	if h := r.Host; h != nil {
		cpu := h.CPU
		if cpu == "" {
			cpu = h.Arch
		}
		parts = append(parts, fmt.Sprintf("%d x %s", h.Processors, cpu), strings.TrimSpace(h.OS+" "+h.Kernel))
	}
	if b := r.Build; b != nil {
		parts = append(parts, b.Go, b.Short())
	}
	if !r.At.IsZero() {
		parts = append(parts, r.At.UTC().Format("2006-01-02 15:04 UTC"))
	}
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), "; ")
}
