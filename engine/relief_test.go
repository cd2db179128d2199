package engine_test

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
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

// Peers that were sent much once, and have said a word now and then ever since, do not keep the buffers of that time from
// others: those are taken back when memory runs short, and nobody is closed for them.
func TestWarmPeersKeepNoEmptyBuffers(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{Latency: time.Millisecond})
	const memory = 8 << 20
	n := w.node(func(c *engine.Config) { c.Memory = memory })
	var peers []*engine.PeerClient
	words := func() {
		for _, p := range peers {
			if err := p.TrySendRaw(opNote, []byte("still here")); err != nil {
				t.Fatal(err)
			}
		}
		w.Pass(100 * time.Millisecond)
	}
	most := int64(0)
	for range 20 {
		p := w.dial(n, w.node(nil, withWitness(&witness{})))
		peers = append(peers, p)
		for range 15 {
			if err := p.TrySendRaw(opNote, make([]byte, 60<<10)); err != nil {
				t.Fatalf("%d bytes are held for %d peers that have nothing to wait for: %v", n.Stats().BufferBytes, len(peers), err)
			}
		}
		most = max(most, n.Stats().BufferBytes)
		for range 12 { // relief looks once a second
			words()
		}
	}
	if s := n.Stats(); most < memory*3/4 || s.Relieved != 0 || s.Peers != len(peers) {
		t.Errorf("%d bytes at most, %d of %d peers left, %d relieved", most, s.Peers, len(peers), s.Relieved)
	}
}

// What counts is the memory that a peer keeps, and not how little of what it was sent it has left there.
func TestRestsInLargeBuffersMakeRoom(t *testing.T) {
	w := liveWorld(t)
	var seen witness
	// A MiB for each of the strangers is more than three quarters, from which on memory is short. As the last
	// one's buffer grows, half a MiB more is lent, and up to 83 KiB with each, to read into and for a batch
	// that was read before its memory was back: that is below the seven eighths which senders may take.
	const strangers, memory = 14, 18<<20 + 256<<10
	n := w.node(func(c *engine.Config) { c.Memory = memory }, withWitness(&seen))
	const large, count = 60 << 10, 15
	burst := count * (framing.FrameHeaderSize + large)
	for i := range strangers {
		s := greet(t, n)
		w.Until("the stranger to be in", func() bool { ups, _, _ := seen.count(); return ups == i+1 })
		p := seen.peer(i)
		// What comes before the burst uses its credit up but for what the burst takes, so that the last word stays.
		send := func(size int) {
			if err := p.TrySendRaw(opNote, make([]byte, size)); err != nil {
				t.Errorf("%d bytes: %v", size, err)
			}
		}
		for before := 1<<20 - burst; before > 0; before -= framing.FrameHeaderSize + large {
			send(min(before-framing.FrameHeaderSize, large))
			s.next()
		}
		p.Loop().Post(func() { // all of it waits before any is written
			for range count {
				send(large)
			}
			send(1000)
		})
		for range count {
			s.next()
		}
	}
	w.Until("them to be closed", func() bool { return n.Stats().Relieved > 0 })
}

// Over QUIC what is not read waits below the engine as well, in memory of the node's.
func TestSlowPeersMakeRoomOverQUIC(t *testing.T) {
	w := quicWorld(t)
	n := w.node(func(c *engine.Config) { c.Memory = 4 << 20 })
	held := make(chan struct{})
	defer close(held)
	const each = 256 << 10 // what a link keeps at most
	for peers := int64(1); n.Stats().Relieved == 0; peers++ {
		if peers > 20 {
			t.Fatalf("20 peers read nothing, %d bytes are held, and nobody is closed", n.Stats().BufferBytes)
		}
		deaf := &witness{on: func(*engine.ComponentContext) error { <-held; return nil }}
		p := w.dial(n, w.node(nil, withWitness(deaf)))
		for range 5 {
			_ = p.TrySendRaw(opNote, make([]byte, 60<<10))
		}
		w.Until("the engine to keep nothing of it", func() bool {
			s := n.Stats()
			return s.BufferBytes <= peers*each && s.BufferBytes <= s.BufferLimit/4*3 || s.Relieved > 0
		})
	}
}

// However many loops a node has, as many peers have to leave as the shortage is worth, and when it comes back more.
func TestLoopsShareTheRelief(t *testing.T) {
	for _, loops := range []int{1, 8} {
		w := simWorld(t, 1, simnet.Weather{})
		n := w.node(func(c *engine.Config) {
			c.Memory = 16 << 20
			c.Transport = w.Net().Host(netip.MustParseAddr("172.16.0.1"), simnet.Loops(loops))
			c.Listen = []transport.Addr{{Proto: transport.TCP, AddrPort: netip.MustParseAddrPort("172.16.0.1:4001")}}
		})
		for range 24 {
			b := w.node(nil)
			w.dial(b, n)
			w.Vanish(b)
		}
		fill := func() (short int64) { // with what nobody reads
			for p := range n.ConnMgr().Peers() {
				for p.TrySendRaw(opNote, make([]byte, 60<<10)) == nil {
				}
			}
			s := n.Stats()
			return s.BufferBytes - s.BufferLimit/4*3
		}
		for round := range 3 {
			before, short := n.Stats().Relieved, fill()
			w.Pass(10 * time.Second)
			went := n.Stats().Relieved - before
			if least := short / (1 << 20); short < 1<<20 || went < least || went > least+2 {
				t.Errorf("%d loops, round %d: %d peers have left for %d bytes, of which each keeps a megabyte", loops, round, went, short)
			}
		}
	}
}
