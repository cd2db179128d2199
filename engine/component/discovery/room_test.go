package discovery_test

import (
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/discovery"
	"github.com/carrier-p2p/carrier/skad"
)

// A full node stays in the overlay with what the overlay has, and none of the application's peers, protected or not, has to make
// room for it.
func TestFullOfTheApplication(t *testing.T) {
	w := simWorld(t, 1)
	w.swarm(24, setting{})
	const places, app = 12, 10
	n := w.node(setting{engine: func(c *engine.Config) { c.Peers.All = places }, disc: func(c *discovery.Config) { c.Bootstrap = nil }})
	var theirs []*engine.PeerClient
	for range app {
		theirs = append(theirs, w.Dial(w.Node(), n.Network)) // nodes without an overlay
	}
	w.Pass(5 * time.Minute) // all are old enough to go
	w.Dial(n.Network, w.nodes[0].Network)
	w.Until("it to join", n.Joined)
	for i := range uint64(20) {
		w.lookup(n, randomKey(i), skad.LookupOptions{})
		w.Pass(20 * time.Second)
	}
	if s := n.Stats(); s.NoRoom == 0 || s.Kept > places/4 {
		t.Errorf("the overlay has %d connections of its own, and found no room %d times", s.Kept, s.NoRoom)
	}
	if s := n.Network.Stats(); s.ClosedFor[engine.CodeEvicted] != 0 {
		t.Errorf("%d peers have been evicted", s.ClosedFor[engine.CodeEvicted])
	}
	for _, p := range theirs {
		if !p.Connected() {
			t.Errorf("a peer of the application's: %v", p.CloseReason())
		}
	}
	if members := n.View().Len(); members < 8 {
		t.Errorf("%d members are left in the table", members)
	}
}
