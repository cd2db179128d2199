package ack_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/ack"
	"github.com/carrier-p2p/carrier/engine/lab"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

func TestMain(m *testing.M) {
	lab.Helpers(helpers)
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*goWorker).run.func1"),
	)
}

const opNote opcode.Opcode = 1000

// A seat is one life of an identity at 10.0.0.n, in virtual time.
type seat struct {
	*engine.Network
	t     *testing.T
	sim   *simnet.Net
	host  *simnet.Host
	acks  *ack.Component // nil: it has none
	notes *notes
	dead  bool
}

// notes are what a node was handed, by the number in the first four bytes.
type notes struct {
	engine.Component
	seen   map[uint32]int
	order  []uint32
	answer func(number uint32) error
}

func (c *notes) Opcodes() []opcode.Opcode { return []opcode.Opcode{opNote} }

func (c *notes) Receive(ctx *engine.ComponentContext) error {
	number := binary.LittleEndian.Uint32(ctx.Payload())
	if c.answer != nil {
		if err := c.answer(number); err != nil {
			return err
		}
	}
	c.seen[number]++
	c.order = append(c.order, number)
	return engine.ErrIntercepted
}

// start begins a life. cfg nil: without the component.
func start(t *testing.T, sim *simnet.Net, n byte, life byte, cfg *ack.Config) *seat {
	t.Helper()
	id, err := identity.FromSeed(t.Context(), [32]byte{n}, identity.Puzzle{})
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.AddrFrom4([4]byte{10, 0, 0, n})
	x := &seat{t: t, sim: sim, host: sim.Host(addr), notes: &notes{seen: map[uint32]int{}}}
	x.Network, err = engine.New(engine.Config{
		Transport: x.host, Identity: id, Puzzle: &identity.Puzzle{}, WeakPuzzle: true, Rand: rand.NewChaCha8([32]byte{n, life}),
		Listen: []transport.Addr{{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(addr, 4001)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := x.AddComponent(x.notes); err != nil {
		t.Fatal(err)
	}
	if cfg != nil {
		if x.acks, err = ack.New(*cfg); err != nil {
			t.Fatal(err)
		}
		if err := x.AddComponent(x.acks); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.stop)
	return x
}

func (x *seat) stop() {
	if x.dead {
		return
	}
	x.dead = true
	x.do(func() { _ = x.Shutdown(context.Background()) })
}

// crash ends the node's life without a word.
func (x *seat) crash() {
	x.host.Crash()
	x.dead = true
}

// do makes a call that waits, while virtual time goes on, not faster than real time.
func (x *seat) do(f func()) {
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	step := time.NewTicker(100 * time.Microsecond)
	defer step.Stop()
	for {
		select {
		case <-done:
			return
		case <-step.C:
			x.sim.Run(100 * time.Microsecond)
		}
	}
}

func (x *seat) until(what string, limit time.Duration, cond func() bool) {
	x.t.Helper()
	if !x.sim.RunUntil(cond, limit) {
		x.t.Fatalf("waited %v of virtual time in vain: %s", limit, what)
	}
}

// dial connects to y and returns the connection as x sees it.
func (x *seat) dial(y *seat) *engine.PeerClient {
	x.t.Helper()
	var peer *engine.PeerClient
	over := false
	err := x.DialAsync(engine.Target{Addr: y.Addrs()[0], ID: y.ID()}, func(p *engine.PeerClient, err error) { peer, over = p, true })
	if err != nil {
		x.t.Fatal(err)
	}
	x.until("the dial to end", time.Minute, func() bool { return over })
	if peer == nil {
		x.t.Fatal("not connected")
	}
	x.until("both to be connected", time.Minute, func() bool { _, ok := y.ConnMgr().Peer(x.ID()); return ok })
	return peer
}

// pair is two nodes with the component, connected.
func pair(t *testing.T, weather simnet.Weather, cfg ack.Config) (sim *simnet.Net, a, b *seat) {
	sim = simnet.New(1, weather)
	a, b = start(t, sim, 1, 1, &cfg), start(t, sim, 2, 1, &cfg)
	a.dial(b)
	return sim, a, b
}

func numbered(n uint32, size int) []byte {
	b := make([]byte, max(size, 4))
	binary.LittleEndian.PutUint32(b, n)
	return b
}

// An account writes down what became of messages.
type account struct {
	fine, failed int
	errs         map[string]int
	times        map[uint32]int
}

func newAccount() *account { return &account{errs: map[string]int{}, times: map[uint32]int{}} }

// note is the callback of a message.
func (a *account) note(n uint32) func(error) {
	return func(err error) {
		a.times[n]++
		if err == nil {
			a.fine++
			return
		}
		a.failed++
		a.errs[err.Error()]++
	}
}

func (a *account) settled() int { return a.fine + a.failed }

// send sends a numbered message and fails the test if it is not accepted.
func (x *seat) send(to identity.ID, n uint32, size int, a *account) {
	x.t.Helper()
	if err := x.acks.SendAckRawAsync(to, opNote, numbered(n, size), a.note(n)); err != nil {
		x.t.Fatalf("message %d: %v", n, err)
	}
}

// balanced checks the books of a node whose messages have all been settled.
func (x *seat) balanced(sent, acked, failed int) {
	x.t.Helper()
	s := x.acks.Stats()
	if s.Sent != int64(sent) || s.Acked != int64(acked) || s.Failed != int64(failed) || s.Waiting != 0 || s.Memory != 0 {
		x.t.Errorf("the books say %+v, want %d sent, %d acked, %d failed, nothing waiting", s, sent, acked, failed)
	}
}

// once checks that numbers 0 to n-1 were handed to the node once each.
func (x *seat) once(n int) {
	x.t.Helper()
	if len(x.notes.seen) != n || len(x.notes.order) != n {
		x.t.Errorf("%d messages were handed over, %d different ones, want %d once each", len(x.notes.order), len(x.notes.seen), n)
	}
}
