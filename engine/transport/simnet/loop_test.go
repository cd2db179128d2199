package simnet_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
)

// TestWake: wakes before a turn are one turn, soon; a loop that wakes itself for ever does not stop the clock.
func TestWake(t *testing.T) {
	n := simnet.New(1, simnet.Weather{})
	a := newNode(t, n, ipA)
	lp := a.Loops()[1]
	lp.Wake()
	lp.Wake()
	if a.turns != 0 {
		t.Error("a turn inside Wake")
	}
	n.Run(20 * time.Microsecond)
	if want := []string{"turn of 1"}; len(a.log) != 1 || a.log[0][len(a.log[0])-len(want[0]):] != want[0] {
		t.Errorf("told %q, want one turn of loop 1", a.log)
	}
	a.onTurn = func(lp transport.Loop) { lp.Wake() }
	lp.Wake()
	n.Run(time.Second)
	if a.turns < 50_000 || a.turns > 1_000_000 {
		t.Errorf("%d turns in a second, want one every 1 to 20 microseconds", a.turns)
	}
	a.onTurn = nil
}

// TestWakeSoon: further wakes do not put the turn off.
func TestWakeSoon(t *testing.T) {
	n := simnet.New(1, simnet.Weather{})
	a := newNode(t, n, ipA)
	for range 100 {
		a.Loops()[0].Wake()
		n.Run(500 * time.Nanosecond)
	}
	if a.turns < 2 {
		t.Errorf("%d turns in 50 microseconds of waking", a.turns)
	}
}

// TestWakeAt: an alarm rings once and exactly, can be moved both ways and cleared, and is past at once if its time is.
func TestWakeAt(t *testing.T) {
	n := simnet.New(1, simnet.Weather{})
	n.Run(time.Hour) // so that engine time and the Net's differ
	a := newNode(t, n, ipA)
	lp := a.Loops()[0]
	var rang []time.Duration
	set := func(ats ...time.Duration) {
		rang = nil
		a.onTurn = func(lp transport.Loop) {
			for _, at := range ats {
				lp.WakeAt(at)
			}
			a.onTurn = func(lp transport.Loop) { rang = append(rang, lp.Now()) }
		}
		lp.Wake()
		n.Run(20 * time.Microsecond)
	}
	for _, c := range []struct {
		name string
		ats  []time.Duration // after now
		want []time.Duration
	}{
		{"once", []time.Duration{time.Second}, []time.Duration{time.Second}},
		{"later", []time.Duration{time.Second, 2 * time.Second}, []time.Duration{2 * time.Second}},
		{"sooner", []time.Duration{2 * time.Second, time.Second}, []time.Duration{time.Second}},
	} {
		start := lp.Now()
		for i := range c.ats {
			c.ats[i] += start
		}
		set(c.ats...)
		n.Run(time.Minute)
		for i := range rang {
			rang[i] -= start
		}
		if !slices.Equal(rang, c.want) {
			t.Errorf("%s: rang at %v, want %v", c.name, rang, c.want)
		}
	}
	for name, at := range map[string]time.Duration{"cleared": transport.Never, "beyond the end of time": transport.Never - 1} {
		set(lp.Now()+time.Second, at)
		n.Run(time.Minute)
		if len(rang) != 0 {
			t.Errorf("%s: rang at %v", name, rang)
		}
	}
	start := lp.Now()
	set(start - time.Minute)
	if len(rang) != 1 || rang[0]-start > 21*time.Microsecond {
		t.Errorf("an alarm in the past rang at %v, now is %v", rang, start)
	}
}

// TestOffload: tasks run once each, later, not inside a Sink call, and with the whole transport at their hands.
func TestOffload(t *testing.T) {
	n := simnet.New(1, simnet.Weather{})
	a := newNode(t, n, ipA)
	ran := make(map[int]time.Duration)
	for i := range 100 {
		if !a.Offload(func() {
			ran[i] += n.Now()
			a.Loops()[0].Wake()
			if i == 0 {
				a.Offload(func() { ran[100] = n.Now() })
			}
		}) {
			t.Fatal("not taken")
		}
	}
	if len(ran) != 0 {
		t.Error("a task ran inside Offload")
	}
	n.Quiesce(time.Minute)
	if len(ran) != 101 {
		t.Errorf("%d tasks ran, want 101", len(ran))
	}
	var order []time.Duration
	for i := range 100 {
		order = append(order, ran[i])
	}
	if slices.IsSorted(order) || slices.Min(order) < 20*time.Microsecond || slices.Max(order) > 500*time.Microsecond {
		t.Errorf("tasks ran after %v to %v, in order: %v", slices.Min(order), slices.Max(order), slices.IsSorted(order))
	}
	if a.turns == 0 {
		t.Error("no turn after Wake in a task")
	}
}

// TestStop: when Stop returns, tasks have run, dials have failed and links are closed, in this order and in no virtual
// time; afterwards nothing is left in the queue.
func TestStop(t *testing.T) {
	n := simnet.New(1, simnet.Weather{})
	n.Host(gone).Vanish()
	a, b := newNode(t, n, ipA), newNode(t, n, ipB)
	for range 3 {
		a.connect(b)
	}
	half, _ := a.connect(b)
	half.Close()
	a.log = nil
	a.Dial(t.Context(), tcp(gone, port), "silent")
	a.Offload(func() { a.note("task 1") })
	a.Offload(func() { a.note("task 2"); a.Loops()[0].Wake() })
	a.onClosed = func(e *end) {
		e.Loop().Wake()
		for _, other := range a.links {
			other.Close() // also those that Stop has not come to
		}
	}
	a.onTurn = func(transport.Loop) { t.Error("a turn after Stop") }
	a.Loops()[1].Wake()
	now := n.Now()
	if err := a.Stop(); err != nil || n.Now() != now {
		t.Fatalf("Stop: %v, in %v", err, n.Now()-now)
	}
	at := now.String() + " "
	want := []string{at + "task 1", at + "task 2",
		at + "dial failed silent: transport: closed",
		at + "closed: <nil>", at + "closed: <nil>", at + "closed: <nil>", at + "closed: <nil>"}
	if !slices.Equal(a.log, want) {
		t.Errorf("told %q, want %q", a.log, want)
	}
	if a.Offload(func() {}) {
		t.Error("a stopped host took a task")
	}
	if err := a.Stop(); err != nil {
		t.Errorf("second Stop: %v", err)
	}
	a.Dial(t.Context(), tcp(ipB, port), "late")
	if !n.Quiesce(time.Minute) || len(a.fails) != 2 || !errors.Is(a.fails[1], transport.ErrClosed) {
		t.Errorf("a dial after Stop: %v", a.fails)
	}
	for _, e := range b.links {
		if !e.closed {
			t.Error("the other side was not told of the end")
		}
	}
	a.Crash() // too late
	if _, err := a.Start(a, nil); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("Start after Stop: %v", err)
	}
}

// TestRunUntil: it looks before the first event, stops at the limit, and moves the clock there.
func TestRunUntil(t *testing.T) {
	n, ea, eb := pair(t, 1, simnet.Weather{Latency: time.Second})
	start := n.Now()
	if !n.RunUntil(func() bool { return true }, 0) || n.Now() != start {
		t.Error("what holds already took time")
	}
	ea.write([]byte("x"))
	if n.RunUntil(func() bool { return eb.got.Len() > 0 }, 999*time.Millisecond) || n.Now()-start != 999*time.Millisecond {
		t.Errorf("after %v: too early, or not at the limit", n.Now()-start)
	}
	if !n.RunUntil(func() bool { return eb.got.Len() > 0 }, time.Hour) || n.Now()-start != time.Second {
		t.Errorf("after %v: want a second", n.Now()-start)
	}
	if n.RunUntil(func() bool { return false }, transport.Never) || n.Step() {
		t.Error("an idle net goes on")
	}
	n.Run(transport.Never)
	ea.write([]byte("after the end of time"))
	if n.Run(time.Hour); n.Step() || eb.got.Len() != 1 {
		t.Error("an event after the end of time")
	}
}

// TestQuiesce: it waits for bytes and dials, rings alarms on the way and does not wait for them.
func TestQuiesce(t *testing.T) {
	n, ea, eb := pair(t, 1, simnet.Weather{Latency: time.Second})
	a := ea.node
	a.onTurn = func(lp transport.Loop) { lp.WakeAt(lp.Now() + 300*time.Millisecond) }
	a.Loops()[0].Wake()
	if !n.Quiesce(time.Minute) || a.turns != 1 {
		t.Errorf("%d turns, want the one of Wake", a.turns)
	}
	ea.write([]byte("x"))
	if n.Quiesce(500 * time.Millisecond) {
		t.Error("at rest with a byte under way")
	}
	if !n.Quiesce(time.Minute) || eb.got.Len() != 1 || a.turns != 4 {
		t.Errorf("%d bytes, %d turns; want 1 and the alarms of a second: 4", eb.got.Len(), a.turns)
	}
}
