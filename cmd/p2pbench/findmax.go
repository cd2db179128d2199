package main

import (
	"fmt"
	"slices"
	"text/tabwriter"

	"github.com/carrier-p2p/carrier/bench/load"
	"github.com/carrier-p2p/carrier/bench/report"
	"github.com/carrier-p2p/carrier/bench/slo"
)

const (
	// findMaxStart is the rate a search begins with if none is said. 1000 a second: far below what any driver can take of
	// small messages, and six doublings from what most can.
	findMaxStart = 1000

	// findMaxPrecision is how close a search comes. 5 %: closer than two runs on a shared machine agree.
	findMaxPrecision = 0.05
)

// always is what every rate must meet besides --slo: nothing may go wrong, and next to nothing be left undone.
var always = slo.Rules{{Measure: "errors", Op: "<=", Bound: 0}, {Measure: "unsent", Op: "<", Bound: 0.01}}

// A finding is the highest rate of one driver.
type finding struct {
	driver string
	rate   float64 // 0: not even one a second
	tries  int
	best   *load.Result
}

// findMax finds the highest rate of each driver that meets the rules, one driver after the other.
func (a *app) findMax(f *loadFlags, c load.Config, names []string) error {
	if err := f.findable(c); err != nil {
		return err
	}
	kept, err := a.records(&f.outFlags)
	if err != nil {
		return err
	}
	var found []finding
	for _, name := range names {
		best, err := a.search(f, c, name)
		if err != nil {
			return err
		}
		found = append(found, best)
		if best.best != nil {
			if err := kept.add(best.best, 0); err != nil {
				return err
			}
		}
	}
	if !f.Quiet && f.Format == "text" {
		printFound(a, f, found)
	}
	if err := kept.finish(); err != nil {
		return err
	}
	if a.ctx.Err() != nil {
		return errInterrupted
	}
	if found[0].rate == 0 {
		return errThreshold
	}
	return nil
}

func (f *loadFlags) findable(c load.Config) error {
	switch {
	case len(f.SLO) == 0:
		return fmt.Errorf("%w: --find-max needs --slo, for example 'p99<2ms'", errUsage)
	case len(c.Stages) > 0:
		return fmt.Errorf("%w: --find-max and --stages: want one of them", errUsage)
	case f.Target != "" || f.Profile != "" || f.Rounds > 0:
		return fmt.Errorf("%w: --find-max starts serving nodes of its own, again and again: no --target, --profile or --rounds", errUsage)
	}
	c.Rate = 1
	if _, err := c.WithDefaults(); err != nil {
		return fmt.Errorf("%w: --find-max: %w", errUsage, err)
	}
	return nil
}

// search tries rates with one driver. An interrupt ends it with what was found until then.
func (a *app) search(f *loadFlags, c load.Config, name string) (finding, error) {
	found := finding{driver: name}
	start := c.Rate
	if start == 0 {
		start = findMaxStart
	}
	rules := slices.Concat(slo.Rules(f.SLO), always)
	search := slo.NewSearch(start, findMaxPrecision)
	runs := map[float64]*load.Result{}
	for rate, more := search.Next(); more && a.ctx.Err() == nil; rate, more = search.Next() {
		c.Rate = rate
		found.tries++
		result, err := a.runChild(a.ctx, c, name, fmt.Sprintf("try %d, %s/s", found.tries, report.Short(rate)), f.Quiet)
		if err != nil && a.ctx.Err() != nil {
			break
		}
		if err != nil {
			return found, err
		}
		if result.Interrupted {
			break
		}
		breaches := rules.Check(result)
		a.tried(f, name, rate, result, breaches)
		if len(breaches) == 0 {
			runs[rate] = result
		}
		search.Tell(len(breaches) == 0)
	}
	found.rate = search.Best()
	if a.ctx.Err() != nil { // interrupted: the highest that was met, once
		for rate := range runs {
			found.rate = max(found.rate, rate)
		}
	}
	found.best = runs[found.rate]
	return found, nil
}

// tried says how one rate went, to whoever watches.
func (a *app) tried(f *loadFlags, name string, rate float64, r *load.Result, breaches []slo.Breach) {
	if f.Quiet {
		return
	}
	how := "met"
	if len(breaches) > 0 {
		how = "not met: " + breaches[0].String()
	}
	p99 := "-"
	if r.LatencyMicros != nil {
		p99 = report.Micros(r.LatencyMicros.P99)
	}
	fmt.Fprintf(a.stderr, "%s at %s/s: p99 %s: %s\n", name, report.Short(rate), p99, how)
}

func printFound(a *app, f *loadFlags, found []finding) {
	t := tabwriter.NewWriter(a.tableOut(f.JSON), 0, 0, 2, ' ', 0)
	heading, none := "the highest rate that meets", report.Short(0)
	if a.ctx.Err() != nil {
		heading, none = "interrupted; the highest rate until then that meets", "-"
	}
	fmt.Fprintf(t, "%s %s\n  driver\ta second\tp50\tp99\ttries\n", heading, slo.Rules(f.SLO))
	for _, one := range found {
		rate, p50, p99 := none, "-", "-"
		if one.rate > 0 {
			rate = report.Short(one.rate)
		}
		if one.best != nil && one.best.LatencyMicros != nil {
			p50, p99 = report.Micros(one.best.LatencyMicros.P50), report.Micros(one.best.LatencyMicros.P99)
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%d\n", one.driver, rate, p50, p99, one.tries)
	}
	for _, other := range found[1:] {
		if other.rate > 0 {
			fmt.Fprintf(t, "  %s / %s\t%.2fx\t\t\t\n", found[0].driver, other.driver, found[0].rate/other.rate)
		}
	}
	_ = t.Flush() // standard output that is gone is not worth more words
}
