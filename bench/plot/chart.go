package plot

import (
	"fmt"
	"html"
	"strings"
)

// Sizes of the drawing, in its own units.
const (
	Width  = 440
	Height = 250

	left   = 54
	right  = 12
	top    = 30
	bottom = 38
)

// Colors is how many classes of lines there are; from there on they repeat.
const Colors = 8

// A Chart is lines over two axes.
type Chart struct {
	Title string
	X, Y  Axis
	Lines []Line
	Bands []Band
}

// A Line is points in the order they are joined. X and Y have the same length.
type Line struct {
	Name   string
	Color  int
	Dashed bool
	Steps  bool // from point to point first across, then up: for distributions
	X, Y   []float64
}

// A Band is a shaded stretch of the X axis.
type Band struct{ From, To float64 }

// SVG draws the chart.
func (c *Chart) SVG() string {
	var xs, ys []float64
	for _, l := range c.Lines {
		xs, ys = append(xs, l.X...), append(ys, l.Y...)
	}
	x, okX := c.X.over(xs)
	y, okY := c.Y.over(ys)
	var b strings.Builder
	open(&b, c.Title, Height)
	if !okX || !okY {
		text(&b, Width/2, Height/2, "middle", "", "nothing was measured")
		b.WriteString("</svg>")
		return b.String()
	}
	for _, band := range c.Bands {
		from, to := max(band.From, x.min), min(band.To, x.max)
		if from < to {
			fmt.Fprintf(&b, `<rect class="band" x="%.1f" y="%d" width="%.1f" height="%d"/>`, px(x, from), top, px(x, to)-px(x, from), Height-top-bottom)
		}
	}
	c.grid(&b, x, y)
	for _, l := range c.Lines {
		l.draw(&b, x, y)
	}
	b.WriteString("</svg>")
	return b.String()
}

func open(b *strings.Builder, title string, height int) {
	title = html.EscapeString(title)
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" class="plot" viewBox="0 0 %d %d" role="img" aria-label="%s">`, Width, height, title)
	fmt.Fprintf(b, `<text class="title" x="4" y="16">%s</text>`, title)
}

func text(b *strings.Builder, x, y float64, anchor, class, s string) {
	fmt.Fprintf(b, `<text class="%s" x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, class, x, y, anchor, html.EscapeString(s))
}

func px(s scale, v float64) float64 { return left + s.at(v)*(Width-left-right) }
func py(s scale, v float64) float64 { return Height - bottom - s.at(v)*(Height-top-bottom) }

func (c *Chart) grid(b *strings.Builder, x, y scale) {
	for _, t := range y.ticks() {
		at := py(y, t.At)
		fmt.Fprintf(b, `<path class="grid" d="M%d %.1fH%d"/>`, left, at, Width-right)
		text(b, left-6, at+4, "end", "tick", t.Text)
	}
	last := -100.0
	for _, t := range x.ticks() {
		at := px(x, t.At)
		fmt.Fprintf(b, `<path class="grid" d="M%.1f %dV%d"/>`, at, top, Height-bottom)
		if at-last < 7*float64(len([]rune(t.Text)))+6 {
			continue // its text would touch the one before
		}
		last = at
		text(b, min(at, Width-right-3*float64(len(t.Text))), Height-bottom+15, "middle", "tick", t.Text)
	}
	text(b, (left+Width-right)/2, Height-4, "middle", "label", c.X.Label)
	text(b, Width-right, 16, "end", "label", c.Y.Label)
}

func (l *Line) draw(b *strings.Builder, x, y scale) {
	var path, showX, showY []string
	var before float64
	for i := range l.X {
		if !x.axis.drawable(l.X[i]) || !y.axis.drawable(l.Y[i]) {
			continue
		}
		atX, atY := px(x, l.X[i]), py(y, l.Y[i])
		if l.Steps && len(path) > 0 {
			path = append(path, fmt.Sprintf("%.1f,%.1f", atX, before))
		}
		path = append(path, fmt.Sprintf("%.1f,%.1f", atX, atY))
		showX, showY = append(showX, fmt.Sprintf("%.1f %s", atX, x.show(l.X[i]))), append(showY, fmt.Sprintf("%.1f %s", atY, y.show(l.Y[i])))
		before = atY
	}
	if len(path) == 0 {
		return
	}
	class := fmt.Sprintf("line c%d", l.Color%Colors)
	if l.Dashed {
		class += " dashed"
	}
	if len(showX) == 1 { // a line of one point would not be seen
		fmt.Fprintf(b, `<circle class="%s dot" cx="%s" cy="%s" r="3"/>`, class, strings.Fields(showX[0])[0], strings.Fields(showY[0])[0])
	}
	fmt.Fprintf(b, `<polyline class="%s" data-name="%s" data-x="%s" data-y="%s" points="%s"/>`, class, html.EscapeString(l.Name),
		html.EscapeString(strings.Join(showX, "|")), html.EscapeString(strings.Join(showY, "|")), strings.Join(path, " "))
}
