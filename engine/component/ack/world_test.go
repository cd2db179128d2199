package ack_test

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/ack"
	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/engine/lab"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

func TestMain(m *testing.M) {
	lab.Helpers(helpers)
	enginetest.VerifyMain(m)
}

const opNote opcode.Opcode = 1000

// A seat is one life of a simulated node.
type seat struct {
	*engine.Network
	w     *enginetest.World
	acks  *ack.Component // nil: it has none
	notes *notes
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

// start begins a life of node n. cfg nil: without the component.
func start(w *enginetest.World, n int, cfg *ack.Config) *seat {
	w.Helper()
	x := &seat{w: w, notes: &notes{seen: map[uint32]int{}}}
	components := []engine.ComponentInterface{x.notes}
	if cfg != nil {
		var err error
		if x.acks, err = ack.New(*cfg); err != nil {
			w.Fatal(err)
		}
		components = append(components, x.acks)
	}
	x.Network = w.Start(w.New(w.ConfigOf(n), components...))
	return x
}

func (x *seat) stop()  { x.w.Stop(x.Network) }
func (x *seat) crash() { x.w.Crash(x.Network) }

func (x *seat) addr() netip.Addr { return x.w.Host(x.Network).Addr() }

// until lets at most limit of virtual time pass.
func (x *seat) until(what string, limit time.Duration, cond func() bool) {
	x.w.Helper()
	if !x.w.Net().RunUntil(cond, limit) {
		x.w.Fatalf("waited %v of virtual time in vain: %s", limit, what)
	}
}

// dial connects to y and returns the connection as x sees it.
func (x *seat) dial(y *seat) *engine.PeerClient { return x.w.Dial(x.Network, y.Network) }

// pair is two nodes with the component, connected.
func pair(t *testing.T, weather simnet.Weather, cfg ack.Config) (w *enginetest.World, a, b *seat) {
	w = enginetest.Sim(t, 1, weather)
	a, b = start(w, 1, &cfg), start(w, 2, &cfg)
	a.dial(b)
	return w, a, b
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
	x.w.Helper()
	if err := x.acks.SendAckRawAsync(to, opNote, numbered(n, size), a.note(n)); err != nil {
		x.w.Fatalf("message %d: %v", n, err)
	}
}

// balanced checks the books of a node whose messages have all been settled.
func (x *seat) balanced(sent, acked, failed int) {
	x.w.Helper()
	s := x.acks.Stats()
	if s.Sent != int64(sent) || s.Acked != int64(acked) || s.Failed != int64(failed) || s.Waiting != 0 || s.Memory != 0 {
		x.w.Errorf("the books say %+v, want %d sent, %d acked, %d failed, nothing waiting", s, sent, acked, failed)
	}
}

// once checks that numbers 0 to n-1 were handed to the node once each.
func (x *seat) once(n int) {
	x.w.Helper()
	if len(x.notes.seen) != n || len(x.notes.order) != n {
		x.w.Errorf("%d messages were handed over, %d different ones, want %d once each", len(x.notes.order), len(x.notes.seen), n)
	}
}
