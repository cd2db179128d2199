package engine_test

import (
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport/simnet"
)

// A connection opens with two messages each way and nothing more: the initiator's last one and its first record are one
// write, which is one wake of the other side less for each newcomer.
func TestOpensInTwoWrites(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{Latency: time.Millisecond})
	a, b := w.node(nil), w.node(nil)
	at := b.Addrs()[0]
	arrived := map[bool]int{} // at b, or at a
	w.Net().Observe(func(e simnet.Event) {
		if e.Kind == simnet.Bytes {
			arrived[e.Host == at.Addr()]++
		}
	})
	w.dial(a, b)
	if arrived[true] != 2 || arrived[false] != 2 {
		t.Errorf("%d pieces arrived at the responder and %d at the initiator, want 2 and 2", arrived[true], arrived[false])
	}
}
