package engine_test

import (
	"testing"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
)

// What a node says of how it is dialled is what others can dial, and can be written down for them.
func TestTarget(t *testing.T) {
	w := liveWorld(t)
	a := w.node(nil)
	read, err := engine.ParseTarget(a.Target().String())
	if err != nil || read != a.Target() || read.ID != a.ID() {
		t.Errorf("%v is read as %v, %v", a.Target(), read, err)
	}
	b := w.node(func(c *engine.Config) { c.Listen = nil })
	if p, err := w.TryDial(b, read); err != nil || p.ID() != a.ID() {
		t.Errorf("dialled %v: %v", read, err)
	}
	if got := b.Target(); got.ID != b.ID() || got.Addr != (transport.Addr{}) {
		t.Errorf("a node that listens nowhere is at %v", got)
	}
	if got := w.New(w.config()).Target(); got.Addr != (transport.Addr{}) {
		t.Errorf("before its start a node is at %v", got)
	}
}
