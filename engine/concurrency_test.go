package engine_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/handshake"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// A component's callbacks may ask for statistics and other components, and Startup and Cleanup for more, while somebody
// else adds and removes components; what would wait for the own loop fails.
func TestComponentsWithinCallbacks(t *testing.T) {
	w := liveWorld(t)
	nested := &nesting{}
	c := &witness{}
	n := w.node(nil, withWitness(c))
	c.on = func(ctx *engine.ComponentContext) error {
		n.Stats()
		if _, ok := engine.ComponentOf[*witness](n); !ok {
			t.Error("ComponentOf does not find it")
		}
		if err := engine.Register[question](n, opAsk); !errors.Is(err, engine.ErrOnLoop) {
			t.Errorf("Register on a loop: %v", err)
		}
		if err := n.AddComponent(&witness{}); !errors.Is(err, engine.ErrOnLoop) {
			t.Errorf("AddComponent on a loop: %v", err)
		}
		return nil
	}
	p := w.dial(w.node(nil), n)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 100 {
			if err := p.SendRaw(brief(t), opNote, nil); err != nil {
				t.Error(err)
			}
			for _, f := range []func(engine.ComponentInterface) error{
				func(c engine.ComponentInterface) error { return n.AddComponent(c) }, n.RemoveComponent,
			} {
				if err := f(nested); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("deadlock")
	}
	w.Until("the notes", func() bool { _, _, notes := c.count(); return notes == 100 })
	if err := n.AddComponent(uncomparable{}); err == nil {
		t.Error("a component that cannot be compared could be added")
	}
}

// nesting uses the Network in Startup and in Cleanup.
type nesting struct {
	engine.Component
	inner witness
}

func (c *nesting) Startup(n *engine.Network) {
	n.Stats()
	engine.ComponentOf[*witness](n)
	n.AddComponent(&c.inner)
}

func (c *nesting) Cleanup(n *engine.Network) { n.RemoveComponent(&c.inner) }

type uncomparable struct {
	engine.Component
	m map[int]int
}

// Whatever is asked of a node while it starts and stops is answered or refused, without a data race.
func TestAskingDuringStartAndShutdown(t *testing.T) {
	w := liveWorld(t)
	for range 10 {
		n, err := engine.New(w.config())
		if err != nil {
			t.Fatal(err)
		}
		var wait sync.WaitGroup
		stop := make(chan struct{})
		for range 2 {
			wait.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					n.Now()
					n.Addrs()
					n.Stats()
					n.Dial(t.Context(), "tcp://127.0.0.1:1")
					c := &witness{}
					if n.AddComponent(c) == nil {
						n.RemoveComponent(c)
					}
				}
			})
		}
		if err := n.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		wait.Go(func() { n.Shutdown(brief(t)) })
		if err := n.Shutdown(brief(t)); err != nil {
			t.Error(err)
		}
		close(stop)
		wait.Wait()
		if err := n.AddComponent(&witness{}); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("a component added after the end: %v", err)
		}
	}
}

// Receive takes each message or leaves it to the components; the moment at which its context ends makes no difference.
func TestReceiveGivenUp(t *testing.T) {
	w := liveWorld(t)
	var cb witness
	a, b := w.node(nil), w.node(nil, withWitness(&cb))
	p := w.dial(a, b)
	w.Until("b to see a", func() bool { up, _, _ := cb.count(); return up == 1 })
	const rounds = 3000
	got := 0
	for range rounds {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan bool)
		go func() {
			_, err := cb.peer(0).Receive(ctx, opNote)
			ended <- err == nil
		}()
		if err := p.SendRaw(t.Context(), opNote, nil); err != nil {
			t.Fatal(err)
		}
		cancel()
		if <-ended {
			got++
		}
	}
	w.Until("every note", func() bool { _, _, notes := cb.count(); return notes+got == rounds })
}

// A timer that is stopped on its loop does not fire, even if it has been set a moment before.
func TestTimerStoppedAtOnce(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{})
	n := w.node(nil)
	fired := 0
	n.HomeLoop().Post(func() {
		n.HomeLoop().After(time.Millisecond, func() { fired++ }).Stop()
		n.HomeLoop().After(time.Millisecond, func() { fired += 10 })
	})
	w.Pass(time.Second)
	if fired != 10 {
		t.Errorf("fired %d, want only the timer that was not stopped", fired)
	}
}

// A code is any number, also one that is negative where an int has 32 bits.
func TestCodeString(t *testing.T) {
	for code, want := range map[engine.Code]string{0: "goodbye", engine.CodeInternal: "internal", 11: "code 11", 1<<32 - 1: "code 4294967295"} {
		if got := code.String(); got != want {
			t.Errorf("%d is %q, want %q", uint32(code), got, want)
		}
	}
}

// A connection whose handshake ends while the node shuts down is turned away; it must not hold the shutdown up.
func TestShutdownDuringAHandshake(t *testing.T) {
	w := liveWorld(t)
	var seen witness
	n := w.node(nil, withWitness(&seen))
	s := meet(t, n)
	key := w.key(500)
	rec, _ := key.NewRecord(nil, 1, 0)
	m, err := handshake.NewInitiator(&handshake.Config{Identity: key, Record: rec.Append(nil), NetworkID: "carrier",
		Timeout: time.Minute, Rand: newDice(1, 3)}, 0, identity.ID{})
	if err != nil {
		t.Fatal(err)
	}
	wire, _ := m.Next()
	s.write(wire)
	msg, err := s.message()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Receive(0, msg); err != nil {
		t.Fatal(err)
	}
	// Somebody keeps the shutdown waiting until the stranger is in.
	w.dial(w.node(nil), n)
	w.Until("the first peer", func() bool { ups, _, _ := seen.count(); return ups == 1 })
	var stranger sync.WaitGroup
	late := &lastMoment{do: func() {
		wire, _ := m.Next()
		s.write(wire)
		stranger.Go(func() { // hangs up when the node does
			_, _ = io.Copy(io.Discard, s.conn)
			s.conn.Close()
		})
		w.Until("the handshake to end", func() bool { return n.Stats().HalfOpen == 0 })
	}}
	if err := n.AddComponent(late); err != nil {
		t.Fatal(err)
	}
	if err := n.Shutdown(brief(t)); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	stranger.Wait()
	if ups, downs, _ := seen.count(); ups != 1 || downs != 1 {
		t.Errorf("%d connects, %d disconnects; want one of each", ups, downs)
	}
}

// lastMoment does something in Cleanup.
type lastMoment struct {
	engine.Component
	do func()
}

func (c *lastMoment) Cleanup(*engine.Network) { c.do() }
