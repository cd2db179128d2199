package plot

import (
	"fmt"
	"html"
	"strings"
)

// Bars compares one figure of several names.
type Bars struct {
	Title string
	Note  string // which way is better
	Show  func(float64) string
	Rows  []Row
}

// A Row is one bar: a value and its bounds, which are drawn if they differ.
type Row struct {
	Name       string
	Color      int
	Value      float64
	Least, Top float64
}

const (
	rowHeight = 34
	barHeight = 12
)

// SVG draws the bars, each under its name and beside its value.
func (c *Bars) SVG() string {
	var values []float64
	for _, r := range c.Rows {
		values = append(values, r.Value, r.Least, r.Top)
	}
	axis := Axis{Zero: true, Show: c.Show}
	s, ok := axis.over(values)
	var b strings.Builder
	open(&b, c.Title, top+len(c.Rows)*rowHeight+6)
	text(&b, Width-right, 16, "end", "label", c.Note)
	for i, r := range c.Rows {
		if ok && axis.drawable(r.Value) && axis.drawable(r.Least) && axis.drawable(r.Top) {
			c.row(&b, s, r, top+i*rowHeight)
		}
	}
	b.WriteString("</svg>")
	return b.String()
}

func (c *Bars) row(b *strings.Builder, s scale, r Row, y int) {
	at := func(v float64) float64 { return 4 + s.at(v)*(Width-16) }
	value := s.show(r.Value)
	bounds := ""
	if r.Least < r.Top {
		bounds = fmt.Sprintf(" [%s..%s]", s.show(r.Least), s.show(r.Top))
	}
	fmt.Fprintf(b, `<g class="row c%d" data-name="%s">`, r.Color%Colors, html.EscapeString(r.Name))
	text(b, 4, float64(y+11), "start", "name", r.Name)
	text(b, Width-right, float64(y+11), "end", "value", value+bounds)
	zero := at(max(s.min, 0))
	from, to := min(zero, at(r.Value)), max(zero, at(r.Value))
	fmt.Fprintf(b, `<rect class="bar c%d" x="%.1f" y="%d" width="%.1f" height="%d" rx="2"/>`, r.Color%Colors, from, y+16, max(to-from, 1), barHeight)
	if r.Least < r.Top {
		middle := y + 16 + barHeight/2
		fmt.Fprintf(b, `<path class="bounds" d="M%.1f %dH%.1fM%.1f %dv8M%.1f %dv8"/>`,
			at(r.Least), middle, at(r.Top), at(r.Least), middle-4, at(r.Top), middle-4)
	}
	b.WriteString("</g>")
}
