package engine_test

import (
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
)

// A stream is told of new credit every half megabyte, since its window has grown to four; one that is slow, or has requests
// beside it, every 128 KiB.
func TestStreamGetsALargerWindow(t *testing.T) {
	for name, x := range map[string]struct {
		slow   bool    // 1 MB in a second, else as fast as the line carries
		asks   bool    // requests on the side
		grants float64 // per megabyte consumed
	}{
		"stream":               {false, false, 2},
		"slow":                 {true, false, 8},
		"requests on the side": {false, true, 8},
	} {
		t.Run(name, func(t *testing.T) {
			w := simWorld(t, 1, simnet.Weather{Rate: 100 << 20})
			bulk, answers, came := 0, 0, 0
			c := &witness{on: func(ctx *engine.ComponentContext) error {
				if ctx.IsRequest() {
					return ctx.ReplyRaw(opTold, nil)
				}
				bulk += len(ctx.Payload())
				return nil
			}}
			a, b := w.node(nil), w.node(nil, withWitness(c))
			p := w.dial(a, b)
			w.Net().Observe(func(e simnet.Event) {
				if e.Kind == simnet.Bytes && e.Host != b.Addrs()[0].Addr() {
					came++
				}
			})
			block := make([]byte, 16<<10)
			send := func(step int) {
				for (!x.slow || step%2 == 0) && p.TrySendRaw(opNote, block) == nil && !x.slow {
				}
				if x.asks && step%20 == 0 {
					if err := p.RequestRawAsync(opAsk, nil, 0, func(*engine.ComponentContext, error) { answers++ }); err != nil {
						t.Fatal(err)
					}
				}
			}
			pause := 400 * time.Microsecond
			if x.slow {
				pause = time.Second / 64 / 2
			}
			half := func() (grants, megabytes float64) {
				bulk, came, answers = 0, 0, 0
				for step := range 400 {
					send(step)
					w.Pass(pause)
				}
				return float64(came - answers), float64(bulk) / (1 << 20)
			}
			half() // in which the window grows
			grants, megabytes := half()
			if got := grants / megabytes; megabytes < 2 || got < x.grants*0.7 || got > x.grants*1.3 {
				t.Errorf("%.1f grants per megabyte in %.0f MB, want %v", got, megabytes, x.grants)
			}
		})
	}
}
