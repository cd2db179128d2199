package skad

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestArenaAgainstMap: contacts are found exactly as long as they are there, also when their IDs collide in the index.
func TestArenaAgainstMap(t *testing.T) {
	pool := make([]*Contact, 300)
	rnd := newRand(1)
	for i := range pool {
		id := randomID(rnd)
		if i%3 == 0 {
			id[0], id[3] = 1, 1 // one home for all of them
		}
		pool[i] = fakeContact(id, i)
	}
	rapid.Check(t, func(t *rapid.T) {
		a := arena{salt: 42}
		model := map[ID]uint16{}
		for range rapid.IntRange(1, 400).Draw(t, "steps") {
			d := pool[rapid.IntRange(0, len(pool)-1).Draw(t, "contact")]
			if i := a.find(&d.ID); i != 0 && rapid.Bool().Draw(t, "release") {
				a.release(i)
				delete(model, d.ID)
			} else {
				model[d.ID] = a.acquire(d)
			}
		}
		if a.held != len(model) {
			t.Fatalf("%d held, want %d", a.held, len(model))
		}
		for _, d := range pool {
			if got := a.find(&d.ID); got != model[d.ID] {
				t.Fatalf("%v is in slot %d, want %d", d.ID, got, model[d.ID])
			}
		}
	})
}

// TestArenaIsBounded: past contactLimit nothing more is remembered, and nothing breaks.
func TestArenaIsBounded(t *testing.T) {
	var a arena
	rnd := newRand(1)
	var last *Contact
	for i := range contactLimit {
		last = fakeContact(randomID(rnd), i)
		if a.acquire(last) == 0 {
			t.Fatalf("full with %d", i)
		}
	}
	extra := fakeContact(randomID(rnd), 1)
	if a.acquire(extra) != 0 {
		t.Error("more than contactLimit")
	}
	if a.acquire(last) == 0 {
		t.Error("one that is there is not found when full")
	}
	a.release(a.find(&last.ID))
	if a.acquire(extra) == 0 {
		t.Error("no room after a release")
	}
}

func TestTicks(t *testing.T) {
	for _, d := range []time.Duration{0, 1, tickLength, tickLength + 1, time.Hour, -time.Hour, -1, 3 * 365 * 24 * time.Hour} {
		if back := tickOf(d).duration(); back < d || back-d >= tickLength {
			t.Errorf("%v is tick %d, which is %v: early, or a tick too late", d, tickOf(d), back)
		}
	}
}
