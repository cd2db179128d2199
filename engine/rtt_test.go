package engine_test

import (
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport/simnet"
)

// Round trips are smoothed, but a short one that nothing but a quick path explains is believed.
func TestRTT(t *testing.T) {
	const ms = time.Millisecond
	w := simWorld(t, 1, simnet.Weather{})
	p := w.dial(w.node(nil), w.node(nil))
	for _, x := range []struct{ sample, want time.Duration }{
		{-ms, 0}, {0, 0}, // no round trips
		{8000 * ms, 8000 * ms}, {40 * ms, 40 * ms}, // a bad moment at first
		{48 * ms, 41 * ms}, {33 * ms, 40 * ms}, {20 * ms, 37500 * time.Microsecond}, // up and down
		{8037500 * time.Microsecond, 1037500 * time.Microsecond}, {40 * ms, 40 * ms}, // a bad moment later
	} {
		p.ObserveRTT(x.sample)
		if got := p.RTT(); got != x.want {
			t.Fatalf("after %v it is %v, want %v", x.sample, got, x.want)
		}
	}
}
