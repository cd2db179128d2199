package skad

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// listRanking is a ranking of bare IDs.
type listRanking struct {
	self ID
	ids  []ID
}

func (r *listRanking) len() int          { return len(r.ids) }
func (r *listRanking) word(i int) uint64 { return r.ids[i][0] ^ r.self[0] }
func (r *listRanking) id(i int) *ID      { return &r.ids[i] }

// tableShape draws IDs as a full table has them: up to 16 for each prefix, dense ones near self, now and then many bits
// deep.
func tableShape(rnd *rand.Rand, self ID) *listRanking {
	r := &listRanking{self: self}
	depth := rnd.IntN(14)
	for prefix := range depth {
		for range rnd.IntN(17) {
			r.ids = append(r.ids, self.randomIn(prefix, rnd))
		}
	}
	for range rnd.IntN(60) {
		r.ids = append(r.ids, self.randomIn(depth+rnd.IntN(6), rnd))
	}
	for range rnd.IntN(8) { // chosen IDs: longer common prefixes than chance gives
		r.ids = append(r.ids, self.randomIn(rnd.IntN(IDBits), rnd))
	}
	slices.SortFunc(r.ids, func(a, b ID) int { return a.Xor(self).Compare(b.Xor(self)) })
	r.ids = slices.Compact(r.ids)
	return r
}

// target draws random keys, keys near self, near an entry, and self.
func target(rnd *rand.Rand, r *listRanking) ID {
	switch rnd.IntN(5) {
	case 0:
		return r.self
	case 1:
		return r.self.randomIn(rnd.IntN(24), rnd)
	case 2:
		return r.self.randomIn(rnd.IntN(IDBits), rnd)
	case 3:
		if len(r.ids) > 0 {
			id := r.ids[rnd.IntN(len(r.ids))]
			return id.randomIn(rnd.IntN(IDBits), rnd)
		}
	}
	return randomID(rnd)
}

// TestClosestIsExact compares with sorting everything: 100,000 tables and targets (10,000 with -short). It prints the
// seed of a failure.
func TestClosestIsExact(t *testing.T) {
	rounds := 100_000
	if testing.Short() {
		rounds = 10_000
	}
	var s selection
	for seed := range uint64(rounds) {
		rnd := newRand(seed)
		r := tableShape(rnd, randomID(rnd))
		key := target(rnd, r)
		n := 1 + rnd.IntN(CountLimit)
		want := slices.Clone(r.ids)
		slices.SortFunc(want, func(a, b ID) int { return a.Xor(key).Compare(b.Xor(key)) })
		want = want[:min(n, len(want))]

		closest(r, &r.self, &key, n, &s)
		if s.n != len(want) {
			t.Fatalf("seed %d: %d of %d entries, want %d", seed, s.n, len(r.ids), len(want))
		}
		for i, pos := range s.pos[:s.n] {
			if r.ids[pos] != want[i] {
				t.Fatalf("seed %d: answer %d of %d is %v, want %v", seed, i, n, r.ids[pos], want[i])
			}
		}
	}
}

// fullCore returns a core of a network of 10,000 nodes: about 160 contacts.
func fullCore(t testing.TB) *Core {
	c := newCore(t, 5, nil)
	rnd := newRand(6)
	for i := range 10_000 {
		c.Adopt(0, fakeContact(randomID(rnd), i))
	}
	return c
}

func TestClosestDoesNotAllocate(t *testing.T) {
	c := fullCore(t)
	if c.Len() < 140 || c.Len() > 180 {
		t.Fatalf("%d contacts in the table, expected about 160", c.Len())
	}
	rnd := newRand(7)
	dst := make([]*Contact, 0, CountLimit)
	for _, n := range []int{1, 16, CountLimit} {
		if allocs := testing.AllocsPerRun(200, func() { dst = c.Closest(randomID(rnd), n, dst[:0]) }); allocs != 0 {
			t.Errorf("Closest(%d): %v allocations, promised 0", n, allocs)
		}
	}
}

// TestViewAgrees: what other goroutines read is what the core answers.
func TestViewAgrees(t *testing.T) {
	c := fullCore(t)
	v := c.View()
	rnd := newRand(8)
	for range 200 {
		key := target(rnd, &listRanking{self: c.self.ID})
		if got, want := v.Closest(key, 16, nil), c.Closest(key, 16, nil); !sameIDs(got, want) {
			t.Fatalf("key %v: view and core disagree", key)
		}
	}
	if !sameIDs(v.Siblings(), c.Siblings(nil)) || v.Len() != c.Len() || v.Self() != c.self.ID {
		t.Error("view and core disagree about the siblings")
	}
	seen := 0
	for prefix := range v.Buckets() {
		if !sameIDs(v.Sharing(prefix), c.Sharing(prefix, nil)) {
			t.Errorf("prefix %d: view and core disagree", prefix)
		}
		seen += len(v.Sharing(prefix))
	}
	if seen != v.Len() {
		t.Errorf("%d contacts by prefix, %d in all", seen, v.Len())
	}
	if c.View() != v {
		t.Error("a view was made although nothing has changed")
	}
	c.expel(c.members[0])
	if c.View() == v || c.View().Len() != v.Len()-1 {
		t.Error("the view is not made anew after a change")
	}
}

func BenchmarkClosest(b *testing.B) {
	c := fullCore(b)
	rnd := newRand(9)
	random, near := make([]ID, 1024), make([]ID, 1024)
	for i := range random {
		random[i], near[i] = randomID(rnd), c.self.ID.randomIn(6+rnd.IntN(8), rnd)
	}
	for _, bb := range []struct {
		name string
		keys []ID
	}{{"random", random}, {"near", near}} {
		b.Run("n=16/keys="+bb.name, func(b *testing.B) {
			b.ReportAllocs()
			dst := make([]*Contact, 0, 16)
			for i := 0; b.Loop(); i++ {
				dst = c.Closest(bb.keys[i%1024], 16, dst[:0])
			}
			b.ReportMetric(float64(c.Len()), "contacts")
		})
	}
}
