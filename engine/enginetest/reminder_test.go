package enginetest_test

import (
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/opcode"
)

const opReminder opcode.Opcode = 1000

// A reminder says a word to each peer once a minute, and counts what it hears.
type reminder struct {
	engine.Component
	heard int
}

func (r *reminder) Opcodes() []opcode.Opcode { return []opcode.Opcode{opReminder} }

func (r *reminder) PeerConnect(p *engine.PeerClient) {
	p.Loop().After(time.Minute, func() {
		if p.TrySendRaw(opReminder, []byte("a word")) == nil {
			r.PeerConnect(p) // again in a minute
		}
	})
}

func (r *reminder) Receive(*engine.ComponentContext) error {
	r.heard++
	return engine.ErrIntercepted
}

func TestReminder(t *testing.T) {
	w := enginetest.Sim(t, 1, simnet.Weather{Latency: 20 * time.Millisecond})
	said, got := &reminder{}, &reminder{}
	a, b := w.Node(said), w.Node(got)
	w.Dial(a, b)

	w.Pass(time.Hour + time.Second)
	if said.heard != 60 || got.heard != 60 {
		t.Errorf("heard %d and %d times in an hour, want 60", said.heard, got.heard)
	}

	w.Vanish(b)
	w.Pass(time.Hour)
	if _, still := a.ConnMgr().Peer(b.ID()); still {
		t.Error("an hour later a still believes in b")
	}
}
