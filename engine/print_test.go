package engine_test

import (
	"fmt"
	"testing"

	"github.com/carrier-p2p/carrier/engine"
)

// Who prints a peer or a Network sees who it is, and neither keys nor what loops are about to change.
func TestPrint(t *testing.T) {
	worlds(t, func(w *world) {
		a, b := w.node(nil), w.node(nil)
		p := w.dial(a, b)
		peer := b.ID().Short() + " at " + p.RemoteAddr().String()
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			if got := fmt.Sprintf(verb, p); got != peer {
				w.Errorf("a peer with %s: %.200s, want %s", verb, got, peer)
			}
			if got := fmt.Sprintf(verb, a); got != a.ID().Short() {
				w.Errorf("a network with %s: %.200s, want %s", verb, got, a.ID().Short())
			}
		}
		if got := fmt.Sprint((*engine.PeerClient)(nil), (*engine.Network)(nil)); got != "<nil> <nil>" {
			w.Errorf("none: %s", got)
		}
	})
}
