package engine_test

import (
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/opcode"
)

// Messages are counted by opcode, traffic by peer, and loops tell how they fare.
func TestHealth(t *testing.T) {
	worlds(t, func(w *world) {
		c := &witness{}
		b := w.node(nil, withWitness(c))
		if b.Stats().Loops == nil || len(b.Loops()) != len(b.Stats().Loops) {
			w.Errorf("%d loops, and %d with statistics", len(b.Loops()), len(b.Stats().Loops))
		}
		p := w.dial(w.node(nil), b)
		for range 7 {
			if err := p.TrySendRaw(opNote, []byte("12345")); err != nil {
				w.Fatal(err)
			}
		}
		if err := p.PingAsync(time.Second, func(time.Duration, error) {}); err != nil {
			w.Fatal(err)
		}
		counted := func() bool {
			s := b.Stats().Opcodes
			return s[opNote] == engine.OpcodeStats{MessagesIn: 7, BytesIn: 35} && s[opcode.PingCode].MessagesIn == 1
		}
		w.Until("seven messages and a Ping are counted", counted)
		type traffic struct{ in, out uint64 }
		got := make(chan traffic, 1)
		peer := c.peer(0)
		peer.Loop().Post(func() {
			in, out := peer.Traffic()
			got <- traffic{in, out}
		})
		w.Until("the loop", func() bool { return len(got) == 1 })
		if tr := <-got; tr.in != 7*(12+5) || tr.out != 0 {
			w.Errorf("traffic of the peer is %+v, want 119 bytes in", tr)
		}
		events, peers := int64(0), int64(0)
		for _, l := range b.Stats().Loops {
			events += l.Held.Count()
			peers += l.Peers
		}
		if events == 0 || peers != 1 {
			w.Errorf("%d events and %d peers on the loops", events, peers)
		}
		p.Close()
		w.Until("nobody is left", func() bool {
			for _, l := range b.Stats().Loops {
				if l.Peers != 0 {
					return false
				}
			}
			return true
		})
	})
}

// A loop that is kept from its timers says by how much.
func TestLate(t *testing.T) {
	w := liveWorld(t)
	n := w.node(nil)
	const held = 20 * time.Millisecond
	fired := make(chan struct{})
	l := n.HomeLoop()
	l.Post(func() {
		l.After(time.Millisecond, func() { close(fired) })
		l.Post(func() { // in the event after the one that set the alarm
			l.Post(func() {
				for began := l.Now(); l.Now()-began < held; {
				}
			})
		})
	})
	w.Until("the timer", func() bool {
		select {
		case <-fired:
			return true
		default:
			return false
		}
	})
	w.Until("it is counted", func() bool {
		s := n.Stats().Loops[l.Index()]
		return s.Held.Sum >= held && s.Late.Count() > 0
	})
}
