package plot_test

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/carrier-p2p/carrier/bench/plot"
)

// wellFormed fails on what is no XML, and on numbers that a browser cannot place.
func wellFormed(t interface{ Fatalf(string, ...any) }, svg string) {
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v in %s", err, svg)
		}
	}
	if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
		t.Fatalf("no number in %s", svg)
	}
}

// law: of whatever values, even or logarithmic, the picture is well-formed and every point lies inside it.
func TestChartLaws(t *testing.T) {
	inside := regexp.MustCompile(`points="([^"]*)"`)
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(rapid.Float64Range(-1e12, 1e12), rapid.SampledFrom([]float64{0, 1, math.NaN(), math.Inf(1), math.Inf(-1), 1e-300, 1e300}))
		n := rapid.IntRange(0, 20).Draw(t, "n")
		values := rapid.SliceOfN(value, n, n)
		chart := plot.Chart{
			Title: rapid.StringMatching(`[a-z<&"']{0,8}`).Draw(t, "title"),
			X:     plot.Axis{Log: rapid.Bool().Draw(t, "log x")}, Y: plot.Axis{Log: rapid.Bool().Draw(t, "log y"), Zero: rapid.Bool().Draw(t, "zero")},
			Lines: []plot.Line{{Name: "<a>", X: values.Draw(t, "x"), Y: values.Draw(t, "y"), Steps: rapid.Bool().Draw(t, "steps"), Color: 9}},
			Bands: []plot.Band{{From: math.Inf(-1), To: 0}},
		}
		svg := chart.SVG()
		wellFormed(t, svg)
		if len(svg) > 100_000 {
			t.Fatalf("%d bytes for %d points", len(svg), n)
		}
		for _, points := range inside.FindAllStringSubmatch(svg, -1) {
			for _, point := range strings.Fields(points[1]) {
				x, y, _ := strings.Cut(point, ",")
				px, _ := strconv.ParseFloat(x, 64)
				py, _ := strconv.ParseFloat(y, 64)
				if px < 0 || px > plot.Width || py < 0 || py > plot.Height {
					t.Fatalf("a point at %s in %s", point, svg)
				}
			}
		}
	})
}

// A chart says what it shows: title, labels, ticks in words, lines with what is under the pointer.
func TestChart(t *testing.T) {
	chart := plot.Chart{
		Title: "Latency", X: plot.Axis{Label: "seconds"}, Y: plot.Axis{Label: "us", Log: true, Show: func(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) + " us" }},
		Lines: []plot.Line{{Name: "a", X: []float64{0, 1, 2}, Y: []float64{10, 100, 1000}}, {Name: "b", Color: 1, Dashed: true, X: []float64{1}, Y: []float64{50}}},
	}
	svg := chart.SVG()
	wellFormed(t, svg)
	for _, want := range []string{`aria-label="Latency"`, ">seconds<", ">100 us<", ">0.5<", `class="line c0"`, `class="line c1 dashed"`, `<circle class="line c1 dashed dot"`, `data-y="212.0 10 us|121.0 100 us|30.0 1e+03 us"`} {
		if !strings.Contains(svg, want) {
			t.Errorf("no %q in %s", want, svg)
		}
	}
	if empty := (&plot.Chart{}).SVG(); !strings.Contains(empty, "nothing was measured") {
		t.Errorf("a chart of nothing: %s", empty)
	}
}

// Bars are as long as their values, and bounds are drawn where there are any.
func TestBars(t *testing.T) {
	svg := (&plot.Bars{Title: "rate", Note: "more is better", Rows: []plot.Row{{Name: "a&b", Value: 50, Least: 40, Top: 100}, {Name: "c", Color: 1, Value: 25, Least: 25, Top: 25}}}).SVG()
	wellFormed(t, svg)
	for _, want := range []string{"a&amp;b", `width="212.0"`, `width="106.0"`, "50 [40..100]", ">25<"} {
		if !strings.Contains(svg, want) {
			t.Errorf("no %q in %s", want, svg)
		}
	}
	if n := strings.Count(svg, `class="bounds"`); n != 1 {
		t.Errorf("%d bounds, want 1", n)
	}
	wellFormed(t, (&plot.Bars{}).SVG())
	wellFormed(t, (&plot.Bars{Rows: []plot.Row{{Value: math.NaN()}, {Value: -3, Least: -5, Top: 1}}}).SVG())
}

// A picture that stands alone brings its style and stays a picture.
func TestStandalone(t *testing.T) {
	svg := plot.Standalone((&plot.Bars{Title: "a"}).SVG())
	wellFormed(t, svg)
	if !strings.Contains(svg, "prefers-color-scheme: dark") || !strings.HasPrefix(svg, "<svg ") {
		t.Errorf("%s", svg)
	}
}
