package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/carrier-p2p/carrier/bench/load"
)

// A Spread is what one driver showed in one metric over the rounds.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// A comparison is all rounds of one scenario: the line that ends its runs in the JSON output.
type comparison struct {
	Scenario string                        `json:"compared"` // not "scenario": this is no run
	Config   load.Config                   `json:"config"`
	Rounds   int                           `json:"rounds"`
	Drivers  []string                      `json:"drivers"` // the one in question first
	Spreads  map[string]map[string]Spread  `json:"spreads"` // by driver, by metric
	Ratios   map[string]map[string]float64 `json:"ratios"`  // medians of the first driver by those of another, by driver, by metric
	runs     map[string][]*load.Result
}

// rounds measures every config with every driver, in turns, each run in fresh processes.
func (a *app) rounds(f *runFlags, configs []load.Config, names []string) error {
	out, done, err := a.jsonOut(f.JSON)
	if err != nil {
		return err
	}
	err = a.allRounds(f, configs, names, out)
	return errors.Join(err, done())
}

func (a *app) allRounds(f *runFlags, configs []load.Config, names []string, out io.Writer) error {
	faulty := false
	for _, c := range configs {
		compared := &comparison{Scenario: c.Scenario, Config: c, Rounds: f.rounds(), Drivers: names, runs: map[string][]*load.Result{}}
		for round := range f.rounds() {
			for _, name := range names {
				if a.ctx.Err() != nil {
					break
				}
				label := ""
				if f.rounds() > 1 {
					label = fmt.Sprintf("round %d/%d", round+1, f.rounds())
				}
				args := arguments(c, name, label)
				args = append(args, "--quiet="+fmt.Sprint(f.Quiet), "--no-table")
				result, err := a.runSelf(a.ctx, args)
				if err != nil && a.ctx.Err() != nil {
					break // it had nothing yet
				}
				if err != nil {
					return err
				}
				faulty = faulty || result.Failed()
				compared.runs[name] = append(compared.runs[name], result)
				if err := writeJSON(out, result); err != nil {
					return err
				}
			}
		}
		if len(compared.runs) == 0 {
			break // interrupted before the first of them
		}
		if err := a.conclude(f, compared, out); err != nil {
			return err
		}
	}
	switch {
	case faulty:
		return errFaults
	case a.ctx.Err() != nil:
		return errInterrupted
	}
	return nil
}

// conclude prints what the rounds of one scenario came to.
func (a *app) conclude(f *runFlags, c *comparison, out io.Writer) error {
	c.summarize()
	if !f.Quiet {
		c.print(a.tableOut(f.JSON))
	}
	if len(c.Drivers) == 1 && c.Rounds == 1 {
		return nil // one run: its own line says it all
	}
	return writeJSON(out, c)
}

func (c *comparison) summarize() {
	c.Spreads, c.Ratios = map[string]map[string]Spread{}, map[string]map[string]float64{}
	for _, name := range c.Drivers {
		c.Spreads[name] = map[string]Spread{}
		for _, m := range metrics(c.Scenario) {
			var values []float64
			for _, r := range c.runs[name] {
				if v, ok := m.get(r); ok {
					values = append(values, v)
				}
			}
			if len(values) > 0 {
				c.Spreads[name][m.name] = spreadOf(values)
			}
		}
	}
	first := c.Spreads[c.Drivers[0]]
	for _, name := range c.Drivers[1:] {
		c.Ratios[name] = map[string]float64{}
		for metric, s := range c.Spreads[name] {
			if ours, ok := first[metric]; ok && s.Median > 0 && ours.Median > 0 && metric != allocsDialling && metric != allocsServing {
				c.Ratios[name][metric] = ours.Median / s.Median
			}
		}
	}
}

// spreadOf returns the median of values, which it sorts, and their bounds. Of an even number it is the mean of the middle two.
func spreadOf(values []float64) Spread {
	slices.Sort(values)
	n := len(values)
	return Spread{Median: (values[(n-1)/2] + values[n/2]) / 2, Min: values[0], Max: values[n-1]}
}

// print shows medians with their bounds, then how many times the first driver's median is each other's.
func (c *comparison) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s", title(c.Config))
	if c.Rounds > 1 {
		fmt.Fprintf(w, ": medians [min..max] of %d rounds in turns", c.Rounds)
	}
	fmt.Fprintln(w)
	shown := c.columns()
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "  driver")
	for _, m := range shown {
		fmt.Fprintf(t, "\t%s", m.name)
	}
	fmt.Fprintln(t, "\terrors")
	for _, name := range c.Drivers {
		fmt.Fprintf(t, "  %s", name)
		for _, m := range shown {
			fmt.Fprintf(t, "\t%s", c.cell(name, m))
		}
		fmt.Fprintf(t, "\t%s\n", faultLine(c.faults(name)))
	}
	for _, name := range c.Drivers[1:] {
		fmt.Fprintf(t, "  %s / %s", c.Drivers[0], name)
		for _, m := range shown {
			if ratio, ok := c.Ratios[name][m.name]; ok {
				fmt.Fprintf(t, "\t%.2fx", ratio)
			} else {
				fmt.Fprint(t, "\t-")
			}
		}
		fmt.Fprintln(t, "\t")
	}
	_ = t.Flush() // standard output that is gone is not worth more words
}

// columns are the metrics that at least one driver has.
func (c *comparison) columns() (shown []metric) {
	for _, m := range metrics(c.Scenario) {
		if slices.ContainsFunc(c.Drivers, func(name string) bool { _, ok := c.Spreads[name][m.name]; return ok }) {
			shown = append(shown, m)
		}
	}
	return shown
}

func (c *comparison) cell(name string, m metric) string {
	s, ok := c.Spreads[name][m.name]
	if !ok {
		return "-"
	}
	if c.Rounds == 1 {
		return m.show(s.Median)
	}
	return fmt.Sprintf("%s [%s..%s]", m.show(s.Median), m.show(s.Min), m.show(s.Max))
}

func (c *comparison) faults(name string) map[string]uint64 {
	all := map[string]uint64{}
	for _, r := range c.runs[name] {
		for kind, n := range r.Errors {
			all[kind] += n
		}
	}
	return all
}
