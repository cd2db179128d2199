package engine_test

import (
	"errors"
	"testing"

	"github.com/carrier-p2p/carrier/engine"
)

// A message that may get lost arrives over every transport; where there are no datagrams it goes with the others.
func TestSendUnreliable(t *testing.T) {
	worlds(t, func(w *world) {
		c := &witness{}
		a, b := w.node(nil), w.node(nil, withWitness(c))
		p := w.dial(a, b)
		limit := p.UnreliableLimit()
		if w.quic != (limit > 1000) || !w.quic && limit != -1 {
			w.Fatalf("a message may have %d bytes", limit)
		}
		if err := p.TrySendUnreliableRaw(opNote, []byte("hello")); err != nil {
			w.Fatal(err)
		}
		w.Until("the message", func() bool { _, _, n := c.count(); return n == 1 })
		if got := c.seen(); got[len(got)-1] != "hello" {
			w.Errorf("got %q", got)
		}
		if w.quic {
			if err := p.TrySendUnreliableRaw(opNote, make([]byte, limit)); err != nil {
				w.Error(err)
			}
			w.Until("the longest message", func() bool { _, _, n := c.count(); return n == 2 })
			if err := p.TrySendUnreliableRaw(opNote, make([]byte, limit+1)); !errors.Is(err, engine.ErrMessageTooLarge) {
				w.Errorf("a message that no datagram holds: %v", err)
			}
		}
		if err := p.TrySendUnreliableRaw(2, nil); !errors.Is(err, engine.ErrReserved) && err != nil {
			w.Errorf("a library's opcode: %v", err)
		}
		p.Disconnect(engine.CodeNone, "")
		w.Until("the end", func() bool { return !p.Connected() })
		if err := p.TrySendUnreliableRaw(opNote, nil); !errors.Is(err, engine.ErrClosed) {
			w.Errorf("after the end: %v", err)
		}
	})
}
