package handshake

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// A model of Window: everything seen, and how far back.
type windowModel struct {
	seen map[uint64]bool
	next uint64
}

func (m *windowModel) accept(n uint64) bool {
	if n == math.MaxUint64 || m.seen[n] || n < m.next && m.next-n > WindowSize {
		return false
	}
	m.seen[n] = true
	m.next = max(m.next, n+1)
	return true
}

// Window must say what the model says, for numbers near the highest, far ahead, far behind and at the ends of the range.
func TestWindowIsTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w Window
		m := windowModel{seen: map[uint64]bool{}}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			var n uint64
			switch rapid.IntRange(0, 5).Draw(t, "how") {
			case 0, 1:
				n = m.next + uint64(rapid.IntRange(0, 3).Draw(t, "ahead"))
			case 2:
				n = m.next - uint64(rapid.IntRange(0, 200).Draw(t, "behind"))
			case 3:
				n = m.next - uint64(rapid.IntRange(WindowSize-66, WindowSize+66).Draw(t, "edge"))
			case 4:
				n = m.next + uint64(rapid.IntRange(0, 3*WindowSize).Draw(t, "jump"))
			case 5:
				n = rapid.Uint64().Draw(t, "anywhere")
			}
			checked := w.Check(n)
			want := m.accept(n)
			if got := w.Accept(n); got != want || checked != want {
				t.Fatalf("number %d with %d the next: Check %v, Accept %v, model %v", n, m.next, checked, got, want)
			}
		}
	})
}

func TestWindowEdges(t *testing.T) {
	var w Window
	steps := []struct {
		n    uint64
		want bool
	}{
		{0, true}, {0, false}, {WindowSize - 1, true}, {1, true}, {WindowSize, true}, {0, false}, {2, true}, {1, false},
		{WindowSize + 3, true}, {3, false}, {4, true}, {1 << 40, true}, {5, false}, {1<<40 - WindowSize, false}, {1<<40 - WindowSize + 1, true},
		{math.MaxUint64, false}, {math.MaxUint64 - 1, true}, {math.MaxUint64 - 1, false}, {math.MaxUint64 - 2, true}, {1 << 40, false},
	}
	for i, s := range steps {
		if got := w.Accept(s.n); got != s.want {
			t.Fatalf("step %d: Accept(%d) = %v, want %v", i, s.n, got, s.want)
		}
	}
}

// After a jump of any length nothing of the round before may be left: what was not seen is new.
func TestWindowJump(t *testing.T) {
	const full = windowWords * 64
	for jump := uint64(1); jump < 3*full; jump += 7 {
		var w Window
		for n := range uint64(full) {
			if !w.Accept(n) {
				t.Fatalf("number %d in order", n)
			}
		}
		top := full - 1 + jump
		if !w.Accept(top) {
			t.Fatalf("jump of %d", jump)
		}
		for n := top - WindowSize - 2; n <= top+1; n++ {
			want := n > top-WindowSize && n >= full && n != top
			if w.Check(n) != want {
				t.Fatalf("after a jump of %d to %d: Check(%d) = %v, want %v", jump, top, n, !want, want)
			}
		}
	}
}

func BenchmarkWindow(b *testing.B) {
	var w Window
	n := uint64(0)
	for b.Loop() {
		if !w.Accept(n) {
			b.Fatal(n)
		}
		n++
	}
}
