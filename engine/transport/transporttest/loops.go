package transporttest

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// Waking.

// testWakeOnce: many wakes before a turn are one turn, and a turn does not run inside another call.
func testWakeOnce(k *kit) {
	a, b := k.node("a"), k.node("b")
	a.onTurn = func(lp transport.Loop) {
		if a.turnCount(lp) == 1 {
			for range 100 {
				lp.Wake()
			}
			if n := a.turnCount(lp); n != 1 {
				k.Errorf("Wake made a turn inside a turn")
			}
		}
	}
	k.startPair(a, b)
	ea, eb := k.connect(a, b)
	lp := ea.Loop()
	lp.Wake()
	k.await("the second turn", func() bool { return a.turnCount(lp) >= 2 })
	k.barrier(ea, eb, 5) // time enough for a third
	if n := a.turnCount(lp); n != 2 {
		k.Errorf("%d turns, want 2: the first, and one for a hundred wakes", n)
	}
}

// testWakeNextTurn: a sink that wakes itself in every turn does not keep the loop from its sockets: bytes, new links and
// ends go on being reported.
func testWakeNextTurn(k *kit) {
	a, b := k.node("a"), k.node("b")
	var over atomic.Bool
	again := func(lp transport.Loop) {
		if !over.Load() {
			lp.Wake()
		}
	}
	a.onTurn, b.onTurn = again, again
	k.startPair(a, b)
	for _, n := range []*node{a, b} {
		for _, lp := range n.Loops() {
			lp.Wake()
		}
	}
	for range 3 {
		ea, eb := k.connect(a, b)
		k.barrier(ea, eb, 10)
		ea.Close()
		k.awaitClosed(ea, nil)
	}
	over.Store(true)
	for _, lp := range append(a.Loops(), b.Loops()...) {
		n := a.turnCount(lp) + b.turnCount(lp)
		if n < 2 {
			k.Errorf("loop %d woke itself for ever and had %d turns", lp.Index(), n)
		}
	}
}

// testWakeFromAnywhere: each goroutine's wake is followed by a turn that sees what the goroutine did before it.
func testWakeFromAnywhere(k *kit) {
	if k.net.Serial {
		k.Skip("this transport is used from one goroutine")
	}
	const goroutines, each = 4, 200
	a := k.node("a")
	var posted atomic.Int64 // work handed to the loop, taken by its turns
	var taken int64         // on the loop
	done := make(chan struct{})
	a.onTurn = func(transport.Loop) {
		work := posted.Swap(0)
		if taken += work; work > 0 && taken == goroutines*each { // a turn may follow that finds nothing
			close(done)
		}
	}
	k.start(a)
	lp := a.Loops()[0]
	for range goroutines {
		go func() {
			for range each {
				posted.Add(1)
				lp.Wake()
			}
		}()
	}
	k.await("all work", func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	})
	if n := a.turnCount(lp); n > goroutines*each {
		k.Errorf("%d turns for %d wakes", n, goroutines*each)
	}
}

// Alarms. The spans are short, so that real transports are tested quickly, and far enough apart that the order of two
// alarms does not depend on a busy machine: each test only holds that nothing rings before its time.

const soon, later = 5 * time.Millisecond, 100 * time.Millisecond

// onLoop runs do on loop 0 of a new started node whose later turns go to turn.
func (k *kit) onLoop(do, turn func(transport.Loop)) (*node, transport.Loop) {
	n := k.node("a")
	first := true
	n.onTurn = func(lp transport.Loop) {
		if first {
			first = false
			do(lp)
			return
		}
		turn(lp)
	}
	k.start(n)
	lp := n.Loops()[0]
	lp.Wake()
	return n, lp
}

// testAlarm: an alarm is one turn, not before its time; one whose time is past rings at once; both can be set again.
func testAlarm(k *kit) {
	var at time.Duration
	var early []time.Duration
	n, lp := k.onLoop(
		func(lp transport.Loop) { at = lp.Now() + soon; lp.WakeAt(at) },
		func(lp transport.Loop) {
			if now := lp.Now(); now < at {
				early = append(early, at-now)
			}
			at += soon
			if at > 5*soon+later {
				at = 0 // in the past
			}
			lp.WakeAt(at)
		})
	k.await("ten alarms", func() bool { return n.turnCount(lp) >= 10 })
	k.stop(n)
	if len(early) > 0 {
		k.Errorf("alarms rang early by %v", early)
	}
}

// testAlarmReplaced: a later WakeAt replaces the earlier alarm, whether it moves it forth or back.
func testAlarmReplaced(k *kit) {
	var start time.Duration
	rang := make(chan time.Duration, 1000)
	n, lp := k.onLoop(
		func(lp transport.Loop) {
			start = lp.Now()
			lp.WakeAt(start + soon)
			lp.WakeAt(start + later)
		},
		func(lp transport.Loop) {
			rang <- lp.Now() - start
			if len(rang) == 1 {
				start = lp.Now()
				lp.WakeAt(start + 1000*time.Hour)
				lp.WakeAt(start + soon)
			}
		})
	k.await("two alarms", func() bool { return n.turnCount(lp) == 3 })
	if got := <-rang; got < later {
		k.Errorf("the replaced alarm rang after %v, it was moved to %v", got, later)
	}
	if got := <-rang; got < soon {
		k.Errorf("the second alarm rang after %v, want at least %v", got, soon)
	}
}

// testAlarmCleared: Never clears the alarm. Another transport's alarm, set later, shows that its time has passed.
func testAlarmCleared(k *kit) {
	n, lp := k.onLoop(
		func(lp transport.Loop) {
			lp.WakeAt(lp.Now() + soon)
			lp.WakeAt(transport.Never)
			lp.Wake()
		},
		func(transport.Loop) {})
	k.await("the turn of Wake", func() bool { return n.turnCount(lp) == 2 })
	clock, clockLoop := k.onLoop(func(lp transport.Loop) { lp.WakeAt(lp.Now() + later) }, func(transport.Loop) {})
	k.await("the other alarm", func() bool { return clock.turnCount(clockLoop) == 2 })
	if got := n.turnCount(lp); got != 2 {
		k.Errorf("%d turns, want 2: an alarm rang that had been cleared", got)
	}
}

// Stopping.

// testStopWithLinks: every link of a stopped transport is Closed(nil) before Stop returns, and its other ends see an
// end. The recorder holds that nothing comes afterwards.
func testStopWithLinks(k *kit) {
	a, b := k.pair()
	var as, bs []*end
	for range 10 {
		ea, eb := k.connect(a, b)
		as, bs = append(as, ea), append(bs, eb)
	}
	k.stop(b)
	for _, e := range bs {
		if n, err := e.closing(); n != 1 || err != nil {
			k.Errorf("after Stop: Closed %d times, %v; want once, nil", n, err)
		}
		if _, err := e.Write([]byte("x")); err != transport.ErrClosed {
			k.Errorf("Write after Stop: %v", err)
		}
	}
	for _, e := range as {
		k.awaitClosed(e, io.EOF)
	}
	for _, lp := range b.Loops() {
		lp.Wake() // harmless
	}
	k.awaitFailure(a, k.dial(context.Background(), a, b.bound[0]), nil)
}

// testStopWithDials: dials that are still under way when Stop is called get their outcome before it returns.
func testStopWithDials(k *kit) {
	if k.net.Silent == nil {
		k.Skip("no silent address")
	}
	a := k.start(k.node("a"))
	var tags []any
	for range 5 {
		tags = append(tags, k.dial(context.Background(), a, k.net.Silent()))
	}
	k.stop(a)
	for _, tag := range tags {
		k.awaitFailure(a, tag, transport.ErrClosed)
	}
}

// testStopTwice: Stop is idempotent, does nothing to a transport that never started, and a transport starts once.
func testStopTwice(k *kit) {
	a := k.start(k.node("a"), k.net.Listen())
	if _, err := a.Start(a.recorder, nil); err == nil {
		k.Error("started twice")
	}
	k.stop(a)
	k.stop(a)
	if _, err := a.Start(a.recorder, nil); err == nil {
		k.Error("started after Stop")
	}
	never := k.node("never")
	k.stop(never)
	if _, err := never.Start(never.recorder, nil); err == nil {
		k.Error("started after Stop")
	}
}
