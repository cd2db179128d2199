package engine_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport/gnetio"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/opcode"
)

// A stopper is a component that blocks where the test says, until it is released.
type stopper struct {
	engine.Component
	in       string // "Startup", "Receive", "Cleanup"
	entered  chan struct{}
	released chan struct{}
	once     sync.Once
}

func newStopper(in string) *stopper {
	return &stopper{in: in, entered: make(chan struct{}), released: make(chan struct{})}
}

func (*stopper) ComponentName() string     { return "the stopper" }
func (*stopper) Opcodes() []opcode.Opcode  { return []opcode.Opcode{opNote} }
func (c *stopper) Startup(*engine.Network) { c.at("Startup") }
func (c *stopper) Cleanup(*engine.Network) { c.at("Cleanup") }
func (c *stopper) Receive(*engine.ComponentContext) error {
	c.at("Receive")
	return engine.ErrIntercepted
}

func (c *stopper) at(where string) {
	if where == c.in {
		c.once.Do(func() { close(c.entered) })
		<-c.released
	}
}

// hurried is a context that ends soon; what is tested is what comes after.
func hurried(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// wantHeld checks that err is a HeldError of one component, for the reason that its context ended.
func wantHeld(t testing.TB, err error, component string, peers int) {
	t.Helper()
	var held *engine.HeldError
	if !errors.As(err, &held) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Shutdown: %v, want a HeldError", err)
	}
	if !slices.Equal(held.Components, []string{component}) || held.Peers != peers {
		t.Errorf("held by %q with %d peers, want %q with %d", held.Components, held.Peers, component, peers)
	}
	if !strings.Contains(err.Error(), component) {
		t.Errorf("%q does not name %q", err, component)
	}
}

// A component that never returns holds its loop, and nothing can end that loop. Shutdown says so when its context ends; all other
// peers have been taken leave of by then, and when the component returns at last the rest is closed.
func TestShutdownHeldLoop(t *testing.T) {
	w := liveWorld(t)
	c := newStopper("Receive")
	n := startAlone(w, func(cfg *engine.Config) { cfg.Transport = gnetio.New(gnetio.Config{Loops: 2}) }, c)
	var seen []*engine.PeerClient // n, as the others see it
	both := func() bool {
		loops := n.Stats().Loops
		return loops[0].Peers > 0 && loops[1].Peers > 0
	}
	for !both() { // the kernel chooses
		p := w.dial(w.node(nil), n)
		w.Until("n to see it", func() bool { return n.Stats().Peers == len(seen)+1 })
		seen = append(seen, p)
	}
	victim := seen[len(seen)-1]
	theirs, _ := n.ConnMgr().Peer(victim.Network().ID())
	held := int(n.Stats().Loops[theirs.Loop().Index()].Peers)
	if err := victim.TrySendRaw(opNote, nil); err != nil {
		t.Fatal(err)
	}
	<-c.entered
	var added sync.WaitGroup // it waits for the loop, under a lock that Shutdown wants, too
	added.Go(func() { _ = n.AddComponent(&witness{}) })

	wantHeld(t, n.Shutdown(hurried(t)), "the stopper", held)
	w.Until("the others to be told", func() bool {
		left := 0
		for _, p := range seen {
			if p.Connected() {
				left++
			}
		}
		return left == held
	})
	for _, p := range seen {
		var why *engine.CloseError
		if !p.Connected() && (!errors.As(p.CloseReason(), &why) || why.Code != engine.CodeShutdown || !why.Remote) {
			t.Errorf("a peer of the other loop was told %v", p.CloseReason())
		}
	}
	wantHeld(t, n.Shutdown(hurried(t)), "the stopper", held)

	close(c.released)
	if err := n.Shutdown(brief(t)); err != nil {
		t.Errorf("Shutdown when nothing holds it any more: %v", err)
	}
	added.Wait()
	w.Until("the last peer to be told", func() bool { return !victim.Connected() })
	if s := n.Stats(); s.Opened != s.Closed || s.BufferBytes != 0 {
		t.Errorf("when all is over: %d opened, %d closed, %d bytes lent", s.Opened, s.Closed, s.BufferBytes)
	}
	if err := n.AddComponent(&witness{}); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("AddComponent after the end: %v", err)
	}
}

// What else of a component may not return is named in the same way, and waited for by the next Shutdown.
func TestShutdownHeldElsewhere(t *testing.T) {
	t.Run("Cleanup", func(t *testing.T) {
		w := liveWorld(t)
		c := newStopper("Cleanup")
		n := startAlone(w, nil, c)
		wantHeld(t, n.Shutdown(hurried(t)), "the stopper", 0)
		close(c.released)
		if err := n.Shutdown(brief(t)); err != nil {
			t.Error(err)
		}
	})
	t.Run("Startup", func(t *testing.T) {
		w := liveWorld(t)
		c := newStopper("Startup")
		n := w.New(w.config(), c)
		var start sync.WaitGroup
		start.Go(func() {
			if err := n.Start(t.Context()); err != nil {
				t.Error(err)
			}
		})
		<-c.entered
		wantHeld(t, n.Shutdown(hurried(t)), "the stopper", 0)
		close(c.released)
		start.Wait()
		if err := n.Shutdown(brief(t)); err != nil {
			t.Error(err)
		}
	})
	t.Run("Compute", func(t *testing.T) {
		w := liveWorld(t)
		c := newStopper("Compute")
		n := startAlone(w, nil, c)
		if !n.Compute(func() { c.at("Compute") }) {
			t.Fatal("an idle node does not compute")
		}
		<-c.entered
		wantHeld(t, n.Shutdown(hurried(t)), "callback", 0)
		close(c.released)
		if err := n.Shutdown(brief(t)); err != nil {
			t.Error(err)
		}
	})
	t.Run("offloaded", func(t *testing.T) {
		w := liveWorld(t)
		c := newStopper("Receive")
		n := startAlone(w, nil, engine.Offload(c, 1))
		if err := w.dial(w.node(nil), n).TrySendRaw(opNote, nil); err != nil {
			t.Fatal(err)
		}
		<-c.entered
		wantHeld(t, n.Shutdown(hurried(t)), "the stopper", 0) // its Cleanup waits for the worker
		close(c.released)
		if err := n.Shutdown(brief(t)); err != nil {
			t.Error(err)
		}
	})
	t.Run("a task", func(t *testing.T) {
		w := liveWorld(t)
		c := newStopper("task")
		n := startAlone(w, nil)
		n.HomeLoop().NewTask("the errand", func() { c.at("task") }).Wake()
		<-c.entered
		wantHeld(t, n.Shutdown(hurried(t)), "the errand", 0)
		close(c.released)
		if err := n.Shutdown(brief(t)); err != nil {
			t.Error(err)
		}
	})
}

// startAlone starts a node that the test itself shuts down.
func startAlone(w *world, change func(*engine.Config), components ...engine.ComponentInterface) *engine.Network {
	w.Helper()
	cfg := w.config()
	if change != nil {
		change(&cfg)
	}
	n := w.New(cfg, components...)
	w.nodes = append(w.nodes, n)
	if err := n.Start(w.Context()); err != nil {
		w.Fatal(err)
	}
	return n
}

// A Shutdown whose context has ended already cuts everything off and says that it did; nothing is left then. Of several at once
// each waits for the end.
func TestShutdownCutShort(t *testing.T) {
	worlds(t, func(w *world) {
		n := startAlone(w, nil)
		p := w.dial(w.node(nil), n)
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		w.Do(func() {
			var held *engine.HeldError
			if err := n.Shutdown(ended); !errors.Is(err, context.Canceled) || errors.As(err, &held) {
				w.Errorf("Shutdown: %v", err)
			}
			if s := n.Stats(); s.Peers != 0 || s.Opened != s.Closed {
				w.Errorf("it has returned, and of %d peers %d are closed", s.Opened, s.Closed)
			}
			if err := n.Shutdown(ended); err != nil {
				w.Errorf("again: %v", err)
			}
		})
		w.Until("the peer to notice", func() bool { return !p.Connected() })
	})
}

// A second Shutdown whose context ends cuts off what the first one is waiting for; the first says so.
func TestShutdownCutByAnother(t *testing.T) {
	w := liveWorld(t)
	c := newStopper("Cleanup")
	n := startAlone(w, nil, c)
	first := make(chan error, 1)
	go func() { first <- n.Shutdown(context.Background()) }()
	wantHeld(t, func() error { <-c.entered; return n.Shutdown(hurried(t)) }(), "the stopper", 0)
	close(c.released)
	var held *engine.HeldError
	if err := <-first; !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &held) {
		t.Errorf("the first Shutdown: %v", err)
	}
}

// A loop that is late, since its process does not run, is not held: its peers are taken leave of, however late that is.
func TestShutdownWhileStalled(t *testing.T) {
	simulate(t, 1, simnet.Weather{}, func(w *world) {
		a, b := w.node(nil), w.node(nil)
		p := w.dial(a, b)
		over, cancel := context.WithCancel(context.Background())
		cancel()
		w.Host(b).Stall(10 * time.Second)
		w.Do(func() {
			if err := b.Shutdown(over); !errors.Is(err, context.Canceled) {
				w.Errorf("Shutdown: %v", err)
			}
		})
		w.Until("a to notice", func() bool { return !p.Connected() })
		var why *engine.CloseError
		if !errors.As(p.CloseReason(), &why) || why.Code != engine.CodeShutdown || !why.Remote {
			w.Errorf("a was told %v", p.CloseReason())
		}
	})
}

// A component that is removed while the network shuts down has heard the last when RemoveComponent returns, as at any other time.
func TestRemoveDuringShutdown(t *testing.T) {
	w := liveWorld(t)
	c, removed := newStopper("Cleanup"), &witness{}
	n := startAlone(w, nil, c, removed)
	w.dial(w.node(nil), n)
	w.Until("the peer", func() bool { ups, _, _ := removed.count(); return ups == 1 })
	ended := make(chan error, 1)
	go func() { ended <- n.Shutdown(context.Background()) }()
	<-c.entered
	must(t, n.RemoveComponent(removed))
	if _, downs, _ := removed.count(); downs != 1 {
		t.Errorf("%d peers have been taken leave of, want 1", downs)
	}
	close(c.released)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, downs, _ := removed.count(); downs != 1 {
		t.Errorf("in the end %d", downs)
	}
}

// A component that another one's Startup takes out before its own turn is neither started nor cleaned up.
func TestRemovedBeforeItsStartup(t *testing.T) {
	w := liveWorld(t)
	var called calledOn
	n := w.New(w.config(), &remover{victim: &called}, &called)
	w.Start(n)
	if called.startups+called.cleanups != 0 {
		t.Errorf("%d times started, %d times cleaned up", called.startups, called.cleanups)
	}
}

// A remover removes another component in its Startup.
type remover struct {
	engine.Component
	victim engine.ComponentInterface
}

func (c *remover) Startup(n *engine.Network) {
	if err := n.RemoveComponent(c.victim); err != nil {
		panic(err)
	}
}

// calledOn counts the two callbacks that are called once.
type calledOn struct {
	engine.Component
	startups, cleanups int
}

func (c *calledOn) Startup(*engine.Network) { c.startups++ }
func (c *calledOn) Cleanup(*engine.Network) { c.cleanups++ }
