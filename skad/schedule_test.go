package skad

import (
	"cmp"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestScheduleAgainstList: whatever is armed, moved and disarmed, the first is the earliest, and among equals the least
// index.
func TestScheduleAgainstList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s schedule[int]
		model := map[uint16]int{}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			i := uint16(rapid.IntRange(0, 20).Draw(t, "index"))
			if rapid.IntRange(0, 3).Draw(t, "stop") == 0 {
				s.stop(i)
				delete(model, i)
			} else {
				at := rapid.IntRange(-3, 9).Draw(t, "at")
				s.set(i, at)
				model[i] = at
			}
			for k := range uint16(25) {
				if _, want := model[k]; s.armed(k) != want {
					t.Fatalf("index %d armed: %v, want %v", k, s.armed(k), want)
				}
			}
			i, at, ok := s.first()
			if ok != (len(model) > 0) {
				t.Fatalf("first: %v with %d armed", ok, len(model))
			}
			for k, v := range model {
				if v < at || v == at && k < i {
					t.Fatalf("first is %d at %d, but %d is at %d", i, at, k, v)
				}
			}
		}
		var order []int
		for i, at, ok := s.first(); ok; i, at, ok = s.first() {
			order = append(order, at)
			s.stop(i)
		}
		if !slices.IsSortedFunc(order, cmp.Compare[int]) || len(order) != len(model) {
			t.Fatalf("emptied in the order %v", order)
		}
	})
}
