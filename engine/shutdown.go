package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// How a Network ends. One goroutine takes it through, in this order; whoever calls Shutdown waits for it:
//
//	door shut, dials ended   no new peers
//	Cleanup                  of every component, on a goroutine of its own, as it may never return
//	farewell                 Disconnect to every peer, what is queued, half-close
//	transports, workers      what is still open is cut off, the loops end
//
// The first two waits are over when somebody's ctx is. The last is for code of others that does not come back, if there is
// such: a loop that a component holds cannot be ended, by anybody. Then the callers give up, not the ending.

// An ending is a Shutdown under way.
type ending struct {
	polite context.Context         // ends when a caller's does, with its error as the cause
	cut    context.CancelCauseFunc // ends polite
	over   chan struct{}           // closed when nothing of the network runs any more
	err    error                   // how it went; set before over is closed
}

// Shutdown ends the network in order: no new peers, Cleanup of every component, goodbye to every peer, what is queued is
// written, then everything is closed. It must not be called on a loop.
//
// When ctx ends first, the rest is cut off: peers get what is on its way to them and no more. Shutdown returns when that is done,
// with an error that wraps ctx's. One thing cannot be cut off, a component's code that does not return. If that keeps a loop
// or the ending itself, Shutdown gives it a second more and then returns a *HeldError that names the component. All that does
// not wait for it has been closed by then; the rest is as soon as it returns, and calling Shutdown again waits for that.
//
// It may be called by several goroutines and more than once: the first call tells how it went, further ones return nil when
// everything is closed, and the first ctx to end is the one that counts. While Start calls components' Startup, Shutdown waits
// for that, and no longer than ctx: then nothing has been closed, and it has to be called again.
func (n *Network) Shutdown(ctx context.Context) error {
	if n.onLoop() {
		return ErrOnLoop
	}
	if !n.takeLifetime(ctx) {
		return n.held(ctx)
	}
	e, first := n.beginEnding()
	<-n.lifetime
	if e == nil {
		return nil
	}
	if held := n.await(ctx, e); held != nil {
		return held
	}
	if first {
		return e.err
	}
	return nil
}

// takeLifetime takes the place in lifetime, or reports that ctx has ended before it was free.
func (n *Network) takeLifetime(ctx context.Context) bool {
	select {
	case n.lifetime <- struct{}{}: // first of all: ctx may have ended before the call
		return true
	default:
	}
	select {
	case n.lifetime <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// beginEnding returns the ending that a Shutdown is to wait for, nil if there is nothing to end, and whether it began just
// now. Under lifetime.
func (n *Network) beginEnding() (e *ending, first bool) {
	switch n.phase.Load() {
	case phaseNew:
		n.phase.Store(phaseStopped)
		n.events.stop()
		return nil, false
	case phaseStopped, phaseStopping:
		return n.ending, false
	}
	n.ending = &ending{over: make(chan struct{})}
	n.ending.polite, n.ending.cut = context.WithCancelCause(context.Background())
	n.phase.Store(phaseStopping)
	go n.end(n.ending)
	return n.ending, true
}

// await waits for the ending, or until ctx has ended and somebody's code keeps it.
func (n *Network) await(ctx context.Context, e *ending) *HeldError {
	select {
	case <-e.over:
		return nil
	case <-ctx.Done():
		e.cut(ctx.Err())
	}
	look := time.NewTicker(heldAfter)
	defer look.Stop()
	for {
		select {
		case <-e.over:
			return nil
		case <-look.C:
			if held := n.held(ctx); len(held.Components) > 0 {
				n.log.Error("shutdown is held", "by", held.Components, "peers", held.Peers)
				return held
			}
		}
	}
}

// end takes the network down.
func (n *Network) end(e *ending) {
	n.door.shut(true)
	n.dials.stop()
	cleaned := n.cleanup()
	select {
	case <-cleaned:
	case <-e.polite.Done():
	}
	n.farewell(e.polite)
	err := n.stopTransports()
	n.workers.stop()
	for _, l := range n.loops {
		l.mu.Lock()
		l.closed = true
		l.mu.Unlock()
	}
	<-cleaned
	if why := context.Cause(e.polite); why != nil {
		err = errors.Join(fmt.Errorf("engine: shutdown cut short: %w", why), err)
	}
	e.err = err
	e.cut(nil)
	n.phase.Store(phaseStopped)
	n.events.stop()
	n.log.Info("network stopped", "id", n.id.Short(), "err", err)
	close(e.over)
}

// cleanup begins to call every component's Cleanup; cleaned is closed when the last has returned. AddComponent may hold compose
// and wait for a loop, so not even that is waited for.
func (n *Network) cleanup() (cleaned chan struct{}) {
	cleaned = make(chan struct{})
	go func() {
		defer close(cleaned)
		n.compose.Lock()
		slots := slices.Clone(n.slots)
		n.compose.Unlock()
		for _, s := range slots {
			n.retire(s)
		}
	}()
	return cleaned
}

// farewell says goodbye to all peers and waits until the last has gone, or polite has ended.
func (n *Network) farewell(polite context.Context) {
	n.askEachLoop(polite, (*loop).farewell)
	n.door.whenEmpty(func() { close(n.empty) })
	select {
	case <-n.empty:
	case <-polite.Done():
	}
}

// farewell says goodbye to the loop's peers, and writes it at once: when polite has ended there may be no other turn.
func (l *loop) farewell() {
	leave := func(p *PeerClient) {
		p.leave(&CloseError{Code: CodeShutdown})
		if !p.full() {
			p.flush()
		}
	}
	for _, p := range slices.Clone(l.peers) {
		if p.rides { // its goodbye goes over a peer that must not have left yet
			leave(p)
		}
	}
	for len(l.peers) > 0 {
		leave(l.peers[len(l.peers)-1])
	}
}

// onEachLoop runs f on every loop and returns when all are done, or the loops have ended. Never called on a loop.
func (n *Network) onEachLoop(f func(*loop)) { n.askEachLoop(context.Background(), f) }

// askEachLoop is onEachLoop that does not wait, when ctx has ended, for a loop that somebody's code holds:
// that one does f when it is free. One that is only late, since the process does not get to run, is waited
// for.
func (n *Network) askEachLoop(ctx context.Context, f func(*loop)) {
	waiting := make([]*asked, len(n.loops))
	for i, l := range n.loops {
		a := &asked{loop: l, done: make(chan struct{})}
		if !l.post(func() { f(l); close(a.done) }) {
			close(a.done)
		}
		waiting[i] = a
	}
	waiting = slices.DeleteFunc(waiting, func(a *asked) bool { return a.over(ctx) })
	for len(waiting) > 0 {
		look, cancel := context.WithTimeout(context.Background(), farewellAfter/farewellLooks)
		waiting = slices.DeleteFunc(waiting, func(a *asked) bool { return a.over(look) })
		cancel()
	}
}

// An asked is a loop that has been asked for something and waited for. It belongs to the one who waits.
type asked struct {
	loop *loop
	done chan struct{} // closed when the loop has done it
	held int           // how many times in a row the loop was seen in somebody's code
}

// over waits for the loop until ctx ends, and reports whether nobody has to wait for it any longer: it has done what it was asked
// for, it has ended, or one look after the other has found it in somebody's code.
func (a *asked) over(ctx context.Context) bool {
	select {
	case <-a.done:
		return true
	case <-a.loop.over:
		return true
	case <-ctx.Done():
	}
	if a.held++; a.loop.user.Load() == nil {
		a.held = 0
	}
	return a.held > farewellLooks
}

// A HeldError is what Shutdown returns when its context has ended and components' code does not return, so that not all could be
// closed. errors.Is finds the context's error.
type HeldError struct {
	Components []string // whose code it is: what holds event loops first, then Cleanups and Startups; "callback" is a function of the application's own
	Peers      int      // connections that are still open, those of the loops that are held
	Err        error    // the context's
}

func (e *HeldError) Error() string {
	if len(e.Components) == 0 {
		return fmt.Sprintf("engine: shutdown: %v: Start has not returned", e.Err)
	}
	return fmt.Sprintf("engine: shutdown: %v: held by %s, with %d peers connected", e.Err, strings.Join(e.Components, ", "), e.Peers)
}

func (e *HeldError) Unwrap() error { return e.Err }

// held says whose code runs at this moment, and what it keeps open.
func (n *Network) held(ctx context.Context) *HeldError {
	held := &HeldError{Err: ctx.Err()}
	if n.phase.Load() == phaseStopping {
		for _, l := range n.loops {
			if s := l.user.Load(); s != nil {
				held.Components = append(held.Components, s.name)
				held.Peers += int(l.health.peers.Load())
			}
		}
	}
	for _, name := range n.visits.names() {
		if !slices.Contains(held.Components, name) {
			held.Components = append(held.Components, name)
		}
	}
	return held
}

// visits are the calls of components' code off the loops that have not returned. Any goroutine.
type visits struct {
	mu  sync.Mutex
	now []*slot // in the order in which they began
}

func (v *visits) begin(s *slot) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.now = append(v.now, s)
}

func (v *visits) end(s *slot) {
	v.mu.Lock()
	defer v.mu.Unlock()
	at := slices.Index(v.now, s)
	v.now = slices.Delete(v.now, at, at+1)
}

func (v *visits) names() (out []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, s := range v.now {
		out = append(out, s.name)
	}
	return out
}
