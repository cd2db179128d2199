package engine_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/opcode"
)

// Work is computed off the loops while the network runs, and refused before and after.
func TestCompute(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{})
	fresh, err := engine.New(w.config())
	if err != nil {
		t.Fatal(err)
	}
	if fresh.Compute(func() { t.Error("computed by a network that was never started") }) {
		t.Error("taken before Start")
	}
	n := w.node(nil)
	var onLoop error
	done := false
	if !n.Compute(func() { onLoop = n.RemoveComponent(&echo{}); done = true }) {
		t.Fatal("refused")
	}
	w.Until("the work", func() bool { return done })
	if errors.Is(onLoop, engine.ErrOnLoop) {
		t.Error("computed on a loop")
	}
	if !n.Compute(func() { panic("test") }) {
		t.Fatal("refused")
	}
	w.Until("the panic to be counted", func() bool { return n.Stats().Panics == 1 })
	w.End()
	if n.Compute(func() {}) {
		t.Error("taken after Shutdown")
	}
}

// An echo hears the Pongs of its Pings.
type echo struct {
	engine.Component
	heard []string
}

func (c *echo) Opcodes() []opcode.Opcode { return []opcode.Opcode{opcode.PongCode} }
func (c *echo) Receive(ctx *engine.ComponentContext) error {
	c.heard = append(c.heard, string(ctx.Payload()))
	return engine.ErrIntercepted
}

// A Ping that nobody waits for comes back to the component that names Pongs, byte for byte; one that is waited for does
// not; a component that sees everything sees neither.
func TestTryPing(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{})
	var all everything
	var e echo
	a := w.node(nil, func(n *engine.Network) { n.AddComponent(&e); n.AddComponent(&all) })
	p := w.dial(a, w.node(nil))
	if err := p.TryPing([]byte("12345678")); err != nil {
		t.Fatal(err)
	}
	if err := p.TryPing(make([]byte, 65)); !errors.Is(err, engine.ErrMessageTooLarge) {
		t.Errorf("a long Ping: %v", err)
	}
	answered := false
	if err := p.PingAsync(time.Second, func(_ time.Duration, err error) { answered = err == nil }); err != nil {
		t.Fatal(err)
	}
	w.Pass(time.Second)
	if want := []string{"12345678"}; !slices.Equal(e.heard, want) || !answered || all != 0 {
		t.Errorf("heard %q, want %q; the other answered: %v; seen by everybody: %d", e.heard, want, answered, all)
	}
}

type everything int

func (*everything) Startup(*engine.Network)                  {}
func (*everything) Cleanup(*engine.Network)                  {}
func (*everything) PeerConnect(*engine.PeerClient)           {}
func (*everything) PeerDisconnect(*engine.PeerClient)        {}
func (c *everything) Receive(*engine.ComponentContext) error { *c++; return nil }

// A Ping from a task, and its Pong, allocate nothing.
func TestTryPingAllocs(t *testing.T) {
	skipFigures(t)
	w := simWorld(t, 1, simnet.Weather{Latency: 10 * time.Microsecond})
	var e quiet
	a := w.node(nil, func(n *engine.Network) { n.AddComponent(&e) })
	p := w.dial(a, w.node(nil))
	home := a.HomeLoop()
	task := home.NewTask("test", func() { _ = p.TryPing([]byte("12345678")) })
	round := func() {
		task.Wake()
		w.Net().Run(20 * time.Millisecond)
	}
	for range 50 {
		round()
	}
	before := e
	if n := testing.AllocsPerRun(100, round); n > 0 {
		t.Errorf("%v allocations, promised 0", n)
	}
	if e-before != 101 {
		t.Errorf("%d Pongs, want 101", e-before)
	}
}

type quiet int

func (*quiet) Opcodes() []opcode.Opcode                 { return []opcode.Opcode{opcode.PongCode} }
func (*quiet) Startup(*engine.Network)                  {}
func (*quiet) Cleanup(*engine.Network)                  {}
func (*quiet) PeerConnect(*engine.PeerClient)           {}
func (*quiet) PeerDisconnect(*engine.PeerClient)        {}
func (c *quiet) Receive(*engine.ComponentContext) error { *c++; return engine.ErrIntercepted }
