package engine_test

import (
	"math"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
)

// The longest time there is means never, wherever a time is given: it is not taken for one that has passed.
func TestForever(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{Latency: 100 * time.Millisecond})
	for _, forever := range []time.Duration{math.MaxInt64, math.MaxInt64 - time.Second} {
		a, b := w.node(nil), w.node(nil, withWitness(&witness{}))
		p := w.dial(a, b)
		w.Pass(10 * time.Second) // any sum with it now overflows
		ended := map[string]error{}
		note := func(what string) func(error) { return func(err error) { ended[what] = err } }
		must(t, p.RequestRawAsync(opAsk, nil, forever, func(_ *engine.ComponentContext, err error) { note("a request")(err) }))
		must(t, p.PingAsync(forever, func(_ time.Duration, err error) { note("a ping")(err) }))
		must(t, a.Probe(target(w.node(nil)), forever, note("a probe")))
		fired := false
		a.HomeLoop().After(forever, func() { fired = true })
		w.Pass(time.Hour)
		for _, what := range []string{"a request", "a ping", "a probe"} {
			if err, over := ended[what]; err != nil || !over {
				t.Errorf("%s for %v: ended %v, %v", what, forever, over, err)
			}
		}
		if fired {
			t.Errorf("a timer for %v has fired within the hour", forever)
		}
	}
}
