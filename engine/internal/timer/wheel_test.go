package timer_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/internal/timer"
)

const (
	ms        = time.Millisecond
	lastWhole = time.Duration(math.MaxInt64 / ms * ms) // the last tick of time.Duration begins here and is incomplete
)

// recorder returns a function that makes timers which write their name into the log when they fire.
func recorder(log *[]string) func(name string) *timer.Timer {
	return func(name string) *timer.Timer {
		return &timer.Timer{Fire: func(time.Duration) { *log = append(*log, name) }}
	}
}

// Each case sets timers a, b, c, ... for the given times, in this order, at time now; then advances.
func TestOrder(t *testing.T) {
	for _, c := range []struct {
		name     string
		now      time.Duration
		set      []time.Duration
		advance  time.Duration
		max      int
		want     string
		wantNext time.Duration // -1: none. Where timers have to move down first, Next is before the deadline
	}{
		{"nothing set", 0, nil, time.Hour, 9, "", -1},
		{"not yet", 0, []time.Duration{5 * ms}, 5*ms - 1, 9, "", 5 * ms},
		{"on the tick", 0, []time.Duration{5 * ms}, 5 * ms, 9, "a", -1},
		{"rounded up", 0, []time.Duration{5*ms - 1}, 5*ms - 1, 9, "", 5 * ms},
		{"by time, not by order of Set", 0, []time.Duration{9 * ms, 3 * ms, 6 * ms}, time.Second, 9, "bca", -1},
		{"first in first out in a tick", 0, []time.Duration{3 * ms, 2*ms + 1, 3 * ms}, 3 * ms, 9, "abc", -1},
		{"one tick, set through different levels", 0, []time.Duration{70 * ms, 69*ms + 1, 70 * ms}, 70 * ms, 9, "abc", -1},
		{"max cuts", 0, []time.Duration{1 * ms, 2 * ms, 3 * ms}, 5 * ms, 2, "ab", 5 * ms},
		{"max of zero", 0, []time.Duration{1 * ms}, 5 * ms, 0, "", 5 * ms},
		{"max below zero", 0, []time.Duration{1 * ms}, 5 * ms, -3, "", 5 * ms},
		{"time has come", time.Hour, []time.Duration{time.Hour, 0, -time.Hour, math.MinInt64}, time.Hour, 9, "abcd", -1},
		{"time goes back", time.Hour, []time.Duration{time.Minute}, time.Second, 9, "a", -1},
		{"before time zero", -time.Hour, []time.Duration{-time.Minute, -time.Second, time.Second}, -time.Second, 9, "ab", 0},
		{"no early fire before zero", -time.Hour, []time.Duration{-1}, -1, 9, "", 0},
		{"hours at once", 0, []time.Duration{100 * time.Hour, time.Hour, 10 * time.Hour}, 99 * time.Hour, 9, "bc", 5492 * 65536 * ms},
		{"centuries", 0, []time.Duration{290 * 365 * 24 * time.Hour, time.Hour}, 291 * 365 * 24 * time.Hour, 9, "ba", -1},
		{"the end of time is after now", 0, []time.Duration{math.MaxInt64}, lastWhole, 9, "", math.MaxInt64},
		{"never", 0, []time.Duration{math.MaxInt64}, math.MaxInt64, 9, "", math.MaxInt64},
		{"from the beginning to the end", math.MinInt64, []time.Duration{0, math.MinInt64 + 1}, math.MaxInt64, 9, "ba", -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log []string
			w, named := timer.NewWheel(c.now), recorder(&log)
			for i, at := range c.set {
				w.Set(named(string(rune('a'+i))), at)
			}
			fired := w.Advance(c.advance, c.max)
			if got := strings.Join(log, ""); got != c.want || fired != len(c.want) {
				t.Errorf("fired %q and returned %d, want %q", got, fired, c.want)
			}
			next, ok := w.Next()
			if !ok {
				next = -1
			}
			if next != c.wantNext {
				t.Errorf("Next = %v, want %v", next, c.wantNext)
			}
		})
	}
}

// A timer that sets itself for now fires once per Advance: a loop that did this for ever must not be held.
func TestSettingItselfForNowWaitsForTheNextAdvance(t *testing.T) {
	w := timer.NewWheel(0)
	var count int
	var again timer.Timer
	again.Fire = func(now time.Duration) { count++; w.Set(&again, now) }
	w.Set(&again, ms)
	for i := 1; i <= 3; i++ {
		if n := w.Advance(ms, 100); n != 1 || count != i {
			t.Fatalf("Advance %d fired %d (%d in all), want 1", i, n, count)
		}
		if at, ok := w.Next(); at != ms || !ok {
			t.Fatalf("after Advance %d: Next = %v, %v, want %v", i, at, ok, ms)
		}
	}
}

func TestTimersActOnOthersWhileFiring(t *testing.T) {
	var log []string
	w, named := timer.NewWheel(0), recorder(&log)
	victim, later, both := named("victim"), named("later"), named("both")
	first := &timer.Timer{}
	first.Fire = func(now time.Duration) {
		log = append(log, "first")
		if stopped := w.Stop(victim); stopped != (now == 5*ms) {
			t.Errorf("at %v: Stop of another timer of the tick says %v", now, stopped)
		}
		if w.Stop(first) || first.Armed() {
			t.Error("a timer is still armed inside its Fire")
		}
		if now == 5*ms {
			w.Set(later, now+ms)
			w.Set(both, now+ms) // was due in this tick
			w.Set(first, now+2*ms)
		}
	}
	for _, tm := range []*timer.Timer{first, victim, both, named("last")} {
		w.Set(tm, 5*ms)
	}
	for now := 5 * ms; now < 8*ms; now += ms {
		log = append(log, now.String()+":")
		w.Advance(now, 10)
	}
	want := "5ms: first last 6ms: later both 7ms: first"
	if got := strings.Join(log, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A panic in Fire passes through Advance, which can go on afterwards with the timers that are left.
func TestPanicInFireLosesNothing(t *testing.T) {
	var log []string
	w, named := timer.NewWheel(0), recorder(&log)
	bad := &timer.Timer{Fire: func(time.Duration) { panic(errors.New("component failed")) }}
	w.Set(named("a"), ms)
	w.Set(bad, ms)
	w.Set(named("b"), ms)
	func() {
		defer func() { recover() }()
		w.Advance(ms, 10)
	}()
	w.Advance(ms, 10)
	if !slices.Equal(log, []string{"a", "b"}) || bad.Armed() {
		t.Errorf("fired %v (bad armed: %v), want a and b", log, bad.Armed())
	}
}

func TestStopAndReuse(t *testing.T) {
	var log []string
	w := timer.NewWheel(0)
	tm := recorder(&log)("x")
	if w.Stop(tm) {
		t.Error("Stop of a timer never set says true")
	}
	w.Set(tm, ms)
	if !tm.Armed() || !w.Stop(tm) || tm.Armed() || w.Stop(tm) {
		t.Error("want armed, stopped, not armed, not stopped again")
	}
	if _, ok := w.Next(); ok {
		t.Error("Next knows of a timer that was stopped")
	}
	w.Advance(time.Second, 10)
	w.Set(tm, 2*time.Second)
	w.Set(tm, 5*time.Second) // moves; does not fire twice
	if n := w.Advance(4*time.Second, 10); n != 0 {
		t.Errorf("fired %d at its old time", n)
	}
	if n := w.Advance(6*time.Second, 10); n != 1 || len(log) != 1 || w.Stop(tm) {
		t.Errorf("fired %d, log %v", n, log)
	}
}

func TestSetWithoutFireIsABug(t *testing.T) {
	defer func() {
		if v, ok := recover().(error); !ok || !strings.HasPrefix(v.Error(), "timer: bug:") {
			t.Errorf("panicked with %v", v)
		}
	}()
	timer.NewWheel(0).Set(new(timer.Timer), ms)
	t.Error("Set took a timer without Fire")
}

// A jump of any length costs a few looks per timer that is due: one Advance with room for one Fire gets to it, or nearly.
func TestJumpsAreCheap(t *testing.T) {
	for _, jump := range []time.Duration{time.Second, time.Hour, 1000 * time.Hour, 200 * 365 * 24 * time.Hour} {
		var log []string
		w := timer.NewWheel(3 * ms)
		w.Set(recorder(&log)("x"), jump)
		calls := 0
		for ; len(log) == 0 && calls < 10; calls++ {
			w.Advance(jump, 1)
		}
		if calls > 2 {
			t.Errorf("a timer in %v needed %d Advances, want at most 2", jump, calls)
		}
	}
}

// A hundred thousand timers that come down from one slot do so in bounded steps, and in order.
func TestAdvanceIsBoundedInMovesToo(t *testing.T) {
	const count, most = 100_000, 100
	w := timer.NewWheel(0)
	next := 0
	timers := make([]timer.Timer, count)
	for i := range timers {
		timers[i].Fire = func(time.Duration) {
			if i != next {
				t.Fatalf("timer %d fired, want %d", i, next)
			}
			next++
		}
		w.Set(&timers[i], time.Hour-time.Duration(i%3)) // one tick
	}
	fired, calls := 0, 0
	for at, ok := w.Next(); ok; at, ok = w.Next() {
		n := w.Advance(max(at, time.Hour), most)
		if n > most {
			t.Fatalf("Advance fired %d, above %d", n, most)
		}
		fired += n
		calls++
	}
	// Each timer fires once and moves at least once, 4*most at a time.
	if least := count/most + count/(4*most); fired != count || calls < least {
		t.Errorf("fired %d in %d calls, want %d in at least %d", fired, calls, count, least)
	}
}

// An Advance that was cut short while timers moved leaves a wheel on which everything can still be stopped and set.
func TestStopAndSetInTheMiddleOfAMove(t *testing.T) {
	var log []string
	w, named := timer.NewWheel(0), recorder(&log)
	timers := make([]*timer.Timer, 40)
	for i := range timers {
		timers[i] = named("stopped")
		w.Set(timers[i], time.Hour)
	}
	if n := w.Advance(time.Hour, 1); n != 0 {
		t.Fatalf("fired %d before 40 timers had moved, want 0", n)
	}
	if at, ok := w.Next(); at != time.Hour || !ok {
		t.Fatalf("Next = %v, %v in the middle of a move, want %v", at, ok, time.Hour)
	}
	for _, tm := range timers {
		w.Stop(tm)
	}
	if at, ok := w.Next(); ok {
		t.Errorf("Next = %v after all timers were stopped", at)
	}
	w.Set(named("c"), time.Hour+2*ms)
	w.Set(named("b"), time.Hour+1*ms)
	w.Set(named("a"), time.Hour)
	for at, ok := w.Next(); ok; at, ok = w.Next() {
		w.Advance(at, 1)
	}
	if got := strings.Join(log, ""); got != "abc" {
		t.Errorf("fired %q, want abc", got)
	}
}

func TestNoAllocations(t *testing.T) {
	w := timer.NewWheel(0)
	timers := make([]timer.Timer, 1000)
	for i := range timers {
		timers[i].Fire = func(now time.Duration) { w.Set(&timers[i], now+time.Duration(i)*17*ms) }
	}
	now := time.Duration(0)
	n := testing.AllocsPerRun(100, func() {
		for i := range timers {
			w.Set(&timers[i], now+time.Duration(i*i)*ms)
		}
		now += time.Second
		w.Advance(now, 500)
		w.Next()
		for i := range timers {
			w.Stop(&timers[i])
		}
	})
	if n != 0 {
		t.Errorf("%v allocations, promised 0", n)
	}
}
