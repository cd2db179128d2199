package engine

import (
	"time"

	"github.com/carrier-p2p/carrier/engine/internal/timer"
	"github.com/carrier-p2p/carrier/engine/transport"
)

// A Loop is an event loop as components see it: a place where functions run one after the other, and a clock. What a
// component keeps for one Loop needs no lock. Its methods may be called from any goroutine.
type Loop struct{ loop *loop }

// Loop is the loop the peer belongs to.
func (p *PeerClient) Loop() Loop { return Loop{p.loop} }

// HomeLoop is the loop for work that belongs to no peer. There is none before Start, and asking for it then panics; Startup is
// the place.
func (n *Network) HomeLoop() Loop {
	if n.phase.Load() == phaseNew || len(n.loops) == 0 {
		panic("engine: HomeLoop of a network that has not started")
	}
	return Loop{n.home()}
}

// Loops are all loops of the network, by their Index. Empty before Start.
func (n *Network) Loops() []Loop {
	if n.phase.Load() == phaseNew {
		return nil
	}
	loops := make([]Loop, len(n.loops))
	for i, l := range n.loops {
		loops[i] = Loop{l}
	}
	return loops
}

// Post has f run on the loop, soon, after what was posted before. It reports false if the network has stopped.
func (l Loop) Post(f func()) bool {
	return l.loop.post(func() { l.loop.guard(l.loop.net.callbacks, f) })
}

// Do has f run on the loop and waits until it has: how Cleanup ends what belongs to a loop. ErrClosed says that f has not run and
// never will: the loop has ended, with its network or because its transport failed. Then nothing runs on it any more, and the
// caller may itself do what is left to do. Not on a loop: ErrOnLoop.
func (l Loop) Do(f func()) error {
	if l.loop.net.onLoop() {
		return ErrOnLoop
	}
	done := make(chan struct{})
	if !l.Post(func() { defer close(done); f() }) {
		return ErrClosed
	}
	select {
	case <-done:
		return nil
	case <-l.loop.over:
	}
	select {
	case <-done: // it was the last thing that the loop did
		return nil
	default:
		return ErrClosed
	}
}

// Port is the transport's half of the loop. A transport whose links ride on the connections of other peers, and which has
// no loops of its own, gives it to them as theirs, and reports about them in functions that it posts here.
func (l Loop) Port() transport.Loop { return l.loop.port }

// Index tells the network's loops apart: 0, 1, … below the number of loops. A component that keeps something for each loop
// keeps it in a slice.
func (l Loop) Index() int { return l.loop.index }

// Now is the engine time.
func (l Loop) Now() time.Duration { return l.loop.clock() }

// A Timer is a function that waits for its time on a Loop.
type Timer struct {
	loop    *loop
	timer   timer.Timer
	stopped bool // owned by the loop
}

// After has f run on the loop when d has passed, to the millisecond.
func (l Loop) After(d time.Duration, f func()) *Timer {
	t := &Timer{loop: l.loop}
	due := after(l.loop.clock(), d)
	t.timer.Fire = func(time.Duration) { t.loop.guard(t.loop.net.callbacks, f) }
	l.loop.post(func() {
		if !t.stopped {
			t.loop.wheel.Set(&t.timer, due)
		}
	})
	return t
}

// after is d from now. A d for which there is no such time means never.
func after(now, d time.Duration) time.Duration {
	if d > transport.Never-now {
		return transport.Never
	}
	return now + d
}

// Stop keeps the timer from firing if it has not. Called on the timer's own loop it takes effect at once; elsewhere the
// timer may still fire a moment later.
func (t *Timer) Stop() {
	if t.loop.here() {
		t.stop()
		return
	}
	t.loop.post(t.stop)
}

func (t *Timer) stop() {
	t.stopped = true
	t.loop.wheel.Stop(&t.timer)
}
