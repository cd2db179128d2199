package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/carrier-p2p/carrier/bench/load"
	"github.com/carrier-p2p/carrier/bench/slo"
)

// failuresLimit is after how many failed runs of one scenario a driver is not tried again in it. 2: one may be bad luck, and more
// cost the others their time.
const failuresLimit = 2

// a step is one config, who takes turns in it, and what is expected of the first of them besides --slo.
type step struct {
	config load.Config
	names  []string
	expect slo.Rules
}

// set names the step's contestants where they are not those of the command.
func (s step) set(f *runFlags) string {
	if s.names[0] == f.Driver {
		return ""
	}
	return s.names[0]
}

// turns measures every step with each of its drivers, in turns, each run in fresh processes. A run that
// breaks, or takes too long, is kept as failed and costs the others nothing.
func (a *app) turns(f *runFlags, steps []step) error {
	if err := f.turnFlags.check(f.JSON); err != nil {
		return err
	}
	kept, err := a.resumed(f)
	if err != nil {
		return err
	}
	plan := newPlan(f, steps, kept)
	plan.announce(a, f)
	for _, s := range steps {
		if a.ctx.Err() != nil {
			break
		}
		before := len(kept.all)
		if err := a.turnsOf(f, s, kept, plan); err != nil {
			_ = kept.done() // what was kept until now stays; the error says more
			return err
		}
		kept.expect(kept.all[before:], s.names[0], slices.Concat(slo.Rules(f.SLO), s.expect))
		if err := kept.conclude(kept.all[before:]); err != nil {
			return err
		}
	}
	return kept.finish()
}

// turnsOf measures one config, A B A B. An interrupt ends it with what there is.
func (a *app) turnsOf(f *runFlags, s step, kept *records, plan *plan) error {
	failures := map[string]int{}
	kept.set = s.set(f)
	for round := range f.rounds() {
		number := 0
		if f.rounds() > 1 {
			number = round + 1
		}
		for _, name := range s.names {
			if old := kept.before(s.config, kept.set, name, number); old != nil {
				kept.all = append(kept.all, *old) // --json has it again since the beginning
				continue
			}
			if failures[name] == failuresLimit {
				plan.skip(s.config)
				continue
			}
			result := a.oneTurn(f, s.config, name, plan.label(number, f.rounds()))
			if a.ctx.Err() != nil && result.Failure != "" {
				return nil // it had nothing yet
			}
			plan.ran(s.config)
			if result.Failure != "" {
				failures[name]++
				fmt.Fprintf(a.stderr, "%s %s failed: %s\n", s.config.Scenario, name, result.Failure)
			}
			if err := kept.add(result, number); err != nil {
				return err
			}
		}
	}
	return nil
}

// oneTurn is one run. How it failed, if it did, is in the result.
func (a *app) oneTurn(f *runFlags, c load.Config, name, label string) *load.Result {
	limit := f.limit(c)
	ctx, cancel := context.WithTimeout(a.ctx, limit)
	defer cancel()
	result, err := a.runChild(ctx, c, name, label, f.Quiet)
	failed := func(why string) *load.Result {
		return &load.Result{Scenario: c.Scenario, Driver: name, Config: c, Errors: map[string]uint64{}, Failure: why}
	}
	switch {
	case a.ctx.Err() == nil && ctx.Err() != nil:
		return failed(fmt.Sprintf("it took longer than %v", limit))
	case err != nil:
		return failed(trimPackage(err))
	}
	return result
}
