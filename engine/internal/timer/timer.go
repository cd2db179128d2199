// Package timer is a timing wheel: very many deadlines, of which nearly all are stopped or moved before they come.
//
//	level 7   │ .. 64 slots of 139 years ..                            64 slots a level, 6 bits of the tick each;
//	  ...     │                                                        the lowest level that tells two ticks apart
//	level 2   │ .. 64 slots of 4.096 s ..                              is where the later of them waits
//	level 1   │ .. 64 slots of 64 ms ..
//	level 0   │ ■ □ □ ■ □ ■ ..   64 slots of one tick = 1 ms ──▶ Fire
//
// A timer waits in the slot of the highest digit in which its tick and the wheel's differ. When the wheel enters a slot of
// a higher level, the timers in it move down, each to where it belongs seen from there; so one moves seven times at the
// most, and usually once or twice. The levels reach over all of time.Duration: there is no horizon behind which deadlines
// would need other treatment. Which slots are in use is one machine word a level, so that hours without a timer cost no
// more than a millisecond.
//
// All timers of one tick are in one list at any moment, in the order in which they were set. That is why the order of
// firing is a promise: by tick, and by order of Set within a tick. A simulation with the same inputs fires the same.
//
// It is not a clock: time is what Advance is told. It is not for concurrent use: a Wheel, and every Timer set on it,
// belongs to one loop. There are no errors; misuse is a bug and panics.
package timer

import "time"

// A Timer is one deadline, meant to be a field of what it is about. The zero Timer, given its Fire, is ready to be set; it
// may be set again at any time, also while it is set and from inside its own Fire. It must not be copied while it is set.
//
// A set Timer is referred to by its Wheel, and keeps alive what it is a field of.
type Timer struct {
	// Fire is called once for every Set that is not followed by a Stop or another Set, with the time Advance was given. The
	// timer is no longer set by then. Fire may set and stop any timer of the wheel; it must not call Advance.
	Fire func(now time.Duration)

	next, prev *Timer // neighbours in a slot's ring; nil: not set
	tick       uint64 // when it is due
}

// Armed reports whether t is set and has neither fired nor been stopped since.
func (t *Timer) Armed() bool { return t.next != nil }

// A ring is a doubly linked ring through a head that is not a timer. Its head is a Timer all the same, so that linking and
// unlinking need no case for the ends.
type ring struct{ head Timer }

func (r *ring) init() { r.head.next, r.head.prev = &r.head, &r.head }

func (r *ring) empty() bool { return r.head.next == &r.head }

// push puts t, which is in no ring, behind the others.
func (r *ring) push(t *Timer) {
	last := r.head.prev
	t.prev, t.next = last, &r.head
	last.next, r.head.prev = t, t
}

// take moves all timers of other, in their order, behind those of r. It costs the same for one and for a million.
func (r *ring) take(other *ring) {
	if other.empty() {
		return
	}
	first, last := other.head.next, other.head.prev
	first.prev, last.next = r.head.prev, &r.head
	r.head.prev.next, r.head.prev = first, last
	other.init()
}

// unlink takes t out of its ring, whichever it is.
func (t *Timer) unlink() {
	t.prev.next, t.next.prev = t.next, t.prev
	t.next, t.prev = nil, nil
}
