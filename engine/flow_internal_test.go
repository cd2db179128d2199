package engine

import (
	"testing"

	"pgregory.net/rapid"
)

// What a flow makes of receipts: it grows by what arrives, is cut once for the losses of one window, and ignores old news.
func TestFlow(t *testing.T) {
	f := newFlow()
	for range flowFirst {
		if !f.open() {
			t.Fatalf("shut after %d of %d records", f.sent, flowFirst)
		}
		f.sent++
	}
	if f.open() {
		t.Error("open with a whole window under way")
	}
	steps := []struct {
		name           string
		next, received uint64
		window         uint32
		news           bool
	}{
		{"all arrived", 32, 32, 64, true},
		{"the same again", 32, 32, 64, false},
		{"an old one", 16, 16, 64, false},
		{"two lost of 24, which may be late", 56, 54, 86, true},
		{"and they were", 56, 56, 88, true},
		{"half lost", 96, 76, 56, true},
		{"more of the same window", 100, 78, 56, true},
	}
	f.sent = 100
	for _, s := range steps {
		if err := f.told(s.next, s.received); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if f.window != s.window || f.news != s.news {
			t.Errorf("%s: window %d, news %v; want %d, %v", s.name, f.window, f.news, s.window, s.news)
		}
	}
	f.stalled()
	if f.window != flowLeast || f.threshold != 28 {
		t.Errorf("after a stall window %d and threshold %d, want %d and 28", f.window, f.threshold, flowLeast)
	}
	for _, bad := range [][2]uint64{{101, 50}, {50, 51}, {1 << 63, 0}} {
		if err := f.told(bad[0], bad[1]); err == nil {
			t.Errorf("a receipt for %d of %d was believed, %d sent", bad[1], bad[0], f.sent)
		}
	}
}

// Law: whatever a peer tells, the window stays within its bounds, and no receipt lets more be under way than the window.
func TestFlowBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFlow()
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				f.stalled()
			default:
				for range rapid.IntRange(0, 300).Draw(t, "records") {
					if !f.open() {
						break
					}
					f.sent++
				}
				next := rapid.Uint64Range(0, f.sent+2).Draw(t, "next")
				_ = f.told(next, rapid.Uint64Range(0, next+2).Draw(t, "received"))
			}
			if f.window < flowLeast || f.window > flowMost || f.next > f.sent || f.received > f.next {
				t.Fatalf("%+v", f)
			}
		}
	})
}
