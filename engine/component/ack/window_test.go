package ack

import (
	"bytes"
	"testing"

	"github.com/carrier-p2p/carrier/engine"
	"pgregory.net/rapid"
)

// Law: a window does what a set of numbers does from which all below the highest-WindowLimit+1 are taken as seen, and tells
// the sender exactly that. Numbers begin where they come round.
func TestWindowIsASet(t *testing.T) { rapid.Check(t, windowIsASet) }

func FuzzWindow(f *testing.F) { f.Fuzz(rapid.MakeFuzz(windowIsASet)) }

func windowIsASet(t *rapid.T) {
	first := uint64(engine.AckIDs - rapid.IntRange(0, 3*WindowLimit).Draw(t, "first")) // without coming round
	var w window
	w.begin(7, uint32(first%engine.AckIDs))
	taken, below := map[uint64]bool{}, first
	settle := func() {
		for taken[below] {
			delete(taken, below)
			below++
		}
	}
	slide := func(to uint64) {
		for ; below < to; below++ {
			delete(taken, below)
		}
		settle()
	}
	for range rapid.IntRange(1, 60).Draw(t, "steps") {
		id := below + uint64(rapid.OneOf(rapid.IntRange(0, 5), rapid.IntRange(0, WindowLimit-1), rapid.IntRange(0, 3*WindowLimit)).Draw(t, "id"))
		switch rapid.IntRange(0, 9).Draw(t, "what") {
		case 0:
			if id < below+WindowLimit {
				w.begin(7, uint32(id%engine.AckIDs))
				slide(id)
			}
		case 1:
			if below > first && w.fresh(uint32((below-1)%engine.AckIDs)) {
				t.Fatal("a settled number is fresh")
			}
		default:
			got := w.fresh(uint32(id % engine.AckIDs))
			if id >= below+WindowLimit {
				slide(id - WindowLimit + 1)
			}
			want := id >= below && !taken[id]
			if got != want {
				t.Fatalf("%d above %d: fresh %v, want %v", id-below, below, got, want)
			}
			if got && rapid.Bool().Draw(t, "taken") {
				w.take(uint32(id % engine.AckIDs))
				taken[id] = true
				settle()
			}
		}
		check(t, &w, below, taken)
	}
}

func check(t *rapid.T, w *window, below uint64, taken map[uint64]bool) {
	t.Helper()
	if w.below != uint32(below%engine.AckIDs) || w.count != len(taken) || (w.taken == nil) != (w.count == 0) {
		t.Fatalf("below %d and %d above, want %d and %d", w.below, w.count, below%engine.AckIDs, len(taken))
	}
	var room [WindowLimit / 8]byte
	for i := range room {
		room[i] = 0xdb // it is used again and again
	}
	b := w.state(&room).append(nil)
	m, err := parse(b)
	if err != nil {
		t.Fatalf("%x: %v", b, err)
	}
	told := 0
	for i := range uint32(8 * len(m.bits)) {
		if m.has(i) {
			told++
			if !taken[below+uint64(i)] {
				t.Fatalf("the sender is told that %d has been taken", i)
			}
		}
	}
	if told != len(taken) || m.base != w.below || m.epoch != 7 {
		t.Fatalf("the sender is told of %d, want %d", told, len(taken))
	}
}

// Another epoch begins anew; the same one only moves on.
func TestWindowBegin(t *testing.T) {
	var w window
	w.begin(1, 100)
	w.take(101)
	w.begin(1, 50)
	if w.below != 100 || w.count != 1 {
		t.Errorf("an older Begin of the same epoch: %+v", w)
	}
	w.begin(1, 101)
	if w.below != 102 || w.count != 0 || w.taken != nil {
		t.Errorf("a later Begin of the same epoch: %+v", w)
	}
	w.begin(2, 0)
	if w.below != 0 || w.epoch != 2 || !w.fresh(0) {
		t.Errorf("another epoch: %+v", w)
	}
}

// Law: what parses is written back to the same bytes.
func FuzzParse(f *testing.F) {
	f.Add([]byte{1, 7, 0, 0, 0, 0, 1, 0, 0})
	f.Add([]byte{2, 7, 0, 0, 0, 5, 0, 0, 0, 0, 2})
	f.Add([]byte{3, 7, 0, 0, 0, 5, 0, 0, 0})
	f.Add([]byte{2, 7, 0, 0, 0, 0xff, 0xff, 0xff, 0x3f, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parse(b)
		if err != nil {
			return
		}
		if got := m.append(nil); !bytes.Equal(got, b) {
			t.Fatalf("%x is written back as %x", b, got)
		}
	})
}

// The first number above the window moves it by one, and is not taken for the one whose bit it gets.
func TestWindowMoves(t *testing.T) {
	var w window
	w.begin(1, 10)
	w.take(11)
	if !w.fresh(10+WindowLimit) || w.below != 12 {
		t.Fatalf("the window begins at %d, want 12: 10 is settled, 11 was taken", w.below)
	}
	w.take(10 + WindowLimit)
	if w.fresh(10) || w.fresh(10+WindowLimit) || !w.fresh(12) || w.below != 12 {
		t.Errorf("after it was taken: %+v", w)
	}
}
