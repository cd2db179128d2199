package timer_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/internal/timer"
	"pgregory.net/rapid"
)

// The law of the wheel: it does what a plain list does from which the least (tick, order of Set) is taken again and again.
//
// Both sides run the same random program: times are drawn near and very far, timers set and stop each other and themselves
// while they fire, and Advance is cut short. After each step the order of firing and what Next promises are compared.
func TestWheelIsASortedList(t *testing.T) { rapid.Check(t, wheelIsASortedList) }

func FuzzWheelIsASortedList(f *testing.F) { f.Fuzz(rapid.MakeFuzz(wheelIsASortedList)) }

const timerCount = 24

// A schedule is what both sides understand.
type schedule interface {
	set(id int, at time.Duration)
	stop(id int) bool
}

// An action is done by a timer when it fires: set (or stop) another, after so long from then.
type action struct {
	stop  bool
	other int
	after time.Duration
}

func (a action) do(s schedule, now time.Duration) {
	if a.stop {
		s.stop(a.other)
		return
	}
	s.set(a.other, saturated(now, a.after))
}

// saturated adds without wrapping around.
func saturated(a, b time.Duration) time.Duration {
	switch sum := a + b; {
	case b > 0 && sum < a:
		return math.MaxInt64
	case b < 0 && sum > a:
		return math.MinInt64
	default:
		return sum
	}
}

// A wheel is the real one, with a log of what fired.
type wheel struct {
	*timer.Wheel
	timers [timerCount]timer.Timer
	fired  []int

	fresh bool          // what Next has said last, and the wheel has not said that it may be another
	at    time.Duration // that
	any   bool
}

func newWheel(now time.Duration, actions [timerCount][]action) *wheel {
	w := &wheel{Wheel: timer.NewWheel(now)}
	w.Watch(&w.fresh)
	for id := range w.timers {
		w.timers[id].Fire = func(now time.Duration) {
			w.fired = append(w.fired, id)
			for _, a := range actions[id] {
				a.do(w, now)
			}
		}
	}
	return w
}

func (w *wheel) set(id int, at time.Duration) { w.Set(&w.timers[id], at) }
func (w *wheel) stop(id int) bool             { return w.Stop(&w.timers[id]) }

// A list is the model.
type list struct {
	now     time.Duration
	entries []entry // in order of Set
	actions [timerCount][]action
}

type entry struct {
	id   int
	tick int64
	late bool // set for a time that had come: not before the next Advance
}

func (l *list) set(id int, at time.Duration) {
	l.stop(id)
	e := entry{id: id, tick: floor(l.now), late: true}
	if at > l.now {
		e = entry{id: id, tick: -floor(-at)}
	}
	l.entries = append(l.entries, e)
}

func (l *list) stop(id int) bool {
	before := len(l.entries)
	l.entries = slices.DeleteFunc(l.entries, func(e entry) bool { return e.id == id })
	return len(l.entries) < before
}

// due returns the index of the entry to fire next, or -1.
func (l *list) due() int {
	best := -1
	for i, e := range l.entries {
		if !e.late && e.tick <= floor(l.now) && (best < 0 || e.tick < l.entries[best].tick) {
			best = i
		}
	}
	return best
}

// advance fires count entries and returns their ids.
func (l *list) advance(now time.Duration, count int) (ids []int) {
	l.now = max(l.now, now)
	for i := range l.entries {
		l.entries[i].late = false
	}
	for range count {
		i := l.due()
		if i < 0 {
			break
		}
		id := l.entries[i].id
		l.entries = slices.Delete(l.entries, i, i+1)
		ids = append(ids, id)
		for _, a := range l.actions[id] {
			a.do(l, l.now)
		}
	}
	return ids
}

// floor counts whole milliseconds, downwards also below zero. It does not overflow: -MinInt64 is MinInt64, whose tick is
// below all others, as the model needs it only for set, where such an at is never above now.
func floor(d time.Duration) int64 {
	q, r := int64(d/time.Millisecond), d%time.Millisecond
	if r < 0 {
		q--
	}
	return q
}

// span draws a time to wait that exercises a random level: near ones often, the far end of time.Duration sometimes.
func span() *rapid.Generator[time.Duration] {
	return rapid.Custom(func(t *rapid.T) time.Duration {
		bits := rapid.IntRange(0, 62).Draw(t, "bits")
		d := time.Duration(rapid.Int64Range(0, 1<<bits).Draw(t, "nanos"))
		if rapid.IntRange(0, 7).Draw(t, "sign") == 0 {
			return -d
		}
		if rapid.Bool().Draw(t, "whole") {
			return d.Truncate(time.Millisecond)
		}
		return d
	})
}

func wheelIsASortedList(t *rapid.T) {
	now := rapid.OneOf(rapid.Just(time.Duration(0)), span()).Draw(t, "start")
	var actions [timerCount][]action
	for id := range actions {
		actions[id] = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) action {
			return action{
				stop:  rapid.Bool().Draw(t, "stop"),
				other: rapid.IntRange(0, timerCount-1).Draw(t, "other"),
				after: span().Draw(t, "after"),
			}
		}), 0, 2).Draw(t, "actions")
	}
	w, model := newWheel(now, actions), &list{now: now, actions: actions}
	for range rapid.IntRange(1, 60).Draw(t, "steps") {
		id := rapid.IntRange(0, timerCount-1).Draw(t, "id")
		switch rapid.IntRange(0, 5).Draw(t, "step") {
		case 0:
			if got, want := w.stop(id), model.stop(id); got != want {
				t.Fatalf("Stop(%d) = %v, want %v", id, got, want)
			}
		case 1, 2, 3:
			at := saturated(model.now, span().Draw(t, "in"))
			w.set(id, at)
			model.set(id, at)
		case 4:
			now = saturated(model.now, span().Draw(t, "pass"))
			advanceBoth(t, w, model, now, rapid.IntRange(0, 3).Draw(t, "max"))
		case 5:
			if at, ok := w.Next(); ok {
				advanceBoth(t, w, model, at, timerCount)
			}
		}
		checkNext(t, w, model)
	}
}

// advanceBoth advances the wheel, and the model by as many timers as fired.
func advanceBoth(t *rapid.T, w *wheel, model *list, now time.Duration, most int) {
	w.fired = nil
	n := w.Advance(now, most)
	want := model.advance(now, n)
	if n != len(w.fired) || n > most {
		t.Fatalf("Advance(%v, %d) = %d, but %d fired", now, most, n, len(w.fired))
	}
	if !slices.Equal(w.fired, want) {
		t.Fatalf("Advance(%v, %d) fired %v, want %v", now, most, w.fired, want)
	}
}

// checkNext holds Next to what it promises, and Watch.
func checkNext(t *rapid.T, w *wheel, model *list) {
	at, ok := w.Next()
	if w.fresh && (at != w.at || ok != w.any) {
		t.Fatalf("Next = %v, %v and was %v, %v, but the one who watches has not been told", at, ok, w.at, w.any)
	}
	w.fresh, w.at, w.any = true, at, ok
	if ok != (len(model.entries) > 0) {
		t.Fatalf("Next says ok=%v with %d timers set", ok, len(model.entries))
	}
	if !ok {
		return
	}
	if at < model.now {
		t.Fatalf("Next = %v lies before now, %v", at, model.now)
	}
	for _, e := range model.entries {
		if armed := w.timers[e.id].Armed(); !armed {
			t.Fatalf("timer %d is set and not Armed", e.id)
		}
		due := e.late || e.tick <= floor(model.now)
		if due && at != model.now {
			t.Fatalf("timer %d is due, but Next = %v and now = %v", e.id, at, model.now)
		}
		if !due && floor(at) > e.tick {
			t.Fatalf("Next = %v is later than tick %d of timer %d", at, e.tick, e.id)
		}
	}
}

// Whoever sleeps until Next and then advances reaches every deadline, on its tick, after few wakes.
func TestNextLeadsToEveryDeadline(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := span().Draw(t, "start")
		at := saturated(start, span().Draw(t, "in"))
		w := timer.NewWheel(start)
		var firedAt []time.Duration
		tm := timer.Timer{Fire: func(now time.Duration) { firedAt = append(firedAt, now) }}
		w.Set(&tm, at)
		wakes := 0
		for next, ok := w.Next(); ok && next < math.MaxInt64; next, ok = w.Next() {
			if wakes++; wakes > 9 {
				t.Fatalf("%d wakes from %v and %v is not reached", wakes, start, at)
			}
			w.Advance(next, 1)
		}
		switch {
		case at > lastWhole && at > start:
			if len(firedAt) != 0 {
				t.Fatalf("%v is in the last, incomplete tick and fired at %v", at, firedAt)
			}
		case len(firedAt) != 1:
			t.Fatalf("set for %v from %v: fired %v", at, start, firedAt)
		case firedAt[0] < at || firedAt[0]-max(at, start) >= time.Millisecond:
			t.Fatalf("set for %v from %v, fired at %v", at, start, firedAt[0])
		}
	})
}

func ExampleWheel() {
	w := timer.NewWheel(0)
	var hello, silence timer.Timer
	hello.Fire = func(now time.Duration) { fmt.Println(now, "nothing said: ping"); w.Set(&hello, now+15*time.Second) }
	silence.Fire = func(now time.Duration) { fmt.Println(now, "nothing heard: gone"); w.Stop(&hello) }
	w.Set(&hello, 15*time.Second)
	w.Set(&silence, 45*time.Second)

	for at, ok := w.Next(); ok; at, ok = w.Next() { // a loop sleeps until at, or until something arrives
		w.Advance(at, 64)
	}
	// Output:
	// 15s nothing said: ping
	// 30s nothing said: ping
	// 45s nothing heard: gone
}
