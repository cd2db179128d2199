package main

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"strings"
)

// A picture is a diagram with curves, drawn as SVG without anything from outside, so that it can be looked at
// in a browser and in a document.
type picture struct {
	title, xLabel, yLabel, note string
	yMost                       float64
	families                    [][]curve // of one colour each
}

// A curve is a line through points whose x goes up. The first of a family has marks and a name.
type curve struct {
	name   string
	dashed bool
	points []point
}

type point struct{ x, y float64 }

// Measures of the picture, in pixels.
const (
	svgWidth, svgHeight = 720, 440
	svgLeft, svgRight   = 60, 110
	svgTop, svgBottom   = 44, 70
)

// palette returns the colour of a family. They can be told apart also by those who do not see all colours (Okabe and Ito).
func palette(i int) string {
	colours := [...]string{"#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"}
	return colours[i%len(colours)]
}

func (p *picture) add(family ...curve) { p.families = append(p.families, family) }

// at returns where a point lies. x goes from 0 to 1.
func (p *picture) at(q point) (x, y float64) {
	x = svgLeft + q.x*(svgWidth-svgLeft-svgRight)
	y = svgHeight - svgBottom - q.y/p.yMost*(svgHeight-svgTop-svgBottom)
	return x, y
}

// draw writes the picture.
func (p *picture) draw(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", svgWidth, svgHeight)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", svgWidth, svgHeight)
	text(&b, svgWidth/2, 24, "middle", "#000", p.title)
	text(&b, (svgLeft+svgWidth-svgRight)/2, svgHeight-34, "middle", "#000", p.xLabel)
	text(&b, svgLeft, svgHeight-12, "start", "#555", p.note)
	text(&b, 8, svgTop-10, "start", "#000", p.yLabel)
	p.grid(&b)
	for i, family := range p.families {
		p.family(&b, family, palette(i), float64(svgTop+20*(i+1)))
	}
	b.WriteString("</svg>\n")
	_, err := w.Write(b.Bytes())
	return err
}

// grid draws ten steps in both directions, and their numbers.
func (p *picture) grid(b *bytes.Buffer) {
	for i := range 11 {
		step := float64(i) / 10
		x, bottom := p.at(point{step, 0})
		_, top := p.at(point{step, p.yMost})
		fmt.Fprintf(b, `<path d="M%.1f %.1fV%.1f" stroke="#ddd"/>`+"\n", x, bottom, top)
		text(b, x, bottom+16, "middle", "#555", fmt.Sprintf("%.1f", step))
		left, y := p.at(point{0, step * p.yMost})
		right, _ := p.at(point{1, 0})
		fmt.Fprintf(b, `<path d="M%.1f %.1fH%.1f" stroke="#ddd"/>`+"\n", left, y, right)
		text(b, left-6, y+4, "end", "#555", fmt.Sprintf("%.3g", step*p.yMost))
	}
}

// family draws curves of one colour, and the name of the first beside the picture.
func (p *picture) family(b *bytes.Buffer, family []curve, colour string, legend float64) {
	for i, c := range family {
		if len(c.points) == 0 {
			continue
		}
		dash := ""
		if c.dashed {
			dash = ` stroke-dasharray="6 4"`
		}
		var path strings.Builder
		for j, q := range c.points {
			x, y := p.at(q)
			fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(j, 1)], x, y)
			if i == 0 {
				fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"/>`+"\n", x, y, colour)
			}
		}
		fmt.Fprintf(b, `<path d="%s" fill="none" stroke="%s" stroke-width="1.5"%s/>`+"\n", path.String(), colour, dash)
		if i == 0 {
			const x = svgWidth - svgRight + 16
			fmt.Fprintf(b, `<circle cx="%d" cy="%.1f" r="3.5" fill="%s"/>`+"\n", x, legend-4, colour)
			text(b, x+10, legend, "start", "#000", c.name)
		}
	}
}

func text(b *bytes.Buffer, x, y float64, anchor, colour, s string) {
	if s != "" {
		fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s">%s</text>`+"\n", x, y, anchor, colour, html.EscapeString(s))
	}
}
