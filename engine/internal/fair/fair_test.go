package fair_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/carrier-p2p/carrier/engine/internal/fair"
)

// keep adds an item and removes as many as are too many.
func keep(m *fair.Memory[string, int], limit int, owner string, value int) {
	m.Add(owner, value)
	for m.Len() > limit {
		m.Remove(m.Victim())
	}
}

// all takes everything out, in the order in which it would make room.
func all(m *fair.Memory[string, int]) (out []int) {
	for m.Len() > 0 {
		i := m.Victim()
		out = append(out, i.Value)
		m.Remove(i)
	}
	return out
}

// A loud owner, and a crowd of owners up to the number of places, have their own items forgotten.
func TestWhoMakesRoom(t *testing.T) {
	var m fair.Memory[string, int]
	if m.Victim() != nil || m.Len() != 0 || m.Owners() != 0 {
		t.Error("an empty memory has something in it")
	}
	for n := range 3 {
		keep(&m, 10, "quiet", n)
	}
	for n := range 1000 {
		keep(&m, 10, "loud", 100+n)
	}
	if got, want := all(&m), []int{1093, 1094, 1095, 1096, 0, 1097, 1, 1098, 2, 1099}; !slices.Equal(got, want) {
		t.Errorf("in the order in which they make room: %v, want %v", got, want)
	}
	keep(&m, 10, "quiet", 0)
	for n := range 8 {
		keep(&m, 10, "crowd", n) // they share an owner: a network
	}
	for n := range 1000 {
		keep(&m, 10, fmt.Sprint("another ", n%8), n)
	}
	if !slices.Contains(all(&m), 0) {
		t.Error("eight owners have pushed out a ninth, where there are ten places")
	}
}

// What is removed by its user, old or new, leaves the rest in order; Victim is always what a search of all finds.
func TestModel(t *testing.T) {
	type entry struct {
		owner string
		value int
	}
	rapid.Check(t, func(t *rapid.T) {
		var m fair.Memory[string, int]
		var have []entry // in the order of adding
		items := map[int]*fair.Item[string, int]{}
		lastAdd := map[string]int{}
		victim := func() entry {
			counts := map[string]int{}
			for _, e := range have {
				counts[e.owner]++
			}
			best := -1
			for i, e := range have { // the first of an owner is his oldest
				if best < 0 || counts[e.owner] > counts[have[best].owner] ||
					counts[e.owner] == counts[have[best].owner] && lastAdd[e.owner] < lastAdd[have[best].owner] {
					best = i
				}
			}
			return have[best]
		}
		for n := range rapid.IntRange(1, 60).Draw(t, "steps") {
			if len(have) == 0 || rapid.IntRange(0, 2).Draw(t, "what") > 0 {
				o := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "owner")
				items[n], lastAdd[o] = m.Add(o, n), n
				have = append(have, entry{o, n})
			} else {
				at := rapid.IntRange(0, len(have)-1).Draw(t, "which")
				m.Remove(items[have[at].value])
				have = slices.Delete(have, at, at+1)
			}
			if m.Len() != len(have) {
				t.Fatalf("%d items, want %d", m.Len(), len(have))
			}
			if len(have) > 0 && m.Victim().Value != victim().value {
				t.Fatalf("victim %d, want %v of %v", m.Victim().Value, victim(), have)
			}
		}
	})
}

// BenchmarkAdd is a memory that is full of as many owners as it has places.
func BenchmarkAdd(b *testing.B) {
	for _, places := range []int{64, 4096} {
		b.Run(fmt.Sprintf("places=%d", places), func(b *testing.B) {
			var m fair.Memory[int, struct{}]
			n := 0
			for b.Loop() {
				n++
				m.Add(n, struct{}{})
				for m.Len() > places {
					m.Remove(m.Victim())
				}
			}
		})
	}
}
