package discovery_test

import (
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/discovery"
	"github.com/carrier-p2p/carrier/framing/invariant"
	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/skad"
)

// A lookup request that is answered, and a Ping of the core with its Pong, allocate nothing on the node that answers or
// asks: all of its work between two sockets, in virtual time.
func TestSteadyStateAllocs(t *testing.T) {
	if raceBuild || invariant.Enabled {
		t.Skip("checked builds allocate")
	}
	w := simWorld(t, 1)
	quiet := func(c *discovery.Config) {
		c.Overlay.PingLeast, c.Overlay.PingMost = time.Hour, time.Hour
		c.Overlay.RefreshLeast, c.Overlay.RefreshMost, c.Overlay.BucketIdle = 24*time.Hour, 24*time.Hour, 24*time.Hour
	}
	w.swarm(20, setting{disc: quiet})
	w.sim.Run(5 * time.Minute) // what follows a join is over

	var e echo
	asker := w.plain(&e)
	var p *engine.PeerClient
	w.do(func() { p, _ = asker.Dial(t.Context(), target(w.nodes[5])) })
	if p == nil {
		t.Fatal("not connected")
	}
	m := skad.Message{Op: opcode.LookupNodeRequestCode, Nonce: 7, Key: randomKey(1), Count: 16, Payload: []byte{1, 0, 2, 0}} // of known records
	request := m.Append(nil)
	ask := func() {
		if err := p.TrySendRaw(opcode.LookupNodeRequestCode, request); err != nil {
			t.Fatal(err)
		}
		w.sim.Run(100 * time.Millisecond)
	}
	for range 50 {
		ask()
	}
	served, answers := w.nodes[5].Stats().Core.Served, e.answers
	if n := testing.AllocsPerRun(200, ask); n > 0 {
		t.Errorf("%v allocations for an answered lookup, promised 0", n)
	}
	if got := w.nodes[5].Stats().Core.Served - served; got < 201 || e.answers-answers != 201 { // others ask, too
		t.Errorf("%d served, %d answers, want 201", got, e.answers-answers)
	}
}

// A Ping of the core and its Pong allocate nothing either: the only member of a table is asked every second, over a
// connection that is kept warm by questions.
func TestPingAllocs(t *testing.T) {
	if raceBuild || invariant.Enabled {
		t.Skip("checked builds allocate")
	}
	w := simWorld(t, 1)
	n := w.node(setting{disc: func(c *discovery.Config) { c.Overlay.PingLeast, c.Overlay.PingMost = time.Second, time.Second }})
	asker := w.plain(&echo{})
	var p *engine.PeerClient
	w.do(func() { p, _ = asker.Dial(t.Context(), target(n)) })
	if p == nil {
		t.Fatal("not connected")
	}
	m := skad.Message{Op: opcode.LookupNodeRequestCode, Nonce: 7, Key: randomKey(1), Count: 16}
	request := m.Append(nil)
	ask := func() {
		if err := p.TrySendRaw(opcode.LookupNodeRequestCode, request); err != nil {
			t.Fatal(err)
		}
		w.sim.Run(100 * time.Millisecond)
	}
	w.sim.Run(5 * time.Minute) // tries to join become rare
	for range 100 {
		ask()
	}
	before := n.Stats().Core.Answered
	if allocs := testing.AllocsPerRun(1, func() { w.sim.Run(0) }); allocs > 0 {
		t.Fatalf("the test allocates by itself: %v", allocs)
	}
	const minute = 600
	allocs := testing.AllocsPerRun(1, func() {
		for range minute {
			ask()
		}
	})
	pings := n.Stats().Core.Answered - before
	if pings < 100 {
		t.Errorf("%d pings in two minutes", pings)
	}
	if allocs > float64(pings)/4 { // a try to join, once a minute, is not the pings'
		t.Errorf("%v allocations in a minute with %d pings", allocs, pings/2)
	}
}

// An echo counts answers.
type echo struct {
	engine.Component
	answers int
}

func (c *echo) Opcodes() []opcode.Opcode { return []opcode.Opcode{opcode.LookupNodeResponseCode} }
func (c *echo) Receive(*engine.ComponentContext) error {
	c.answers++
	return engine.ErrIntercepted
}
