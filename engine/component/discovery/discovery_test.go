package discovery_test

import (
	"context"
	"slices"
	"testing"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/discovery"
	"github.com/carrier-p2p/carrier/engine/transport"
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

// A map is an address map that thinks one address worth a try.
type aMap struct {
	engine.Component
	only []transport.Addr
	got  []transport.Addr
}

func (m *aMap) Order(addrs []transport.Addr) []transport.Addr { m.got = addrs; return m.only }

// Where there is an address map it says what is dialled, and what is not.
func TestAddressMap(t *testing.T) {
	w := simWorld(t, 1)
	w.swarm(3, setting{})
	good := w.nodes[2]
	asker := &aMap{}
	n := w.node(setting{more: []engine.ComponentInterface{asker}, disc: func(c *discovery.Config) { c.Bootstrap = nil }})
	w.do(func() { // it cannot join by itself: the map refuses
		_, _ = n.Dial(context.Background(), target(w.nodes[0]))
	})
	var err error
	w.do(func() { _, err = n.FindPeer(context.Background(), good.ID()) })
	if err == nil {
		t.Fatal("it dialled although no address was worth a try")
	}
	asker.only = good.Addrs()
	var p *engine.PeerClient
	w.do(func() { p, err = n.FindPeer(context.Background(), good.ID()) })
	if err != nil || p.ID() != good.ID() || !slices.Equal(asker.got, good.Addrs()) {
		t.Errorf("%v, %v; the map was asked about %v", p, err, asker.got)
	}
}
