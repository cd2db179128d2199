package discovery_test

import (
	"context"
	"slices"
	"testing"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/skad"
)

// worlds runs a scenario simulated and live.
func worlds(t *testing.T, scenario func(w *world, count int)) {
	t.Run("simnet", func(t *testing.T) { scenario(simWorld(t, 1), 40) })
	t.Run("live", func(t *testing.T) { scenario(liveWorld(t), 20) })
}

// Nodes that know one of them find each other: every table leads every lookup to exactly the nodes closest to its key,
// and every node is found and connected to by its ID.
func TestSwarm(t *testing.T) {
	worlds(t, func(w *world, count int) {
		w.swarm(count, setting{})
		for i, n := range w.nodes {
			k := randomKey(uint64(i))
			r := w.lookup(n, k, skad.LookupOptions{})
			if want := w.nearest(k, n, 16); !slices.Equal(ids(r.Closest), want) {
				t.Errorf("node %d found %v, want %v (%+v)", i, ids(r.Closest), want, *r)
			}
		}
		for i, n := range w.nodes {
			other := w.nodes[(i+count/2)%count]
			var p *engine.PeerClient
			var err error
			w.do(func() { p, err = n.FindPeer(context.Background(), other.ID()) })
			if err != nil || p.ID() != other.ID() {
				t.Errorf("node %d looking for %v: %v", i, other.ID(), err)
			}
		}
		for _, n := range w.nodes {
			if s := n.Stats(); s.Core.Bans != 0 || s.Malformed+s.Unasked+s.Flood+s.Overrun != 0 {
				t.Errorf("honest nodes were blamed: %v", describe(n))
			}
		}
	})
}
