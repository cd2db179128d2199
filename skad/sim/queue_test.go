package sim

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestQueueOrder: whatever is pushed and popped in between, events come by time, and within one instant in the order in which they were pushed; also when
// their numbers wrap around.
func TestQueueOrder(t *testing.T) {
	for _, start := range []uint32{0, 1<<32 - 300} {
		rnd := rand.New(rand.NewPCG(1, 2))
		q := queue{seq: start}
		var want []event
		now := time.Duration(0)
		take := func() {
			got := q.pop()
			if got != want[0] {
				t.Fatalf("start %d: got %+v, want %+v", start, got, want[0])
			}
			want, now = want[1:], got.at
		}
		for range 2000 {
			if len(want) > 0 && rnd.IntN(5) < 2 {
				take()
				continue
			}
			e := event{at: now + time.Duration(rnd.IntN(20)), seq: q.seq, kind: deadline, what: rnd.Uint32()}
			at := slices.IndexFunc(want, func(x event) bool { return x.at > e.at })
			if at < 0 {
				at = len(want)
			}
			want = slices.Insert(want, at, e)
			q.push(e.at, e.kind, e.what)
			if first, ok := q.next(); !ok || first != want[0].at {
				t.Fatalf("next is %v %v, want %v", first, ok, want[0].at)
			}
		}
		for len(want) > 0 {
			take()
		}
		if _, ok := q.next(); ok {
			t.Fatal("something is left")
		}
	}
}

func BenchmarkQueue(b *testing.B) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var q queue
	for range 100_000 {
		q.push(time.Duration(rnd.Int64N(1e9)), deadline, 0)
	}
	b.ReportAllocs()
	for b.Loop() {
		e := q.pop()
		q.push(e.at+time.Duration(rnd.Int64N(1e9)), deadline, 0)
	}
}
