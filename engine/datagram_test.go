package engine_test

import (
	"context"
	"net/netip"
	"testing"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/udpio"
)

// overUDP makes a node of a live world one over UDP.
func overUDP(c *engine.Config) {
	c.Transport = udpio.New(udpio.Config{})
	c.Listen = []transport.Addr{{Proto: transport.UDP, AddrPort: netip.MustParseAddrPort("127.0.0.1:0")}}
}

// Two nodes exchange messages and requests over UDP on loopback.
func TestDatagramsLive(t *testing.T) {
	w := liveWorld(t)
	seen := &witness{}
	a, b := w.node(overUDP), w.node(overUDP, withWitness(seen))
	p := w.dial(a, b)
	if p.Reliable() {
		t.Error("a connection over UDP says that it is reliable")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for range 100 {
		if _, reply, err := p.RequestRaw(ctx, opAsk, []byte("hello"), nil); err != nil || string(reply) != "hello" {
			t.Fatalf("%q, %v", reply, err)
		}
	}
	for range 1000 {
		if err := p.SendRaw(ctx, opNote, []byte("note")); err != nil {
			t.Fatal(err)
		}
	}
	w.Until("the notes to come", func() bool { _, _, n := seen.count(); return n == 1100 })
	p.Close()
	w.Until("both ends to know that it is over", func() bool {
		_, downs, _ := seen.count()
		return downs == 1 && !p.Connected()
	})
}
