package engine_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
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
	} else if want := "no address of " + b.ID().String(); got.String() != want {
		t.Errorf("a node that listens nowhere says %q, want %q", got, want)
	}
	if got := w.New(w.config()).Target(); got.Addr != (transport.Addr{}) {
		t.Errorf("before its start a node is at %v", got)
	}
}

// What is read as a target is an address, and somebody: an ID that means whoever answers is not written down.
func TestParseTargetRefuses(t *testing.T) {
	id := identity.ID{1}
	for _, s := range []string{"", "127.0.0.1:1", "tcp://", "tcp://127.0.0.1", "tcp://localhost:1", "http://127.0.0.1:1",
		"tcp://" + id.String() + "@", "tcp://" + id.String()[2:] + "@127.0.0.1:1", "tcp://@127.0.0.1:1",
		"tcp://" + identity.ID{}.String() + "@127.0.0.1:1", engine.Target{ID: id}.String(), engine.Target{}.String()} {
		if got, err := engine.ParseTarget(s); !errors.Is(err, transport.ErrAddress) {
			t.Errorf("%q is read as %v, %v", s, got, err)
		}
	}
}

// The loop for work that belongs to no peer is there from Start on; who asks before is told what he did.
func TestHomeLoop(t *testing.T) {
	w := liveWorld(t)
	n := w.New(w.config())
	func() {
		defer func() {
			if said, _ := recover().(string); !strings.Contains(said, "not started") {
				t.Errorf("before Start: %q", said)
			}
		}()
		n.HomeLoop()
	}()
	w.Start(n)
	if err := n.HomeLoop().Do(func() {}); err != nil {
		t.Error(err)
	}
	must(t, n.Shutdown(brief(t)))
	if n.HomeLoop().Post(func() {}) {
		t.Error("a loop that has ended takes something to run")
	}
}
