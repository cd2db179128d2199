package engine

import (
	"testing"
	"time"
)

// However a loop is behind, at most deafMost of one such time is excused: where the lag grows, where it stays what it is, and where
// the loop comes late in the middle of it. What follows a time in which it listened counts anew.
func TestDeafnessEnds(t *testing.T) {
	const lag, looks = 600 * time.Millisecond, 100 * time.Millisecond
	for name, since := range map[string]func(now time.Duration) time.Duration{
		"a lag that grows": func(time.Duration) time.Duration { return time.Second },
		"a lag that stays": func(now time.Duration) time.Duration { return now - lag },
	} {
		var h hearing
		at := func(now time.Duration) { h.behind(since(now), now) }
		now := time.Second
		for ; now < deafMost; now += looks {
			at(now)
		}
		if got := h.missed(0, now); got < deafMost-lag-2*time.Second {
			t.Errorf("%s: of %v only %v are excused", name, now, got)
		}
		for ; now < time.Hour; now += looks {
			at(now)
		}
		if got := h.missed(0, now); got > deafMost {
			t.Errorf("%s: of an hour %v are excused, want %v at most", name, got, deafMost)
		}
		h.late(now, now+time.Minute)
		now += time.Minute
		for ; now < 2*time.Hour; now += looks {
			at(now)
		}
		if got := h.missed(0, now); got > deafMost+time.Minute+2*deafGrace {
			t.Errorf("%s: once late, %v are excused", name, got)
		}
		before := h.missed(0, now)
		now += time.Hour // of listening
		for end := now + 10*time.Second; now < end; now += looks {
			h.behind(now-lag, now)
		}
		if got := h.missed(0, now) - before; got < 10*time.Second || got > 10*time.Second+lag+deafGrace {
			t.Errorf("%s: of ten seconds much later %v are excused", name, got)
		}
	}
}
