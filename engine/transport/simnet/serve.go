package simnet

import (
	"context"
	"time"
)

// A wall ties the virtual clock to package time while Serve runs: that is, inside a synctest bubble, to the bubble's clock.
type wall struct {
	start time.Time     // when Serve began
	base  time.Duration // the virtual time then
	poke  chan struct{} // an earlier event has been queued; nil while nobody serves
}

// Serve carries out events when their time comes by package time, until ctx ends. In a testing/synctest bubble time passes
// by itself, at once, whenever everybody waits: run Serve in a goroutine of the bubble and use blocking calls in others.
// Outside a bubble the network runs in real time.
//
// This is the one place of the package that reads package time. While Serve runs, calls that several goroutines make at one
// instant are ordered by the Go scheduler; only their virtual times are the seed's.
func (n *Net) Serve(ctx context.Context) {
	n.enter("Serve")
	defer n.leave()
	poke := n.startWall()
	defer n.stopWall()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		n.settled() // also goroutines that have poked
		wait, some := n.untilNext()
		if some && wait <= 0 {
			n.step(n.time())
			continue
		}
		var alarm <-chan time.Time
		if some {
			timer.Reset(wait)
			alarm = timer.C
		}
		select {
		case <-ctx.Done():
		case <-alarm:
		case <-poke:
		}
	}
}

// startWall makes the channel here and not in New, so that it belongs to the bubble that serves.
func (n *Net) startWall() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.wall = wall{start: time.Now(), base: n.time(), poke: make(chan struct{}, 1)}
	return n.wall.poke
}

func (n *Net) stopWall() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tick()
	n.wall = wall{}
}

// tick brings the clock up to date, which it always is unless Serve ties it to package time, and returns it.
func (n *Net) tick() time.Duration {
	if n.wall.poke != nil {
		n.moveToLocked(n.wall.base + time.Since(n.wall.start))
	}
	return n.time()
}

// untilNext is the time from now to the next event, if there is one.
func (n *Net) untilNext() (wait time.Duration, some bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.tick()
	at, some := n.queue.head()
	return at - now, some
}

// schedule queues ev for at, or for now if at is over, and wakes Serve if ev is now the next of all.
func (n *Net) schedule(ev *pending, at time.Duration) {
	n.queue.set(ev, max(at, n.time()))
	if n.wall.poke != nil && ev.pos == 1 {
		select {
		case n.wall.poke <- struct{}{}:
		default:
		}
	}
}
