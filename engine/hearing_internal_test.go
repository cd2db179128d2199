package engine

import (
	"testing"
	"time"
)

// However a loop is behind, at most deafMost of one such time is excused: where the lag grows, where it stays
// what it is, and where the loop comes late in the middle of it. What follows a time in which it listened
// counts anew.
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

// A time-out that is over at the very alarm to which its loop comes late is judged when the loop has read
// what has waited, and one of which some was left when the loop has listened for as long.
func TestLeftOfATimeOut(t *testing.T) {
	const s = time.Second
	for _, x := range []struct {
		name             string
		alarm, now, look time.Duration // the loop comes to the alarm at now; looked at then
		want             time.Duration // of ten seconds, counted from 0
	}{
		{"in time", 10 * s, 10 * s, 10 * s, 0},
		{"a little late", 10 * s, 10*s + deafAfter - 1, 10 * s, 0},
		{"late for the deadline itself", 10 * s, 20 * s, 20 * s, deafGrace},
		{"and has read since", 10 * s, 20 * s, 20*s + deafGrace, 0},
		{"late before it", 4 * s, 20 * s, 20 * s, 6*s + deafGrace},
		{"late before it, and listens again", 4 * s, 20 * s, 23 * s, 4 * s},
		{"late long after it", 30 * s, 40 * s, 40 * s, -20*s + deafGrace},
	} {
		l := &loop{now: x.look}
		l.hearing.late(x.alarm, x.now)
		if got := l.left(0, 10*s); got != x.want {
			t.Errorf("%s: %v are left, want %v", x.name, got, x.want)
		}
	}
}

// A loop that is late again and again judges all the same.
func TestAlwaysLateJudges(t *testing.T) {
	l := &loop{}
	for left := time.Second; left > 0; left = l.left(0, 10*time.Second) {
		if l.now > 10*time.Minute {
			t.Fatal("nobody has been judged for ten minutes")
		}
		l.hearing.late(l.now, l.now+deafAfter)
		l.now += deafAfter
	}
	if l.now < 10*time.Second {
		t.Errorf("judged after %v", l.now)
	}
}
