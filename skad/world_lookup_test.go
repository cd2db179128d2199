package skad

import (
	"testing"
	"time"
)

// TestLookupFindsTheClosest: in a network without faults every lookup, however it is made, returns exactly the nodes
// closest to its key.
func TestLookupFindsTheClosest(t *testing.T) {
	w := newWorld(t, 300, 1, nil)
	w.fill(2)
	rnd := newRand(3)
	for _, opt := range []LookupOptions{{Paths: 1}, {Paths: 4}, {}, {Paths: 8, Width: 16}, {Count: 40}} {
		for range 10 {
			n, key := w.order[rnd.IntN(len(w.order))], randomID(rnd)
			r := w.lookup(n, key, opt)
			count := max(opt.Count, 16)
			if opt.Count == 0 {
				count = 16
			}
			if want := w.nearest(key, count, n); !sameIDs(r.Closest, want) {
				t.Fatalf("%+v: the result is not the closest %d of the network", opt, count)
			}
			if r.TimedOut || r.Failed != 0 || !r.DensityOK || r.PathsOK == 0 {
				t.Errorf("%+v: result without faults: %+v", opt, r)
			}
			assertDisjoint(t, r)
			verify(t, n.core)
		}
	}
}

// assertDisjoint: no contact was asked on two paths.
func assertDisjoint(t *testing.T, r *Result) {
	t.Helper()
	seen := map[ID]bool{}
	for _, p := range r.Paths {
		for _, d := range p.Asked {
			if seen[d.ID] {
				t.Fatalf("%v was asked on two paths", d.ID)
			}
			seen[d.ID] = true
		}
	}
}

// TestJoin: 120 nodes join one after the other through the first one. Then everybody knows exactly his nearest.
func TestJoin(t *testing.T) {
	w := &world{t: t, latency: 50 * time.Millisecond, nodes: map[ID]*node{}}
	rnd := newRand(4)
	for i := range 120 {
		n := w.add(fakeContact(randomID(rnd), i), uint64(i), nil)
		n.core.Bootstrap(w.now, []*Contact{w.order[0].core.Self()})
		w.take(n)
		w.run(2 * time.Second)
	}
	w.run(11 * time.Minute) // one refresh
	missing := 0
	for i, n := range w.order {
		verify(t, n.core)
		want := w.nearest(n.core.Self().ID, 48, n)
		have := map[ID]bool{}
		for _, d := range n.core.Siblings(nil) {
			have[d.ID] = true
		}
		for _, d := range want {
			if !have[d.ID] {
				missing++
			}
		}
		if i > 0 && !n.core.Joined() {
			t.Errorf("node %d has not joined", i)
		}
	}
	if missing > 0 {
		t.Errorf("%d of %d sibling entries are missing after joining", missing, 120*48)
	}
}
