package sim

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/carrier-p2p/carrier/skad"
)

// A JoinPlan says how nodes come. Zero means the written default.
type JoinPlan struct {
	Over time.Duration // the span in which all of them come, at random; 0 means 10 min
	Wait time.Duration // from then until the tables are looked at; 0 means 5 min

	Progress func(done, total int) // may be nil
}

// Joins lets all nodes of the network join through the first one, and reports how well they know their
// neighbours afterwards. The network must be new: no Fill. Errors are those of ctx, or wrap ErrConfig.
func (w *Network) Joins(ctx context.Context, plan JoinPlan) (*Report, error) {
	if err := complete(span{&plan.Over, 10 * time.Minute, 1}, span{&plan.Wait, 5 * time.Minute, 0}); err != nil {
		return nil, err
	}
	if w.nodes[0].contact.Client() || w.nodes[0].calls != nil || w.nodes[0].core.Len() > 0 {
		return nil, fmt.Errorf("%w: joining takes a new network whose first node is a server that can be dialled", ErrConfig)
	}
	began := make([]time.Duration, len(w.nodes))
	var ready []time.Duration
	joined := 0
	w.atHand = func(at time.Duration, n *Node, a skad.Action) {
		if a.Kind == skad.ActionReady {
			ready = append(ready, at-began[n.index])
		}
	}
	defer func() { w.atHand = nil }()
	for _, n := range w.nodes[1:] {
		w.after(time.Duration(w.rnd.Int64N(int64(plan.Over))), func() {
			began[n.index] = w.now
			w.bootstrap(n, w.nodes[0])
			joined++
			if plan.Progress != nil {
				plan.Progress(joined, len(w.nodes)-1)
			}
		})
	}
	if err := w.run(ctx, w.now+plan.Over+plan.Wait, never); err != nil {
		return nil, err
	}
	r := w.report()
	r.Success = part(len(ready), float64(len(w.nodes)-1))
	r.TimeToReady = percentiles(ready)
	recall := w.recall()
	r.SiblingsFound = &recall
	return r, nil
}

// bootstrap lets n join through another node.
func (w *Network) bootstrap(n, through *Node) {
	n.core.Bootstrap(w.now, []*skad.Contact{through.contact})
	w.settle(n)
}

// recall returns how many of the s nodes closest to each node that is up stand in its sibling list, as a share of all.
func (w *Network) recall() float64 {
	servers := newAtlas(w.nodes, func(n *Node) bool { return !n.down && !n.contact.Client() && n.calls == nil })
	var have []*skad.Contact
	want, known := 0, 0
	for _, n := range servers {
		have = n.core.Siblings(have[:0])
		for _, x := range servers.nearest(n.contact.ID, w.cfg.Siblings+1) {
			if x == n {
				continue
			}
			want++
			if slices.ContainsFunc(have, func(c *skad.Contact) bool { return c.ID == x.contact.ID }) {
				known++
			}
		}
	}
	if want == 0 {
		return 1
	}
	return float64(known) / float64(want)
}
