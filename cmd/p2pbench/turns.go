package main

import (
	"fmt"
	"slices"

	"github.com/carrier-p2p/carrier/bench/load"
	"github.com/carrier-p2p/carrier/bench/slo"
)

// a step is one config, and what is expected of it besides --slo.
type step struct {
	config load.Config
	expect slo.Rules
}

// turns measures every step with every driver, in turns, each run in fresh processes.
func (a *app) turns(f *runFlags, steps []step, names []string) error {
	kept, err := a.records(&f.outFlags)
	if err != nil {
		return err
	}
	for _, s := range steps {
		if a.ctx.Err() != nil {
			break
		}
		before := len(kept.all)
		if err := a.turnsOf(f, s.config, names, kept); err != nil {
			_ = kept.done() // what was kept until now stays; the error says more
			return err
		}
		kept.expect(kept.all[before:], f.Driver, slices.Concat(slo.Rules(f.SLO), s.expect))
		if err := kept.conclude(kept.all[before:]); err != nil {
			return err
		}
	}
	return kept.finish()
}

// turnsOf measures one config, A B A B. An interrupt ends it with what there is.
func (a *app) turnsOf(f *runFlags, c load.Config, names []string, kept *records) error {
	for round := range f.rounds() {
		for _, name := range names {
			if a.ctx.Err() != nil {
				return nil
			}
			label, number := "", 0
			if f.rounds() > 1 {
				label, number = fmt.Sprintf("round %d/%d", round+1, f.rounds()), round+1
			}
			result, err := a.runChild(c, name, label, f.Quiet)
			if err != nil && a.ctx.Err() != nil {
				return nil // it had nothing yet
			}
			if err != nil {
				return err
			}
			if err := kept.add(result, number); err != nil {
				return err
			}
		}
	}
	return nil
}
