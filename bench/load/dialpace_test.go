package load

import (
	"context"
	"testing"
	"time"
)

// Dials that take long are made fewer at once, by half for each generation of them and not for each; dials
// that come about soon are made more again, one by one, up to where it began.
func TestDialPace(t *testing.T) {
	p := newDialPace()
	now := time.Unix(0, 0)
	generation := func(took time.Duration) (size int) {
		t.Helper()
		for p.out < p.window {
			if !p.begin(t.Context()) {
				t.Fatal("no place")
			}
			size++
		}
		began := now
		now = now.Add(took)
		for range size {
			p.end(began, now)
		}
		return size
	}
	slow := dialSoon + time.Millisecond
	for want := dialsLimit; want > 1; want /= 2 {
		if got := generation(slow); got != want {
			t.Errorf("%d at once, want %d", got, want)
		}
	}
	for range 3 {
		if got := generation(slow); got != 1 {
			t.Errorf("%d at once, want 1", got)
		}
	}
	for want := 1; want < dialsLimit; want++ {
		if got := generation(dialSoon); got != want {
			t.Fatalf("%d at once, want %d", got, want)
		}
	}
	for range 3 {
		if got := generation(0); got != dialsLimit {
			t.Errorf("%d at once, want %d", got, dialsLimit)
		}
	}
}

// Who waits for a place gets one when a dial ends, or none when the run does.
func TestDialPaceWaits(t *testing.T) {
	p := newDialPace()
	ctx, cancel := context.WithCancel(t.Context())
	for range dialsLimit {
		if !p.begin(ctx) {
			t.Fatal("no place")
		}
	}
	got := make(chan bool)
	go func() { got <- p.begin(ctx) }()
	p.end(time.Now(), time.Now())
	if !<-got {
		t.Error("no place though one is free")
	}
	go func() { got <- p.begin(ctx) }()
	cancel()
	if <-got {
		t.Error("a place though the run is over")
	}
	if p.out != dialsLimit {
		t.Errorf("%d places are taken", p.out)
	}
}
