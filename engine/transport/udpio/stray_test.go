//go:build linux

package udpio

import (
	"net/netip"
	"testing"
)

// Datagrams for another loop wait there in bounded number and size, and the bounds are free again once the loop has taken them.
func TestStraysBounded(t *testing.T) {
	cfg, err := Config{Loops: 1}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	lp := newLoop(&Transport{cfg: cfg}, 0, boundPort(t))
	defer lp.port.close()
	from := netip.MustParseAddrPort("127.0.0.1:9")
	for _, size := range []int{0, 1, 60_000} { // of no kind, so that the Mux counts them
		for range 2 * forwardLimit {
			lp.stray(0, from, make([]byte, size))
		}
		bytes := 0
		for _, s := range lp.strays {
			bytes += len(s.b)
		}
		if len(lp.strays) > forwardLimit || bytes > forwardBytes || bytes != lp.astray || len(lp.strays) < forwardBytes/60_000 {
			t.Errorf("%d datagrams of %d bytes wait, and %d are counted", len(lp.strays), bytes, lp.astray)
		}
		before := lp.mux.Counts.Malformed.Load()
		waiting := int64(len(lp.strays))
		lp.takeStrays()
		if got := lp.mux.Counts.Malformed.Load() - before; got != waiting || lp.astray != 0 {
			t.Errorf("%d of %d were taken, and %d bytes are still counted", got, waiting, lp.astray)
		}
	}
}
