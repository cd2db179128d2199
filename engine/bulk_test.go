package engine_test

import (
	"slices"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
)

// Requests beside a bulk stream on the same connection do not wait behind what is queued: over a line of 10 MB/s, with a
// megabyte of bulk always waiting, a request's round trip is what the kernel's queue and one chunk take, and the bulk still
// fills the line. One queue for both would cost 125 ms.
func TestRequestsBesideBulk(t *testing.T) {
	const rate = 10 << 20
	w := simWorld(t, 1, simnet.Weather{Rate: rate})
	bulk := 0
	c := &witness{on: func(ctx *engine.ComponentContext) error {
		if ctx.IsRequest() {
			return ctx.ReplyRaw(opTold, ctx.Payload())
		}
		bulk += len(ctx.Payload())
		return nil
	}}
	a, b := w.node(nil), w.node(nil, withWitness(c))
	p := w.dial(a, b)
	var took []time.Duration
	block := make([]byte, 60_000)
	fill := func() {
		for p.TrySendRaw(opNote, block) == nil {
		}
	}
	ask := func() {
		start := w.Net().Now()
		err := p.RequestRawAsync(opAsk, make([]byte, 64), 0, func(_ *engine.ComponentContext, err error) {
			if err != nil {
				t.Error(err)
			}
			took = append(took, w.Net().Now()-start)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	const span, every = 4 * time.Second, 20 * time.Millisecond
	before := bulk
	for at := time.Duration(0); at < span; at += time.Millisecond {
		fill()
		if at%every == 0 {
			ask()
		}
		w.Pass(time.Millisecond)
	}
	through := float64(bulk-before) / span.Seconds()
	w.Pass(time.Second)
	if len(took) != int(span/every) {
		t.Fatalf("%d of %d requests have been answered", len(took), span/every)
	}
	slices.Sort(took)
	median, worst := took[len(took)/2], took[len(took)-1]
	t.Logf("round trip %v, at worst %v; bulk %.1f MB/s of %.1f", median, worst, through/(1<<20), float64(rate)/(1<<20))
	if limit := 30 * time.Millisecond; worst > limit {
		t.Errorf("the worst round trip beside bulk is %v, at most %v", worst, limit)
	}
	if through < 0.9*rate {
		t.Errorf("bulk gets %.0f bytes a second of %d", through, rate)
	}
}

// What is urgent overtakes what is bulk, and nothing else changes its order.
func TestLanesKeepTheirOrder(t *testing.T) {
	worlds(t, func(w *world) {
		w.streamed("an order")
		var seen witness
		a, b := w.node(nil), w.node(nil, withWitness(&seen))
		p := w.dial(a, b)
		const count = 400
		for i := range count {
			msg := make([]byte, 1500)
			msg[0], msg[1], msg[2] = 'b', byte(i>>8), byte(i)
			if err := p.TrySendRaw(opNote, msg); err != nil {
				w.Fatal(err)
			}
			if i%4 == 0 {
				msg[0] = 'u'
				if err := p.RequestRawAsync(opAsk, msg, 0, func(*engine.ComponentContext, error) {}); err != nil {
					w.Fatal(err)
				}
			}
		}
		w.Until("everything", func() bool { _, _, n := seen.count(); return n == count+count/4 })
		var lanes = map[byte][]int{}
		for _, s := range seen.seen() {
			if len(s) == 1500 {
				lanes[s[0]] = append(lanes[s[0]], int(s[1])<<8|int(s[2]))
			}
		}
		if len(lanes['b']) != count || len(lanes['u']) != count/4 || !slices.IsSorted(lanes['b']) || !slices.IsSorted(lanes['u']) {
			w.Errorf("%d bulk, %d urgent messages, or out of order", len(lanes['b']), len(lanes['u']))
		}
	})
}
