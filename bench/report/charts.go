package report

import (
	"math"
	"slices"
	"strconv"

	"github.com/carrier-p2p/carrier/bench/load"
	"github.com/carrier-p2p/carrier/bench/plot"
)

// A picture is a drawing with a name that a file can have.
type picture struct {
	name string
	svg  string
}

// Names of bars: of the lead, and of others, before their unit.
const (
	leadPicture = "lead"
	barsPrefix  = "bars-"
)

// lead is the figure that the group is about: at a rate the tail of latencies, else what the scenario is about.
func (g *Group) lead() (m Metric, ok bool) {
	shown := g.Columns()
	if len(shown) == 0 {
		return Metric{}, false
	}
	if open := g.Config.Rate > 0 || len(g.Config.Stages) > 0; open {
		for _, m := range shown {
			if m.Unit == p99Unit {
				return m, true
			}
		}
	}
	return shown[0], true
}

// headlines draw bars for each driver: of the lead, and of up to two figures more that matter everywhere.
func (g *Group) headlines() (pictures []picture) {
	lead, ok := g.lead()
	if !ok {
		return nil
	}
	first := g.bars(lead)
	first.name = leadPicture
	pictures = append(pictures, first)
	for _, m := range g.Columns() {
		if (m.Unit == cpuUnit || m.Unit == p99Unit || m.Unit == rssUnit) && m.Unit != lead.Unit && len(pictures) < headlinesLimit {
			pictures = append(pictures, g.bars(m))
		}
	}
	return pictures
}

// headlinesLimit is how many bars stand above each other beside one chart of the same height.
const headlinesLimit = 3

func (g *Group) bars(m Metric) picture {
	bars := plot.Bars{Title: m.Name, Note: m.Better.words(), Show: m.Show}
	for i, driver := range g.Drivers {
		if s, ok := g.Spreads[driver][m.Name]; ok {
			bars.Rows = append(bars.Rows, plot.Row{Name: driver, Color: i, Value: s.Median, Least: s.Min, Top: s.Max})
		}
	}
	return picture{barsPrefix + fileName(m.Unit), bars.SVG()}
}

// distributions draw latencies, of each driver's typical run: solid from the planned time, dashed from the actual sending.
func (g *Group) distributions() []picture {
	micros := plot.Axis{Label: "latency", Log: true, Show: Micros}
	cdf := plot.Chart{Title: "How many took no longer than", X: micros, Y: plot.Axis{Label: "% of all", Zero: true}}
	curve := plot.Chart{Title: "Percentiles", X: nines, Y: micros}
	for i, driver := range g.Drivers {
		r := g.Typical(driver)
		for _, view := range []struct {
			latency *load.Latency
			dashed  bool
			name    string
		}{{r.LatencyMicros, false, driver}, {r.ServiceMicros, true, driver + " (from the sending)"}} {
			if view.latency == nil || len(view.latency.Curve) == 0 {
				continue
			}
			percent, us, tail := curvePoints(view.latency)
			cdf.Lines = append(cdf.Lines, plot.Line{Name: view.name, Color: i, Dashed: view.dashed, X: us, Y: percent})
			curve.Lines = append(curve.Lines, plot.Line{Name: view.name, Color: i, Dashed: view.dashed, X: tail, Y: us})
		}
	}
	if len(cdf.Lines) == 0 {
		return nil
	}
	return []picture{{"latency-cdf", cdf.SVG()}, {"latency-percentiles", curve.SVG()}}
}

// nines is an axis on which 90, 99 and 99.9 percent are equally far apart: the inverse of the share that took longer.
var nines = plot.Axis{
	Label: "percentile", Log: true, Show: func(v float64) string { return trim(100-100/v) + " %" },
	Ticks: []plot.Tick{{At: 1, Text: "0"}, {At: 2, Text: "50"}, {At: 10, Text: "90"}, {At: 100, Text: "99"}, {At: 1000, Text: "99.9"}, {At: 1e4, Text: "99.99"}},
}

// curvePoints returns a distribution's points; the maximum stands where the last one of so many values does.
func curvePoints(l *load.Latency) (percent, us, tail []float64) {
	for _, q := range l.Curve {
		percent, us = append(percent, q.Percent), append(us, q.Micros)
		tail = append(tail, min(100/math.Max(100-q.Percent, 1e-9), math.Max(float64(l.Count), 1)))
	}
	return percent, us, tail
}

func trim(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

// Micros shows a time that is given in microseconds.
func Micros(v float64) string {
	switch {
	case v >= 999_500:
		return trimmed(v/1e6) + " s"
	case v >= 999.5:
		return trimmed(v/1e3) + " ms"
	}
	return trimmed(v) + " us"
}

func trimmed(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) }

// amount shows a number on an axis: 3 digits, no zeros behind them, k and M.
func amount(v float64) string {
	switch {
	case v >= 999_500:
		return trimmed(v/1e6) + "M"
	case v >= 9_995:
		return trimmed(v/1e3) + "k"
	case v >= 999.5:
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return trimmed(v)
}

func megabytes(v float64) string { return amount(v / 1e6) }

// A course is something that changes during a run.
type course struct {
	name, title, label string
	show               func(float64) string
	serving, dialling  func(w *load.Window) (float64, bool) // drawn solid and dashed; nil: not
}

// courses in the order they are shown; the first six without being asked for.
var courses = []course{
	{"rate", "Messages a second", "", amount, rateOf, plannedOf},
	{"p99", "p99 of each window", "", Micros, p99Of, nil},
	{"rss", "Resident memory", "MB", megabytes, serving(func(l *load.Load) float64 { return float64(l.RSSBytes) }), dialling(func(l *load.Load) float64 { return float64(l.RSSBytes) })},
	{"cores", "Processors in use", "", amount, serving(func(l *load.Load) float64 { return l.Cores }), dialling(func(l *load.Load) float64 { return l.Cores })},
	{"heap", "Heap, with what awaits collection", "MB", megabytes, serving(func(l *load.Load) float64 { return float64(l.HeapBytes) }), dialling(func(l *load.Load) float64 { return float64(l.HeapBytes) })},
	{"goroutines", "Goroutines", "", amount, serving(func(l *load.Load) float64 { return float64(l.Goroutines) }), dialling(func(l *load.Load) float64 { return float64(l.Goroutines) })},
	{"pauses", "Stopped by the collector, us a second", "us/s", amount, per(serving(func(l *load.Load) float64 { return l.GCPauseMicros })), per(dialling(func(l *load.Load) float64 { return l.GCPauseMicros }))},
	{"switches", "Context switches a second", "", amount, per(serving(switches)), per(dialling(switches))},
	{"retransmits", "TCP segments sent again a second", "whole machine", amount, nil, per(func(w *load.Window) (float64, bool) { return float64(w.Retransmits), true })},
}

// firstCourses is how many are shown without being asked for.
const firstCourses = 6

func switches(l *load.Load) float64 { return float64(l.Waits + l.Preemptions) }

func rateOf(w *load.Window) (float64, bool) { return float64(w.Messages) / w.Seconds, w.Seconds > 0 }

func plannedOf(w *load.Window) (float64, bool) { return w.PlannedPer, w.PlannedPer > 0 }

func p99Of(w *load.Window) (float64, bool) {
	if w.Latency == nil {
		return 0, false
	}
	return w.Latency.P99, true
}

func serving(get func(*load.Load) float64) func(*load.Window) (float64, bool) {
	return func(w *load.Window) (float64, bool) {
		if w.Server == nil {
			return 0, false
		}
		return get(w.Server), true
	}
}

func dialling(get func(*load.Load) float64) func(*load.Window) (float64, bool) {
	return func(w *load.Window) (float64, bool) { return get(&w.Client), true }
}

func per(get func(*load.Window) (float64, bool)) func(*load.Window) (float64, bool) {
	return func(w *load.Window) (float64, bool) {
		v, ok := get(w)
		return v / w.Seconds, ok && w.Seconds > 0
	}
}

// overTime draws courses of the typical runs. Time counts from the beginning of the part that is measured;
// what was before it is shaded.
func (g *Group) overTime(courses []course) (pictures []picture) {
	for _, c := range courses {
		chart := plot.Chart{Title: c.title, X: plot.Axis{Label: "seconds", Show: trimmed}, Y: plot.Axis{Label: c.label, Show: c.show, Zero: true}}
		for i, driver := range g.Drivers {
			windows := g.Typical(driver).Series.Windows
			begin := beginOf(windows, g.Scenario)
			chart.Lines = append(chart.Lines, courseLines(c, windows, begin, i, driver)...)
			if len(windows) > 0 {
				chart.Bands = append(chart.Bands[:0], plot.Band{From: math.Inf(-1), To: 0})
			}
		}
		if len(chart.Lines) > 0 {
			pictures = append(pictures, picture{c.name, chart.SVG()})
		}
	}
	return pictures
}

// beginOf returns when the part that is measured began; 0 if the series does not show it.
func beginOf(windows []load.Window, part string) float64 {
	for i := range windows {
		if windows[i].Part == part {
			return windows[i].AtSeconds - windows[i].Seconds
		}
	}
	return 0
}

func courseLines(c course, windows []load.Window, begin float64, color int, driver string) (lines []plot.Line) {
	for _, side := range []struct {
		get  func(*load.Window) (float64, bool)
		line plot.Line
	}{
		{c.serving, plot.Line{Name: driver, Color: color}},
		{c.dialling, plot.Line{Name: driver + c.second(), Color: color, Dashed: true}},
	} {
		if side.get == nil {
			continue
		}
		for i := range windows {
			if v, ok := side.get(&windows[i]); ok {
				side.line.X = append(side.line.X, windows[i].AtSeconds-begin)
				side.line.Y = append(side.line.Y, v)
			}
		}
		if slices.ContainsFunc(side.line.Y, func(v float64) bool { return v != 0 }) {
			lines = append(lines, side.line)
		}
	}
	return lines
}

// second names what is dashed.
func (c course) second() string {
	if c.name == "rate" {
		return " (planned)"
	}
	return " (dialling side)"
}
