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
				if c.asks(true, silent) != dialler || c.asks(false, silent) == dialler {
					t.Errorf("every %v, after %v: the dialling side asks %v, the other one %v", every, silent, c.asks(true, silent), c.asks(false, silent))
				}
			}
		}
	}
}
