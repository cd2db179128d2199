package timer

import (
	"math/bits"
	"time"

	"github.com/carrier-p2p/carrier/internal/invariant"
)

const (
	digitBits = 6 // so that a level's slots in use are one uint64
	slots     = 1 << digitBits
	levels    = 8
)

// A Wheel holds timers and fires them. It takes 2 KiB for each level that was ever needed: 2 for deadlines within 64 ms, 8
// for a day; else its methods do not allocate. It belongs to one goroutine.
type Wheel struct {
	now time.Duration // the latest that Advance was told

	// Invariant: here <= to <= tickBefore(now). Every timer in slots has a tick >= to, and waits in the level and slot of
	// its highest digit that differs from here's. Between calls here == to, unless max cut an Advance short while it was
	// moving the timers of the one slot that has to be emptied for here to become to; those already moved wait as seen from to.
	here, to uint64

	// What Next has found: first is the first tick in which something may be due, while known, and 0 if there is none. Set
	// makes it earlier; whatever takes a timer away leaves it to be found anew.
	first uint64
	known bool
	fresh *bool // see Watch

	// late are the timers set for a time that had come: they fire in the next Advance and not in the one that is under way,
	// or a timer that sets itself for now would never let it end. Their tick is tickBefore(now).
	late ring

	inUse  [levels]uint64 // bit s: slot s may hold timers; cleared when it is found not to
	levels [levels]*level // nil: never needed. The lowest is always there
}

type level [slots]ring

func newLevel() *level {
	lv := new(level)
	for s := range lv {
		lv[s].init()
	}
	return lv
}

// NewWheel returns a wheel without timers whose time is now.
func NewWheel(now time.Duration) *Wheel {
	w := &Wheel{now: now, here: tickBefore(now)}
	w.to = w.here
	w.late.init()
	w.levels[0] = newLevel()
	return w
}

// Watch has the wheel clear fresh whenever what Next returns may have become another. Whoever asks after
// every event then need not touch a wheel in which nothing has moved: it is out of the cache where there are
// very many.
func (w *Wheel) Watch(fresh *bool) { w.fresh = fresh }

func (w *Wheel) stale() {
	if w.fresh != nil {
		*w.fresh = false
	}
}

// Set arms t for at; if it is armed, it moves. It fires in the first Advance that is told at or later, rounded up to a
// Tick. An at that has passed already is due in the next Advance. A time in the last, incomplete tick of time.Duration,
// and so the largest Duration, never comes. O(1).
func (w *Wheel) Set(t *Timer, at time.Duration) {
	if t.Fire == nil {
		invariant.Bug("timer: bug: Set of a timer that has no Fire")
	}
	if t.Armed() {
		t.unlink()
		w.known = false
		w.stale()
	}
	if at <= w.now {
		t.tick = tickBefore(w.now)
		w.late.push(t)
		w.stale()
		return
	}
	t.tick = tickAfter(at)
	w.slot(w.here, t.tick).push(t)
	if w.first == 0 || t.tick < w.first {
		w.first = t.tick
		w.stale()
	}
}

// Stop disarms t and reports whether it was armed. After it, t does not fire until it is set again. O(1).
func (w *Wheel) Stop(t *Timer) bool {
	if !t.Armed() {
		return false
	}
	t.unlink()
	w.known = false
	w.stale()
	return true
}

// Next returns when Advance should be called again: never later than the earliest deadline, rounded up to a Tick. It may
// be earlier, when timers have to move down before it is known which is first. If something is due already it is the
// time of the last Advance. ok is false if no timer is armed. It looks at one word per level, and at less when nothing has
// fired, moved or been stopped since it was last called.
func (w *Wheel) Next() (at time.Duration, ok bool) {
	if !w.late.empty() {
		return w.now, true
	}
	if !w.known {
		w.first, _ = w.earliest()
		w.known = true
	}
	if w.first == 0 {
		return 0, false
	}
	return max(timeOf(w.first), w.now), true // where an Advance was cut short first may lie before now, and means now
}

// Advance tells the wheel the time and fires what is due, in order, but no more than max timers; it returns how many. What
// is left then fires in the next Advance. Whether something is left, Next tells, and the count does not: Advance also
// ends early if it had to move more than a few times max timers. A now before the last one is taken for that.
func (w *Wheel) Advance(now time.Duration, max int) (fired int) {
	w.known = false
	w.stale()
	if !w.late.empty() {
		w.slot(w.here, tickBefore(w.now)).take(&w.late)
	}
	if now > w.now {
		w.now = now
	}
	moves := movesPerFire * min(max, 1<<24)
	for fired < max {
		if w.to != w.here {
			if !w.descend(&moves) {
				break
			}
			continue
		}
		first := &w.levels[0][w.here%slots].head
		if t := first.next; t != first {
			t.unlink()
			fired++
			t.Fire(w.now)
			continue
		}
		if !w.aim() {
			break
		}
	}
	return fired
}

// slot returns the ring in which a timer due at tick waits as seen from here, and marks it as used.
func (w *Wheel) slot(here, tick uint64) *ring {
	level := levelOf(here ^ tick)
	s := tick >> (level * digitBits) % slots
	w.inUse[level] |= 1 << s
	lv := w.levels[level]
	if lv == nil {
		lv = newLevel()
		w.levels[level] = lv
	}
	return &lv[s]
}

// levelOf returns the number of the highest digit that is not zero; 0 if there is none.
func levelOf(tick uint64) int { return (bits.Len64(tick|1) - 1) / digitBits }

// earliest returns the first tick of the first slot that holds timers. As lower levels end before the next slot of a
// higher one begins, that is the lowest slot of the lowest level.
func (w *Wheel) earliest() (tick uint64, ok bool) {
	for level := range w.inUse {
		for w.inUse[level] != 0 {
			s := bits.TrailingZeros64(w.inUse[level])
			if w.levels[level][s].empty() {
				w.inUse[level] &^= 1 << s
				continue
			}
			above := w.here >> ((level + 1) * digitBits) << digitBits
			return (above | uint64(s)) << (level * digitBits), true
		}
	}
	return 0, false
}

// aim sets to to the first tick in which something is due, or to the last that has begun. It reports false if the wheel
// is there.
func (w *Wheel) aim() bool {
	w.to = tickBefore(w.now)
	if tick, ok := w.earliest(); ok && tick < w.to {
		w.to = tick
	}
	return w.to != w.here
}

// descend makes here to. There is no timer before to; so, of all slots, only that of to in the highest digit that changes
// holds timers whose place is another one now. They move in their order, as many as moves allows; descend reports whether
// it came to the end.
func (w *Wheel) descend(moves *int) bool {
	if level := levelOf(w.here ^ w.to); level > 0 {
		s := w.to >> (level * digitBits) % slots
		if lv := w.levels[level]; lv != nil && !w.empty(&lv[s], moves) {
			return false
		}
	}
	w.here = w.to
	return true
}

// empty moves the timers of a slot to where they belong seen from to. It reports false if moves did not allow all.
func (w *Wheel) empty(from *ring, moves *int) bool {
	for ; !from.empty(); *moves-- {
		if *moves == 0 {
			return false
		}
		t := from.head.next
		t.unlink()
		w.slot(w.to, t.tick).push(t)
	}
	return true
}
