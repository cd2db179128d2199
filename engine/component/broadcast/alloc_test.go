package broadcast_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/component/broadcast"
	"github.com/carrier-p2p/carrier/internal/invariant"
	"github.com/carrier-p2p/carrier/skad/spread"
)

// perMessage is what a network of that many nodes allocates for each message of one of them, in a stream of messages.
func perMessage(t *testing.T, nodes int) float64 {
	w := mesh(t, 12, nodes, func(n *node, c *broadcast.Config) {
		c.Deliver = func(broadcast.Message) bool { return true }
		c.Spread = spread.Config{OriginRate: 1000, OriginBurst: 1000}
	})
	const warm, messages = 2200, 500 // payloads are held for ten seconds: 2000 messages
	payload := make([]byte, 1000)
	stream := func(n int) {
		for range n {
			if err := w.nodes[0].cast.BroadcastAsync(payload, nil); err != nil {
				t.Fatal(err)
			}
			w.Pass(5 * time.Millisecond) // nobody's ciphers are given back meanwhile
		}
	}
	stream(warm)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	stream(messages)
	runtime.ReadMemStats(&after)
	if got := w.nodes[1].cast.Stats().Delivered; got < warm+messages/2 {
		t.Fatalf("%d messages were delivered", got)
	}
	return float64(after.Mallocs-before.Mallocs) / messages
}

// In a stream of messages a node that gets one, delivers it, passes it on and repairs allocates its payload and nothing
// else: what the network allocates grows by one for each node. A third is allowed for ciphers of pairs that had nothing to
// say for a while, and for maps that grow.
func TestRelayAllocs(t *testing.T) {
	if raceBuild || invariant.Enabled {
		t.Skip("checked builds allocate")
	}
	small, large := perMessage(t, 4), perMessage(t, 12)
	if each := (large - small) / 8; each > 1.4 || each < 0.9 {
		t.Errorf("%.2f allocations for each node and message, promised 1 (4 nodes: %.1f, 12 nodes: %.1f)", each, small, large)
	}
}
