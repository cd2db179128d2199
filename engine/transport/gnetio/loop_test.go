package gnetio

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// TestWakeAllocs: a wake and its turn allocate nothing, from the loop and from elsewhere, and neither does an alarm that
// is put off.
func TestWakeAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	p := newProbe()
	var lp transport.Loop
	turned := make(chan struct{}, 1)
	chain := 0
	p.turn = func(lp transport.Loop) {
		lp.WakeAt(lp.Now() + time.Hour)
		if chain > 0 {
			chain--
			lp.Wake()
			return
		}
		turned <- struct{}{}
	}
	tr, _ := start(t, Config{Loops: 1}, p)
	lp = tr.Loops()[0]
	if n := testing.AllocsPerRun(500, func() { lp.Wake(); <-turned }); n != 0 {
		t.Errorf("a wake from elsewhere: %v allocations, promised 0", n)
	}
	if n := testing.AllocsPerRun(20, func() { chain = 20; lp.Wake(); <-turned }); n != 0 {
		t.Errorf("twenty wakes from the loop: %v allocations, promised 0", n)
	}
}

// TestAlarmDue drives the alarm's bookkeeping by hand: rings that are early, late, in vain, replaced.
func TestAlarmDue(t *testing.T) {
	tr := New(Config{})
	tr.startedAt = time.Now()
	lp := newLoop(tr, nil, 0)
	far := lp.Now() + time.Hour

	if lp.alarmDue() {
		t.Error("due without a ring")
	}
	lp.ring()
	if lp.alarmDue() {
		t.Error("due without an alarm")
	}
	lp.WakeAt(far)
	if lp.armedAt != far {
		t.Errorf("armed for %v, want %v", lp.armedAt, far)
	}
	lp.WakeAt(far + time.Hour)
	if lp.armedAt != far {
		t.Error("an alarm that was put off moved the timer")
	}
	lp.ring() // the timer's, for the time that does not count any more
	if lp.alarmDue() {
		t.Error("due although it was put off")
	}
	if lp.armedAt != far+time.Hour {
		t.Errorf("armed for %v after a ring in vain, want %v", lp.armedAt, far+time.Hour)
	}
	lp.WakeAt(transport.Never)
	lp.ring()
	if lp.alarmDue() || lp.armedAt != transport.Never {
		t.Error("a cleared alarm is due, or still armed after its ring")
	}
	lp.WakeAt(0)
	lp.ring()
	if !lp.alarmDue() {
		t.Error("an alarm of the past is not due")
	}
	lp.ring()
	if lp.alarmDue() {
		t.Error("an alarm was due twice")
	}
	lp.WakeAt(far)
	lp.end()
	if lp.timer.Stop() {
		t.Error("the timer was still running after the end")
	}
}

// TestTakePosts: posts are taken in order, a bounded number at a time, and a list that a burst made long is given back.
func TestTakePosts(t *testing.T) {
	lp := newLoop(New(Config{}), nil, 0)
	const n = postKeep + postBatch/2
	all := make([]*link, n)
	for i := range all {
		all[i] = new(link)
		lp.post(all[i])
	}
	var got []*link
	for {
		more := lp.takePosts()
		if len(lp.batch) > postBatch {
			t.Fatalf("%d posts at once, at most %d", len(lp.batch), postBatch)
		}
		got = append(got, lp.batch...)
		if !more {
			break
		}
	}
	if len(got) != n {
		t.Fatalf("%d posts of %d", len(got), n)
	}
	for i := range got {
		if got[i] != all[i] {
			t.Fatalf("post %d is out of order", i)
		}
	}
	if cap(lp.posts) > postKeep {
		t.Errorf("a list of %d is kept", cap(lp.posts))
	}
}

// TestAttach: a loop takes one anchor, rings what was signalled before, and none after its end.
func TestAttach(t *testing.T) {
	lp := newLoop(New(Config{}), nil, 0)
	lp.Wake() // nobody there yet
	inner, outer, err := newAnchor()
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	if !lp.attach(outer) {
		t.Fatal("the anchor was not taken")
	}
	if n, err := readOnce(inner); n == 0 || err != nil {
		t.Errorf("the wake before the anchor did not ring it: %d, %v", n, err)
	}
	if lp.attach(outer) {
		t.Error("a second anchor was taken")
	}
	lp.end()
	lp.signalled.Store(false)
	lp.Wake()
	lp.post(new(link))
	if len(lp.posts) > 0 {
		t.Error("a post was kept after the end")
	}
	if lp.attach(outer) {
		t.Error("an anchor was taken after the end")
	}
}

// readOnce reads from an anchor's inner end, whose descriptor is not what the net package takes it for.
func readOnce(c net.Conn) (n int, err error) {
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return 0, err
	}
	err2 := raw.Control(func(fd uintptr) { n, err = unix.Read(int(fd), make([]byte, 8)) })
	return n, errors.Join(err, err2)
}

// TestSurplusAnchors: the search for the loops leaves one anchor on each, whatever connections were there before.
func TestSurplusAnchors(t *testing.T) {
	p := newProbe()
	tr, bound := start(t, Config{Loops: 2}, p, loopback())
	strangers(t, bound[0], 20)
	for range 20 {
		get(t, "a link", p.opened)
	}
	tr.cfg.Loops = 1 // search again, for one loop that has no anchor: there is none
	if err := tr.anchorLoops(); err == nil {
		t.Error("found a loop that is not there")
	}
	waitUntil(t, func() bool { return tr.engine.CountConnections() == 22 }) // 20 links, 2 anchors: the others are gone
	tr.cfg.Loops = 2
}

// TestManyTransports: transports in one process do not see each other, and a started one stops without waiting.
func TestManyTransports(t *testing.T) {
	for range 10 {
		p, q := newProbe(), newProbe()
		a, bound := start(t, Config{Loops: 2}, p, loopback())
		b, _ := start(t, Config{Loops: 2}, q)
		b.Dial(context.Background(), bound[0], nil)
		get(t, "the dialled end", q.opened)
		get(t, "the accepted end", p.opened)
		b.Stop()
		get(t, "its end", p.closed)
		if len(p.opened) != 0 || len(q.opened) != 0 || len(q.closed) != 1 {
			t.Error("a transport was told of another's links")
		}
		a.Stop()
	}
}
