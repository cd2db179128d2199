package simnet

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestQueueOrder compares the queue with a sorted list, while events are set, moved, stopped and taken.
func TestQueueOrder(t *testing.T) {
	type due struct {
		at  time.Duration
		seq int
		ev  *pending
	}
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 0))
		var q queue
		var want []due
		events := make([]pending, 50)
		for i := range events {
			events[i].background = i%5 == 0
		}
		for seq := range 5000 {
			ev := &events[r.IntN(len(events))]
			at := slices.IndexFunc(want, func(d due) bool { return d.ev == ev })
			if ev.queued() != (at >= 0) {
				t.Fatalf("seed %d: queued is %v", seed, ev.queued())
			}
			switch r.IntN(4) {
			case 0, 1:
				if at >= 0 {
					want = slices.Delete(want, at, at+1)
				}
				d := due{time.Duration(r.IntN(30)), seq, ev}
				q.set(ev, d.at)
				want = append(want, d)
				slices.SortFunc(want, func(a, b due) int {
					if a.at != b.at {
						return int(a.at - b.at)
					}
					return a.seq - b.seq
				})
			case 2:
				if at >= 0 {
					want = slices.Delete(want, at, at+1)
				}
				q.stop(ev)
			case 3:
				head, ok := q.head()
				if ok != (len(want) > 0) {
					t.Fatalf("seed %d: head says %v with %d queued", seed, ok, len(want))
				}
				if !ok {
					break
				}
				at, ev := q.pop()
				if at != head || at != want[0].at || ev != want[0].ev || ev.queued() {
					t.Fatalf("seed %d: popped the wrong event", seed)
				}
				want = want[1:]
			}
			busy := 0
			for _, d := range want {
				if !d.ev.background {
					busy++
				}
			}
			if q.busy != busy {
				t.Fatalf("seed %d: busy is %d, want %d", seed, q.busy, busy)
			}
		}
	}
}

// TestQueueAllocs: a queue that has grown once does not allocate.
func TestQueueAllocs(t *testing.T) {
	var q queue
	events := make([]pending, 100)
	round := func() {
		for i := range events {
			q.set(&events[i], time.Duration(i*37%100))
		}
		for range events {
			q.pop()
		}
	}
	round()
	if n := testing.AllocsPerRun(10, round); n != 0 {
		t.Errorf("%v allocations, promised 0", n)
	}
}

func TestMulDiv(t *testing.T) {
	for _, c := range []struct{ a, b, c, want uint64 }{
		{0, 5, 3, 0},
		{7, 10, 3, 23},
		{16 << 10, 1e9, 1 << 20, 15625000},
		{1 << 40, 1e9, 1e9, 1 << 40},
		{1 << 62, 1 << 62, 1, uint64(spanLimit)},
		{1 << 62, 1 << 62, 1 << 62, uint64(spanLimit)},
	} {
		if got := mulDiv(c.a, c.b, c.c); got != c.want {
			t.Errorf("mulDiv(%d, %d, %d) = %d, want %d", c.a, c.b, c.c, got, c.want)
		}
	}
}
