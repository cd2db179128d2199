package report

import (
	"encoding/json"
	"slices"

	"github.com/carrier-p2p/carrier/bench/load"
	"github.com/carrier-p2p/carrier/bench/stats"
)

// A Spread is what one driver showed in one metric over the rounds.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// SpreadOf returns the median of values and their bounds. There must be one at least.
func SpreadOf(values []float64) Spread {
	return Spread{Median: stats.Median(values), Min: slices.Min(values), Max: slices.Max(values)}
}

// A Group is all runs of one scenario with one config and one set of drivers: the line that ends them in the
// JSON output of runs in turns.
type Group struct {
	Scenario string                        `json:"compared"` // not "scenario": this is no run
	Config   load.Config                   `json:"config"`
	Rounds   int                           `json:"rounds"`
	Drivers  []string                      `json:"drivers"` // the one in question first
	Spreads  map[string]map[string]Spread  `json:"spreads"` // by driver, by metric
	Ratios   map[string]map[string]float64 `json:"ratios"`  // medians of the first driver by those of another, by driver, by metric
	Runs     map[string][]*Record          `json:"-"`       // by driver
}

// Groups puts records of one scenario and config together, in the order in which each first came.
func Groups(records []Record) []*Group {
	var groups []*Group
	byKey := map[string]*Group{}
	for i := range records {
		r := &records[i]
		key := groupKey(r)
		g := byKey[key]
		if g == nil {
			g = &Group{Scenario: r.Scenario, Config: r.config(), Runs: map[string][]*Record{}}
			byKey[key] = g
			groups = append(groups, g)
		}
		if len(g.Runs[r.Driver]) == 0 {
			g.Drivers = append(g.Drivers, r.Driver)
		}
		g.Runs[r.Driver] = append(g.Runs[r.Driver], r)
		g.Rounds = max(g.Rounds, len(g.Runs[r.Driver]))
	}
	for _, g := range groups {
		g.summarize()
	}
	return groups
}

func groupKey(r *Record) string {
	config, err := json.Marshal(r.Config)
	if err != nil {
		panic("report: bug: a config is no JSON: " + err.Error())
	}
	return r.Scenario + string(config) + r.Set
}

func (g *Group) summarize() {
	g.Spreads, g.Ratios = map[string]map[string]Spread{}, map[string]map[string]float64{}
	for _, driver := range g.Drivers {
		g.Spreads[driver] = map[string]Spread{}
		for _, m := range Metrics(g.Scenario) {
			if values := g.values(driver, m); len(values) > 0 {
				g.Spreads[driver][m.Name] = SpreadOf(values)
			}
		}
	}
	first := g.Spreads[g.Drivers[0]]
	for _, driver := range g.Drivers[1:] {
		g.Ratios[driver] = map[string]float64{}
		for _, m := range Metrics(g.Scenario) {
			ours, theirs := first[m.Name], g.Spreads[driver][m.Name]
			if !m.Tiny && ours.Median > 0 && theirs.Median > 0 {
				g.Ratios[driver][m.Name] = ours.Median / theirs.Median
			}
		}
	}
}

func (g *Group) values(driver string, m Metric) (values []float64) {
	for _, r := range g.Runs[driver] {
		if v, ok := r.get(m); ok {
			values = append(values, v)
		}
	}
	return values
}

// Columns are the metrics that at least one driver has.
func (g *Group) Columns() (shown []Metric) {
	for _, m := range Metrics(g.Scenario) {
		if slices.ContainsFunc(g.Drivers, func(name string) bool { _, ok := g.Spreads[name][m.Name]; return ok }) {
			shown = append(shown, m)
		}
	}
	return shown
}

// Cell shows one metric of one driver: the median, and its bounds if there were rounds.
func (g *Group) Cell(driver string, m Metric) string {
	s, ok := g.Spreads[driver][m.Name]
	switch {
	case !ok:
		return g.absent(driver)
	case len(g.Runs[driver]) == 1:
		return m.Show(s.Median)
	}
	return m.Show(s.Median) + " [" + m.Show(s.Min) + ".." + m.Show(s.Max) + "]"
}

// absent says why a driver has no figure: it cannot, its runs failed, or that is none of its figures.
func (g *Group) absent(driver string) string {
	switch {
	case g.Runs[driver][0].Cannot != "":
		return "n/a"
	case g.measured(driver) == 0:
		return "failed"
	}
	return "-"
}

// measured is how many of a driver's runs did not fail.
func (g *Group) measured(driver string) (n int) {
	for _, r := range g.Runs[driver] {
		if r.Failure == "" {
			n++
		}
	}
	return n
}

// Faults adds up what went wrong in a driver's runs, by kind.
func (g *Group) Faults(driver string) map[string]uint64 {
	all := map[string]uint64{}
	for _, r := range g.Runs[driver] {
		if r.Failure != "" {
			all["failed runs"]++
		}
		for kind, n := range r.Errors {
			all[kind] += n
		}
	}
	return all
}

// Typical returns the run of a driver that is nearest to the median of its first metric: what curves are drawn of.
func (g *Group) Typical(driver string) *Record {
	runs := slices.Clone(g.Runs[driver])
	if g.measured(driver) > 0 {
		runs = slices.DeleteFunc(runs, func(r *Record) bool { return r.Failure != "" })
	}
	m := Metrics(g.Scenario)[0]
	slices.SortStableFunc(runs, func(a, b *Record) int {
		x, _ := m.Get(&a.Result)
		y, _ := m.Get(&b.Result)
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	return runs[(len(runs)-1)/2]
}
