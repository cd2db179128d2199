package sim

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/skad"
)

// TestQueueOrder: whatever is pushed and popped in between, today, on the wheel or farther away, events come
// by time, and within one instant in the order of their ties; and a look ahead sees the first of them.
func TestQueueOrder(t *testing.T) {
	spans := []time.Duration{20, dayLength / 8, dayLength, 40 * dayLength, wheelDays * dayLength, 3 * wheelDays * dayLength, 1000 * wheelDays * dayLength}
	for seed := range uint64(2) {
		rnd := rand.New(rand.NewPCG(1, seed))
		var q queue
		var want []event
		now := time.Duration(0)
		take := func() {
			if at := q.peek(); at != want[0].at {
				t.Fatalf("a look ahead sees %v, want %v", at, want[0].at)
			}
			if first, ok := q.next(skad.Never); !ok || first != want[0].at {
				t.Fatalf("next is %v %v, want %v", first, ok, want[0].at)
			}
			got := q.pop()
			if got != want[0] {
				t.Fatalf("seed %d: got %+v, want %+v", seed, got, want[0])
			}
			want, now = want[1:], got.at
		}
		for range 5000 {
			if len(want) > 0 && rnd.IntN(9) < 4 {
				take()
				continue
			}
			e := event{at: now + time.Duration(rnd.Int64N(int64(spans[rnd.IntN(len(spans))]))), tie: rnd.Uint64(), kind: deadline, what: rnd.Uint32()}
			at := slices.IndexFunc(want, func(x event) bool { return compare(x, e) > 0 })
			if at < 0 {
				at = len(want)
			}
			want = slices.Insert(want, at, e)
			q.push(e.at, e.tie, e.kind, e.what)
			if rnd.IntN(2) == 0 {
				q.next(now + time.Duration(rnd.Int64N(int64(spans[rnd.IntN(len(spans))]))))
			}
		}
		for len(want) > 0 {
			take()
		}
		if _, ok := q.next(skad.Never); ok || q.peek() != skad.Never {
			t.Fatal("something is left")
		}
	}
}

// TestQueueUntil: the calendar is turned no farther than asked for, so what is pushed after a look at an
// empty year is found where it belongs, at no other cost.
func TestQueueUntil(t *testing.T) {
	const year = 365 * 24 * time.Hour
	var q queue
	q.push(year, 0, errand, 1)
	for now := time.Duration(0); now < time.Minute; now += time.Second {
		if at, ok := q.next(now + time.Second); ok {
			t.Fatalf("at %v something is to happen at %v", now, at)
		}
		if q.day > dayOf(now+time.Second) {
			t.Fatalf("at %v the calendar shows day %d, which is after %d", now, q.day, dayOf(now+time.Second))
		}
	}
	q.push(time.Minute+2*time.Second, 0, errand, 2)
	for _, want := range []uint32{2, 1} {
		if _, ok := q.next(year); !ok {
			t.Fatalf("errand %d is lost", want)
		}
		if e := q.pop(); e.what != want {
			t.Fatalf("errand %d comes, want %d", e.what, want)
		}
	}
	if len(q.soon(ahead)) > 0 || q.held > 0 {
		t.Errorf("an empty queue knows %v and holds %d", q.soon(ahead), q.held)
	}
}

func BenchmarkQueue(b *testing.B) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var q queue
	for range 100_000 {
		q.push(time.Duration(rnd.Int64N(1e9)), 0, deadline, 0)
	}
	b.ReportAllocs()
	for b.Loop() {
		q.next(skad.Never)
		e := q.pop()
		q.push(e.at+time.Duration(rnd.Int64N(1e9)), 0, deadline, 0)
	}
}
