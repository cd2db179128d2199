package sim

import (
	"context"
	"fmt"
	"time"
)

// A PartitionPlan says how the network is divided. Zero means the written default.
type PartitionPlan struct {
	Warm time.Duration // before the division; 0 means 2 min
	For  time.Duration // how long it lasts; 0 means 10 min
	Part float64       // share of the nodes on the smaller side; 0 means 0.5
	Wait time.Duration // how long healing is waited for; 0 means 40 min

	Progress func(done, total int) // may be nil; seconds
}

// healed is the recall at which a network counts as healed, and healStep how often it is looked at.
const (
	healed   = .99
	healStep = 15 * time.Second
)

// Partition divides a filled network in two, joins it again, and reports when its nodes know their neighbours
// again. Errors are those of ctx, or wrap ErrConfig.
func (w *Network) Partition(ctx context.Context, plan PartitionPlan) (*Report, error) {
	if err := complete(span{&plan.Warm, 2 * time.Minute, 0}, span{&plan.For, 10 * time.Minute, 0}, span{&plan.Wait, 40 * time.Minute, 0}); err != nil {
		return nil, err
	}
	if plan.Part == 0 {
		plan.Part = .5
	}
	if !(plan.Part > 0 && plan.Part < 1) {
		return nil, fmt.Errorf("%w: %v of the nodes on one side", ErrConfig, plan.Part)
	}
	total := plan.Warm + plan.For + plan.Wait
	end := w.now + total
	tick := func() {
		if plan.Progress != nil {
			plan.Progress(int((total-(end-w.now))/time.Second), int(total/time.Second))
		}
	}
	if err := w.run(ctx, w.now+plan.Warm, never); err != nil {
		return nil, err
	}
	for _, i := range w.rnd.Perm(len(w.nodes))[:int(plan.Part*float64(len(w.nodes)))] {
		w.nodes[i].side = 1
	}
	for rest := plan.For; rest > 0; rest -= healStep {
		if err := w.run(ctx, w.now+min(rest, healStep), never); err != nil {
			return nil, err
		}
		tick()
	}
	for _, n := range w.nodes {
		n.side = 0
	}
	began, split := w.now, w.recall()
	recall := split
	for recall < healed && w.now < end {
		if err := w.run(ctx, w.now+healStep, never); err != nil {
			return nil, err
		}
		recall = w.recall()
		tick()
	}
	r := w.report()
	r.SiblingsFound, r.SiblingsApart = &recall, &split
	if recall >= healed {
		seconds := (w.now - began).Seconds()
		r.HealSeconds = &seconds
	}
	return r, nil
}
