package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/carrier-p2p/carrier/bench/load"
)

// WriteOpenMetrics writes the last run of each driver in each group as OpenMetrics text: gauges, and a
// summary of latencies. (OpenMetrics
// 1.0, section 4: metric families are not interleaved, and the text ends with # EOF.)
func WriteOpenMetrics(w io.Writer, records []Record) error {
	families := map[string]*family{}
	for _, g := range Groups(records) {
		for _, driver := range g.Drivers {
			runs := g.Runs[driver]
			addFamilies(families, runs[len(runs)-1])
		}
	}
	out := bufio.NewWriter(w)
	names := make([]*family, 0, len(families))
	for _, f := range families {
		names = append(names, f)
	}
	slices.SortFunc(names, func(a, b *family) int { return cmp.Compare(a.name, b.name) })
	for _, f := range names {
		fmt.Fprintf(out, "# TYPE %s %s\n# HELP %s %s\n%s", f.name, f.kind, f.name, f.help, f.samples.String())
	}
	fmt.Fprintln(out, "# EOF")
	return out.Flush()
}

// A family is all samples of one name.
type family struct {
	name, kind, help string
	samples          strings.Builder
}

func addFamilies(families map[string]*family, r *Record) {
	labels := labelsOf(r)
	get := func(name, kind, help string) *family {
		if families[name] == nil {
			families[name] = &family{name: name, kind: kind, help: help}
		}
		return families[name]
	}
	for _, m := range Metrics(r.Scenario) {
		if v, ok := r.get(m); ok && !strings.Contains(m.Unit, "-us") {
			f := get("p2pbench_"+metricName(m.Unit), "gauge", m.Name+".")
			fmt.Fprintf(&f.samples, "%s{%s} %s\n", f.name, labels, number(m, v))
		}
	}
	for _, view := range []struct {
		name, help string
		latency    *load.Latency
	}{
		{"p2pbench_latency_seconds", "Latency, at a rate from the planned time.", r.LatencyMicros},
		{"p2pbench_service_seconds", "Latency from the actual sending.", r.ServiceMicros},
	} {
		if view.latency != nil {
			f := get(view.name, "summary", view.help)
			f.addSummary(labels, view.latency)
		}
	}
	f := get("p2pbench_errors", "gauge", "Messages lost, doubled, altered or not answered.")
	var faults uint64
	for _, n := range r.Errors {
		faults += n
	}
	fmt.Fprintf(&f.samples, "%s{%s} %d\n", f.name, labels, faults)
}

func (f *family) addSummary(labels string, l *load.Latency) {
	for _, q := range []struct {
		quantile string
		micros   float64
	}{{"0.5", l.P50}, {"0.75", l.P75}, {"0.9", l.P90}, {"0.95", l.P95}, {"0.99", l.P99}, {"0.999", l.P999}, {"0.9999", l.P9999}, {"1", l.Max}} {
		fmt.Fprintf(&f.samples, "%s{%s,quantile=%q} %s\n", f.name, labels, q.quantile, strconv.FormatFloat(q.micros/1e6, 'g', 6, 64))
	}
	fmt.Fprintf(&f.samples, "%s_count{%s} %d\n", f.name, labels, l.Count)
	fmt.Fprintf(&f.samples, "%s_sum{%s} %s\n", f.name, labels, strconv.FormatFloat(l.Mean*float64(l.Count)/1e6, 'g', 9, 64))
}

func labelsOf(r *Record) string {
	var labels []string
	for _, part := range strings.Split(benchName(r), "/")[1:] {
		key, value, _ := strings.Cut(part, "=")
		labels = append(labels, key+`="`+labelEscaper.Replace(value)+`"`)
	}
	return strings.Join(labels, ",")
}

var labelEscaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// metricName makes a unit a name: messages/s is messages_per_s.
func metricName(unit string) string {
	unit = strings.ToLower(strings.ReplaceAll(unit, "/", "_per_"))
	return strings.Map(func(r rune) rune {
		if r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, unit)
}
