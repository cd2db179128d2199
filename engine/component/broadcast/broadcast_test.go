package broadcast_test

import (
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/component/broadcast"
	"github.com/carrier-p2p/carrier/skad"
)

// A message reaches every node, once, within a second; the copies beside the first are counted.
func TestReachesEverybody(t *testing.T) {
	w := mesh(t, 1, 40, nil)
	id := w.say(w.nodes[0], "hello")
	w.Pass(time.Second)
	if got := w.reached(w.nodes[0], "hello"); got != 39 {
		t.Fatalf("reached %d of 39", got)
	}
	if m := w.nodes[7].got[0]; m.ID != id || m.Seq != 1 || m.Key != w.Key(1).PublicKey() || m.From.IsZero() {
		t.Errorf("delivered as %+v", m)
	}
	w.Pass(5 * time.Second) // repair has nothing to do
	if got := w.reached(w.nodes[0], "hello"); got != 39 {
		t.Errorf("after the rounds of repair %d of 39 have it exactly once", got)
	}
	var sum broadcast.Stats
	for _, n := range w.nodes {
		s := n.cast.Stats()
		sum.Delivered += s.Delivered
		sum.Repaired += s.Repaired
		sum.Dropped[skad.SpreadKnown] += s.Dropped[skad.SpreadKnown]
		sum.Broadcast += s.Broadcast
		if s.Unsent > 0 || s.Flooded > 0 || s.Overrun > 0 {
			t.Errorf("%v lost something: %+v", n.ID().Short(), s)
		}
	}
	if sum.Delivered != 39 || sum.Broadcast != 1 || sum.Missed() != 0 || sum.Duplicates() < 1 || sum.Duplicates() > 10 {
		t.Errorf("counted %+v", sum)
	}
}

// A fifth of the nodes vanish at the moment in which a message is sent: everybody else gets it, most by the tree.
func TestKilledAtOnce(t *testing.T) {
	w := mesh(t, 2, 50, nil)
	w.say(w.nodes[0], "before")
	w.Pass(3 * time.Second)
	for _, n := range w.nodes[40:] {
		w.Vanish(n.Network)
	}
	w.say(w.nodes[0], "after")
	w.Pass(6 * time.Second)
	if got, want := w.reached(w.nodes[0], "before", "after"), w.living()-1; got != want {
		t.Fatalf("reached %d of %d", got, want)
	}
}
