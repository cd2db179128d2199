package engine_test

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/opcode"
)

// Peers that do not read, and peers that begin messages and finish none, cannot keep the node's memory from the others: they
// are closed, with a reason of their own. Those that read stay.
func TestSlowPeersMakeRoom(t *testing.T) {
	const memory = 8 << 20
	noted := make([]byte, 60<<10)
	for name, hoard := range map[string]func(n *engine.Network, s *stranger){
		"no credit":   func(*engine.Network, *stranger) {},
		"kernel full": func(_ *engine.Network, s *stranger) { s.frames(credit(1 << 39)) },
		"unfinished": func(_ *engine.Network, s *stranger) {
			for range 15 {
				s.frames(framing.Frame{Op: opNote, Flags: framing.FlagMore, ID: 1 << 31, Payload: noted})
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := liveWorld(t)
			var seen witness
			n := w.node(func(c *engine.Config) { c.Memory = memory }, withWitness(&seen))
			check := goodPeer(w, n)
			for range 7 {
				hoard(n, greet(t, n))
			}
			w.Until("the memory to be short, and to be there again", func() bool {
				for p := range n.ConnMgr().Peers() {
					if name != "unfinished" && p != seen.peer(0) {
						_ = p.TrySendRaw(opNote, noted)
					}
				}
				return n.Stats().Relieved > 0
			})
			check()
			if err := seen.peer(0).TrySendRaw(opNote, noted); err != nil {
				t.Errorf("sending to the peer that reads: %v", err)
			}
			if p := seen.peer(0); !p.Connected() {
				t.Errorf("the peer that reads was closed: %v", p.CloseReason())
			}
			var why *engine.CloseError
			var limit *engine.LimitError
			w.Until("its going to be told", func() bool { _, downs, _ := seen.count(); return downs > 0 })
			if err := seen.downs[0].CloseReason(); !errors.As(err, &why) || why.Code != engine.CodeLimit || !errors.Is(err, engine.ErrSlowPeer) ||
				!errors.As(err, &limit) || limit.Scope != "memory" || limit.Limit != memory {
				t.Errorf("the first to be closed: %v", err)
			}
			w.Until("each to be a fault of ours, and nothing else", func() bool { s := n.Stats(); return s.FaultsOurs == s.Relieved })
		})
	}
}

// While memory is short who moves what is kept for it stays, and who sends large messages is not taken for one that begins
// and does not finish.
func TestReadersStayWhileMemoryIsShort(t *testing.T) {
	w := liveWorld(t)
	var seen witness
	n := w.node(func(c *engine.Config) { c.Memory = 32 << 20 }, withWitness(&seen))
	b := w.node(nil, withWitness(&witness{}))
	p := w.dial(b, n)
	for range 32 {
		greet(t, n)
	}
	large := make([]byte, 600<<10)
	for round := 0; n.Stats().Relieved == 0 || round < 50; round++ {
		for q := range n.ConnMgr().Peers() {
			_ = q.TrySendRaw(opNote, large)
		}
		if err := p.SendRaw(brief(t), opNote, large); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
	if err := p.CloseReason(); err != nil {
		t.Errorf("the peer that reads and writes was closed: %v", err)
	}
}

func credit(total uint64) framing.Frame {
	return framing.Frame{Op: opcode.CreditCode, Payload: binary.LittleEndian.AppendUint64(nil, total)}
}
