package engine

import (
	"testing"

	"github.com/carrier-p2p/carrier/framing"
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
