package enginetest

import (
	"context"
	"runtime"
	"slices"
	"time"

	"github.com/carrier-p2p/carrier/engine"
)

// Until lets time pass until cond holds, and fails the test if it does not come true within Patience. cond is called between
// events, often: it looks and does nothing. In a live world it may run beside the nodes' loops.
func (w *World) Until(what string, cond func() bool) {
	w.Helper()
	if w.sim != nil {
		if !w.sim.RunUntil(cond, w.Patience) {
			w.Fatalf("waited %v of virtual time in vain: %s", w.Patience, what)
		}
		return
	}
	giveUp := time.After(w.Patience)
	tick := time.NewTicker(look)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-giveUp:
			w.Fatalf("waited %v in vain: %s", w.Patience, what)
		}
	}
}

// Pass lets d of virtual time pass. In a live world it does nothing: what depends on time there says so with Until.
func (w *World) Pass(d time.Duration) {
	if w.sim != nil {
		w.sim.Run(d)
	}
}

// Do makes calls that wait, such as Send, Call and Shutdown, while time goes on. In a scenario of Simulate whatever f waits for
// comes at once, in the same order every time. In another simulation time goes not faster than real time, for else the engine's
// time-outs could pass before a busy machine has run f at all, and the order of what f does is the scheduler's.
func (w *World) Do(f func()) {
	w.Helper()
	switch {
	case w.sim == nil:
		f()
	case w.bubble:
		ctx, cancel := context.WithCancel(context.Background())
		go func() { defer cancel(); f() }()
		w.sim.Serve(ctx)
	default:
		w.alongside(f)
	}
}

// alongside lets virtual time keep step with the clock on the wall while f runs.
func (w *World) alongside(f func()) {
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	last := time.Now()
	for {
		select {
		case <-done:
			return
		default:
			now := time.Now()
			w.sim.Run(min(now.Sub(last), step))
			last = now
			runtime.Gosched()
		}
	}
}

// Dial connects a to b and returns b as a sees it, once it is open at both.
func (w *World) Dial(a, b *engine.Network) *engine.PeerClient {
	w.Helper()
	p, err := w.TryDial(a, b.Target())
	if err != nil {
		w.Fatalf("dial: %v", err)
	}
	w.Until("the other side to be connected too", func() bool { _, open := b.ConnMgr().Peer(a.ID()); return open })
	return p
}

// TryDial dials and waits for the outcome.
func (w *World) TryDial(a *engine.Network, t engine.Target) (*engine.PeerClient, error) {
	w.Helper()
	type outcome struct {
		peer *engine.PeerClient
		err  error
	}
	ended := make(chan outcome, 1)
	if err := a.DialAsync(t, func(p *engine.PeerClient, err error) { ended <- outcome{p, err} }); err != nil {
		return nil, err
	}
	w.Until("the dial to end", func() bool { return len(ended) > 0 })
	o := <-ended
	return o.peer, o.err
}

// Crash ends a simulated node without a word. Its host goes on without it and answers with resets, as after a kill -9.
func (w *World) Crash(n *engine.Network) {
	w.Helper()
	w.lose(n)
	w.hosts[n].Crash()
}

// Kill ends a simulated node as its system does: without a word of its own, but its sockets are closed, which its peers hear of.
func (w *World) Kill(n *engine.Network) {
	w.Helper()
	w.lose(n)
	if err := w.hosts[n].Stop(); err != nil {
		w.Errorf("kill: %v", err)
	}
}

// Vanish takes a simulated node and its host off the network: nobody hears of it again.
func (w *World) Vanish(n *engine.Network) {
	w.Helper()
	w.lose(n)
	w.hosts[n].Vanish()
}

// Stop shuts a node down in order, before the test's end.
func (w *World) Stop(n *engine.Network) {
	w.Helper()
	w.forget(n)
	w.Do(func() { w.shutdown(n) })
}

// Alive reports whether n has been started and not ended since.
func (w *World) Alive(n *engine.Network) bool { return slices.Contains(w.nodes, n) }

func (w *World) shutdown(n *engine.Network) {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	if err := n.Shutdown(ctx); err != nil {
		w.Errorf("shutdown: %v", err)
	}
}

func (w *World) lose(n *engine.Network) {
	w.Helper()
	if w.hosts[n] == nil {
		w.Fatal("only simulated nodes are killed, crash and vanish")
	}
	w.forget(n)
}

// forget takes n off the list of those that are shut down at the end.
func (w *World) forget(n *engine.Network) {
	w.nodes = slices.DeleteFunc(w.nodes, func(x *engine.Network) bool { return x == n })
}

// End shuts every node down that still runs. A test does it for those that count what is left, or make many worlds; all others
// leave it to the World, which does it when the test is over. The last node goes first: who bootstrapped the others is there
// for their farewells.
func (w *World) End() {
	w.Helper()
	if w.sim != nil && !w.bubble {
		w.hurry(w.shutdownAll)
		return
	}
	w.Do(w.shutdownAll)
}

func (w *World) shutdownAll() {
	for len(w.nodes) > 0 {
		n := w.nodes[len(w.nodes)-1]
		w.forget(n)
		w.shutdown(n)
	}
}

// hurry lets virtual time go as fast as it can while f runs: for an f to which it does not matter how much of it passes.
func (w *World) hurry(f func()) {
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	for {
		select {
		case <-done:
			return
		default:
			w.sim.Run(step)
			runtime.Gosched()
		}
	}
}
