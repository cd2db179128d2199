package identity

import (
	"errors"
	"slices"
	"sync"
	"testing"
)

// A hit is recognised by the pointer: the same record object, not an equal one.
func TestCache(t *testing.T) {
	c := NewCache(2)
	var raws [][]byte
	for n := range byte(3) {
		raws = append(raws, record(t, generate(t, n, smallPuzzle), manyAddrs(int(n))...).Append(nil))
	}
	first, err := c.Verify(raws[0], smallPuzzle)
	if err != nil || !slices.Equal(first.Append(nil), raws[0]) {
		t.Fatalf("Verify: %v", err)
	}
	if again, err := c.Verify(slices.Clone(raws[0]), smallPuzzle); err != nil || again != first {
		t.Errorf("the same bytes again: %v, another object %v", err, again != first)
	}
	if other, err := c.Verify(raws[0], Puzzle{StaticBits: 1}); err != nil || other == first {
		t.Errorf("another puzzle: %v, taken from the cache %v", err, other == first)
	}
	if _, err := c.Verify(raws[0], Puzzle{DynamicBits: 40}); !errors.Is(err, ErrPuzzle) {
		t.Errorf("a puzzle not solved: %v, want ErrPuzzle", err)
	}
	for _, raw := range raws {
		if _, err := c.Verify(raw, smallPuzzle); err != nil {
			t.Fatal(err)
		}
	}
	if c.Len() != 2 {
		t.Errorf("%d records held, limit 2", c.Len())
	}
	if again, err := c.Verify(raws[0], smallPuzzle); err != nil || again == first {
		t.Errorf("pushed out and back: %v, the old object %v", err, again == first)
	}
}

func TestCacheKeepsNothingOfRaw(t *testing.T) {
	c := NewCache(1)
	raw := record(t, generate(t, 1, smallPuzzle), manyAddrs(2)...).Append(nil)
	keep := slices.Clone(raw)
	r, err := c.Verify(raw, smallPuzzle)
	if err != nil {
		t.Fatal(err)
	}
	clear(raw)
	if again, err := c.Verify(keep, smallPuzzle); err != nil || again != r || !slices.Equal(again.Append(nil), keep) {
		t.Errorf("after its bytes were overwritten: %v", err)
	}
}

func TestCacheRemembersNoFailures(t *testing.T) {
	c := NewCache(4)
	good := record(t, generate(t, 1, smallPuzzle)).Append(nil)
	forged := slices.Clone(good)
	forged[len(forged)-1] ^= 1
	for _, bad := range [][]byte{nil, good[:50], forged, make([]byte, 1<<16)} {
		for range 2 {
			if _, err := c.Verify(bad, smallPuzzle); err == nil {
				t.Errorf("%d bad bytes verify", len(bad))
			}
		}
	}
	if c.Len() != 0 {
		t.Errorf("%d failures are held", c.Len())
	}
}

func TestNilAndTinyCache(t *testing.T) {
	raw := record(t, generate(t, 1, smallPuzzle)).Append(nil)
	var none *Cache
	if r, err := none.Verify(raw, smallPuzzle); err != nil || r == nil {
		t.Errorf("nil Cache: %v", err)
	}
	if _, err := none.Verify(raw[1:], smallPuzzle); err == nil {
		t.Error("nil Cache verifies nonsense")
	}
	for _, n := range []int{-1, 0} {
		c := NewCache(n)
		if _, err := c.Verify(raw, smallPuzzle); err != nil || c.Len() != 1 {
			t.Errorf("NewCache(%d): %v, %d held", n, err, c.Len())
		}
	}
}

func TestCacheConcurrently(t *testing.T) {
	c := NewCache(3)
	var raws [][]byte
	for n := range byte(5) {
		raws = append(raws, record(t, generate(t, n, Puzzle{})).Append(nil))
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 50 {
				raw := raws[(i+w)%len(raws)]
				if r, err := c.Verify(raw, Puzzle{}); err != nil || !slices.Equal(r.Append(nil), raw) {
					t.Errorf("Verify: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if c.Len() > 3 {
		t.Errorf("%d held, limit 3", c.Len())
	}
}

func BenchmarkCache(b *testing.B) {
	c := NewCache(16)
	raw := record(b, generate(b, 1, smallPuzzle), manyAddrs(4)...).Append(nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Verify(raw, smallPuzzle); err != nil {
			b.Fatal(err)
		}
	}
}
