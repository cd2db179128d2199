package engine

import (
	"errors"
	"runtime"
	"testing"

	"github.com/carrier-p2p/carrier/engine/internal/session"
	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/internal/invariant"
	"github.com/carrier-p2p/carrier/opcode"
)

// all is a component that names no opcodes.
type all struct {
	Component
	seen chan opcode.Opcode
}

func (c *all) Receive(ctx *ComponentContext) error { c.seen <- ctx.Opcode(); return nil }

// An offloaded component that names no opcodes sees every message, as it would without; but what costs no credit cannot
// queue up.
func TestOffloadOfEverything(t *testing.T) {
	n, tr := onBench(t)
	c := &all{seen: make(chan opcode.Opcode, 10)}
	o := Offload(c, 1)
	n.slots = append(n.slots, &slot{component: o})
	if _, ok := o.(Subscriber); ok {
		t.Fatal("the offload of no Subscriber is one")
	}
	n.slots[0].everyOp = true
	n.table.Store(newTable(n.registry, n.slots, &n.opcodes, nil))
	n.loops[0].table = n.table.Load()
	o.Startup(n)
	p, _ := openOnBench(n, tr)
	p.receipt.granted, p.receipt.window = 1<<20, 1<<20
	for _, op := range []opcode.Opcode{1000, opcode.KeepaliveCode, 1001} {
		if err := p.deliver(&framing.Frame{Op: op, Payload: make([]byte, 8)}, 20); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := <-c.seen, <-c.seen; a != 1000 || b != 1001 {
		t.Errorf("it saw %v and %v", a, b)
	}
	o.Cleanup(n)
	tr.turns()
	if r := p.receipt; r.consumed != r.received || r.received != 40 {
		t.Errorf("%d bytes received, %d consumed", r.received, r.consumed)
	}
}

// What waits for a worker counts with all that keeping it takes: messages of no bytes, which cost 12 of credit each, cannot take
// more memory than is lent. Who keeps much of it, when half is lent, is closed; who keeps little is not.
func TestOffloadCountsWhatItKeeps(t *testing.T) {
	const count = 40_000
	n, tr := onBench(t)
	c := &all{seen: make(chan opcode.Opcode)} // it waits for somebody to look
	o := Offload(c, 1).(*offload)
	o.Startup(n)
	p, _ := openOnBench(n, tr)
	p.loop.ctx = ComponentContext{peer: p, op: 1000}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	lent := n.bufs.Lent()
	for range count {
		if err := o.Receive(&p.loop.ctx); err != ErrIntercepted {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if heap, booked := int64(after.HeapAlloc)-int64(before.HeapAlloc), n.bufs.Lent()-lent; booked != count*offloadCost || heap > booked && !invariant.Enabled {
		t.Errorf("%d messages take %d bytes, and %d are booked", count, heap, booked)
	}

	half := n.bufs.Limit() / 2
	if err := n.bufs.Reserve(int(half)); err != nil {
		t.Fatal(err)
	}
	var fault *Fault
	if err := o.Receive(&p.loop.ctx); !errors.As(err, &fault) || fault.Whose != Ours || fault.Code != CodeLimit || !errors.Is(err, session.ErrMemory) {
		t.Errorf("one that keeps %d bytes when half is lent: %v", count*offloadCost, err)
	}
	other, _ := openOnBench(n, tr)
	p.loop.ctx.peer = other
	if err := o.Receive(&p.loop.ctx); err != ErrIntercepted {
		t.Errorf("one that keeps little: %v", err)
	}
	n.bufs.Release(int(half))
	for range count + 1 {
		<-c.seen
	}
	o.Cleanup(n)
	if n.bufs.Lent() != lent || len(o.workers[0].kept) != 0 {
		t.Errorf("%d bytes are lent in the end, %d before; %d peers are remembered", n.bufs.Lent(), lent, len(o.workers[0].kept))
	}
}
