package slo

import (
	"fmt"
	"strings"

	"github.com/carrier-p2p/carrier/bench/load"
	"github.com/carrier-p2p/carrier/bench/report"
	"github.com/carrier-p2p/carrier/bench/stats"
)

// A Breach is a rule that was not met.
type Breach struct {
	Rule     Rule
	Got      float64
	Measured bool // false: there was nothing to compare
}

// String says what was wanted and what came.
func (b Breach) String() string {
	if !b.Measured {
		return fmt.Sprintf("%s: not measured", b.Rule)
	}
	switch kindOf(b.Rule.Measure) {
	case span:
		return fmt.Sprintf("%s: %s", b.Rule, report.Micros(b.Got))
	case share:
		return fmt.Sprintf("%s: %.3g %%", b.Rule, 100*b.Got)
	}
	return fmt.Sprintf("%s: %s", b.Rule, report.Plain(b.Got))
}

// Check holds the median of some runs to the rules.
func (rules Rules) Check(runs ...*load.Result) (breaches []Breach) {
	for _, r := range rules {
		var values []float64
		for _, run := range runs {
			if v, ok := value(r.Measure, run); ok {
				values = append(values, v)
			}
		}
		if len(values) == 0 || len(values) < len(runs) {
			breaches = append(breaches, Breach{Rule: r})
		} else if v := stats.Median(values); !r.met(v) {
			breaches = append(breaches, Breach{r, v, true})
		}
	}
	return breaches
}

var quantiles = map[string]func(*load.Latency) float64{
	"p50": func(l *load.Latency) float64 { return l.P50 }, "p75": func(l *load.Latency) float64 { return l.P75 },
	"p90": func(l *load.Latency) float64 { return l.P90 }, "p95": func(l *load.Latency) float64 { return l.P95 },
	"p99": func(l *load.Latency) float64 { return l.P99 }, "p99.9": func(l *load.Latency) float64 { return l.P999 },
	"p99.99": func(l *load.Latency) float64 { return l.P9999 }, "max": func(l *load.Latency) float64 { return l.Max },
	"mean": func(l *load.Latency) float64 { return l.Mean },
}

// value is a measure of a run.
func value(measure string, r *load.Result) (v float64, ok bool) {
	latency := r.LatencyMicros
	name, service := strings.CutPrefix(measure, "service-")
	if service {
		latency = r.ServiceMicros
	}
	if get, known := quantiles[name]; known {
		if latency == nil {
			return 0, false
		}
		return get(latency), true
	}
	switch measure {
	case "errors":
		return errorShare(r)
	case "late":
		return float64(r.Late) / float64(r.Planned), r.Planned > 0
	case "unsent":
		return float64(r.Unsent) / float64(r.Planned), r.Planned > 0
	case "rate":
		return r.MessagesPerSecond, r.Seconds > 0
	}
	for _, m := range report.Metrics(r.Scenario) {
		if m.Unit == measure {
			v, ok := m.Get(r)
			return m.Scaled(v), ok
		}
	}
	return 0, false
}

func errorShare(r *load.Result) (float64, bool) {
	var faults uint64
	for _, n := range r.Errors {
		faults += n
	}
	all := r.Messages + faults
	if all == 0 {
		return 0, false
	}
	return float64(faults) / float64(all), true
}
