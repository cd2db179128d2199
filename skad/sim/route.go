package sim

import (
	"context"
	"fmt"
	"time"

	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/skad"
)

// A RoutePlan says which messages to route. Zero means the written default.
type RoutePlan struct {
	Routes int // 0 means 1000
	Copies int // d; 0 means 1

	Progress func(done, total int) // may be nil
}

// routeEvery is the span between two routed messages, and routeWait how long each is waited for: ten hops that fail once each.
const (
	routeEvery = 20 * time.Millisecond
	routeWait  = 10 * time.Second
)

// Routes sends messages over the overlay, each from a random honest node to the ID of another one, and
// reports how many arrive. Errors wrap ErrConfig or skad.ErrOptions, or are those of ctx.
func (w *Network) Routes(ctx context.Context, plan RoutePlan) (*Report, error) {
	if plan.Routes == 0 {
		plan.Routes = 1000
	}
	good := newAtlas(w.nodes, honest)
	if plan.Routes < 0 || plan.Routes > lookupLimit || len(good) < 2 {
		return nil, fmt.Errorf("%w: %d messages between %d honest nodes", ErrConfig, plan.Routes, len(good))
	}
	t := &routeTally{w: w, plan: &plan, good: good, open: map[uint64]*routed{}}
	w.atHand, w.passing = t.take, t.pass
	defer func() { w.atHand, w.passing = nil, nil }()
	t.start()
	if err := w.run(ctx, skad.Never, func() bool { return t.done == plan.Routes || t.err != nil }); err != nil {
		return nil, err
	}
	if t.err != nil {
		return nil, t.err
	}
	r := w.report()
	r.Routes = t.done
	r.Success = part(t.delivered, float64(t.done))
	r.TimeToTarget = percentiles(t.times)
	r.PathLengths = t.lengths
	return r, nil
}

// A routed message is one on its way.
type routed struct {
	target  *Node
	beganAt time.Duration
	arrived bool
}

// A routeTally sums up.
type routeTally struct {
	w    *Network
	plan *RoutePlan
	good atlas
	open map[uint64]*routed // looked up only
	err  error

	started, done, delivered int
	times                    []time.Duration
	lengths                  []int // histogram of the nodes between origin and target, over all copies that arrive
}

// start sends a message, and plans the next one.
func (t *routeTally) start() {
	w := t.w
	n, target := t.good[w.rnd.IntN(len(t.good))], t.good[w.rnd.IntN(len(t.good))]
	for target == n {
		target = t.good[w.rnd.IntN(len(t.good))]
	}
	id, err := n.core.Route(w.now, target.contact.ID, nil, t.plan.Copies)
	if err != nil {
		t.err = err
		return
	}
	t.open[id] = &routed{target: target, beganAt: w.now}
	w.settle(n)
	if t.started++; t.started < t.plan.Routes {
		w.after(routeEvery, t.start)
	}
	w.after(routeWait, func() {
		delete(t.open, id)
		t.done++
		if t.plan.Progress != nil {
			t.plan.Progress(t.done, t.plan.Routes)
		}
	})
}

// take notes what is delivered.
func (t *routeTally) take(at time.Duration, n *Node, a skad.Action) {
	if a.Kind != skad.ActionDeliver {
		return
	}
	if r := t.open[a.Message.Route]; r != nil && r.target == n && !r.arrived {
		r.arrived = true
		t.delivered++
		t.times = append(t.times, at-r.beganAt)
	}
}

// pass notes by how many nodes each copy has come.
func (t *routeTally) pass(to *Node, m *skad.Message) {
	if m.Op != opcode.RouteCode {
		return
	}
	if r := t.open[m.Route]; r != nil && r.target == to {
		between := skad.RouteTTL - 1 - int(m.TTL)
		for between >= len(t.lengths) {
			t.lengths = append(t.lengths, 0)
		}
		t.lengths[between]++
	}
}
