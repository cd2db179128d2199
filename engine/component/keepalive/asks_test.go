package keepalive

import (
	"testing"
	"time"
)

// At each look of the engine at a silent peer exactly one of the two sides asks: the side that has dialled at the first two, then
// in turn.
func TestAsksInTurn(t *testing.T) {
	for _, every := range []time.Duration{0, 2 * time.Second, 15 * time.Second, time.Minute} {
		c := &Component{Every: every}
		step := max(c.SilentAfter()/3, look)
		for n, dialler := range []bool{true, true, false, true, false, true, false} {
			for _, late := range []time.Duration{0, step - 1} {
				silent := c.SilentAfter() + time.Duration(n)*step + late
				if c.asks(true, silent, silent) != dialler || c.asks(false, silent, silent) == dialler {
					t.Errorf("every %v, after %v: the dialling side asks %v, the other one %v", every, silent, c.asks(true, silent, silent), c.asks(false, silent, silent))
				}
			}
		}
	}
}

// A side that has not been able to listen asks once, and again when it has listened.
func TestAsksOnceWhileDeaf(t *testing.T) {
	c := &Component{}
	every := c.SilentAfter()
	for _, x := range []struct {
		silent, whole time.Duration
		asks          bool
	}{
		{every, every, true}, {time.Second, every, true}, {0, every + look - 1, true},
		{time.Second, every + look, false}, {every - 1, 10 * every, false}, {every, 10 * every, false},
		{every + look, 10 * every, true}, {every + 2*look, 10 * every, false},
	} {
		if got := c.asks(true, x.silent, x.whole); got != x.asks {
			t.Errorf("listened for %v of %v: it asks %v", x.silent, x.whole, got)
		}
	}
}
