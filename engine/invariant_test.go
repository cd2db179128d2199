//go:build invariant

package engine_test

import (
	"bytes"
	"testing"

	"github.com/carrier-p2p/carrier/engine"
)

// In the checked build a component that keeps the payload it was lent reads 0xDB; one that retains it has its copy.
func TestKeptPayloadIsSpoiled(t *testing.T) {
	worlds(t, func(w *world) {
		var seen, retained []byte
		c := &witness{on: func(ctx *engine.ComponentContext) error {
			kept := ctx.Payload()
			retained = ctx.Retain().Payload()
			ctx.Client().Loop().Post(func() { seen = bytes.Clone(kept) }) // right after, before the memory is used again
			return nil
		}}
		n := w.node(nil, withWitness(c))
		p := w.dial(w.node(nil), n)
		msg := bytes.Repeat([]byte("what was lent "), 50) // fits a datagram
		if err := p.TrySendRaw(opNote, msg); err != nil {
			w.Fatal(err)
		}
		w.Until("the note", func() bool { _, _, notes := c.count(); return notes == 1 })
		w.Do(func() { // so that the loop has gone on
			if _, err := p.Ping(brief(w)); err != nil {
				w.Error(err)
			}
		})
		if !bytes.Equal(seen, bytes.Repeat([]byte{0xdb}, len(msg))) {
			w.Errorf("the kept payload reads %.40q", seen)
		}
		if !bytes.Equal(retained, msg) {
			w.Errorf("the retained payload reads %.40q", retained)
		}
	})
}
