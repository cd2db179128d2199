package engine

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"testing"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// frameOf is a datagram with one frame.
func frameOf(op opcode.Opcode, flags framing.Flags, id uint32, payload []byte) []byte {
	b := make([]byte, framing.FrameHeaderSize)
	framing.PutFrameHeader(b, op, flags, id, len(payload))
	return append(b, payload...)
}

// A datagram is one plain message. What is anything else ends the connection it came over.
func TestHostileUnreliable(t *testing.T) {
	for _, c := range []struct {
		name string
		b    []byte
		ends bool
	}{
		{"a message nobody wants", frameOf(1000, 0, 0, []byte("x")), false},
		{"nothing", nil, true},
		{"half a header", make([]byte, 5), true},
		{"cut", frameOf(1000, 0, 0, []byte("message"))[:14], true},
		{"two frames", append(frameOf(1000, 0, 0, nil), frameOf(1000, 0, 0, nil)...), true},
		{"a fragment", frameOf(1000, framing.FlagMore, 7, nil), true},
		{"a reply", frameOf(1000, framing.FlagReply, 7, nil), true},
		{"a request", frameOf(1000, 0, 7, nil), true},
		{"a goodbye", frameOf(opcode.DisconnectCode, 0, 0, make([]byte, 4)), true},
		{"credit", frameOf(opcode.CreditCode, 0, 0, make([]byte, 8)), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, tr := onBench(t)
			p, link := openOnBench(n, tr)
			n.sinks[0].Unreliable(link, c.b)
			if ended := !p.Connected(); ended != c.ends {
				t.Errorf("ended %v, want %v: %v", ended, c.ends, p.CloseReason())
			}
		})
	}
}

// provingBench is a bench transport that says its links are proven.
type provingBench struct {
	quicBench
	key crypto.Signer
}

func (p *provingBench) Prove(key crypto.Signer) { p.key = key }

type provenLink struct {
	benchLink
	key [32]byte
}

func (l *provenLink) PeerKey() [32]byte { return l.key }

// What a link says of itself counts only if its transport was given our key to prove, and a link of such a transport that
// proves nothing, or a key that anybody can sign for, is refused.
func TestUnprovenLinks(t *testing.T) {
	id, err := identity.FromSeed(context.Background(), [32]byte{1}, identity.Puzzle{})
	if err != nil {
		t.Fatal(err)
	}
	plain, proving := &benchTransport{}, &provingBench{}
	n, err := New(Config{Transport: plain, MoreTransports: []transport.Transport{proving}, Identity: id, Puzzle: &identity.Puzzle{}, WeakPuzzle: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.workers.stop() })
	if got, ok := proving.key.Public().(ed25519.PublicKey); !ok || identity.PublicKey(got) != id.PublicKey() {
		t.Fatalf("the transport was given the key %v", proving.key)
	}
	key := [32]byte(id.PublicKey())
	for _, c := range []struct {
		name   string
		sink   *sink
		link   transport.Link
		linked bool
		fails  bool
	}{
		{"proven", n.sinks[1], &provenLink{key: key}, true, false},
		{"of the same transport, proving nothing", n.sinks[1], &benchLink{}, false, true},
		{"with a key of low order", n.sinks[1], &provenLink{}, false, true},
		{"of a transport without our key", n.sinks[0], &provenLink{key: key}, false, false},
	} {
		got, err := c.sink.linkedKey(c.link)
		if (err != nil) != c.fails || !c.fails && (got != nil) != c.linked {
			t.Errorf("%s: key %v, %v", c.name, got, err)
		}
	}
	link := &benchLink{loop: proving.loop}
	proving.sink.Opened(link, nil)
	if !link.closed || link.owner != nil {
		t.Error("a link that proves nothing was taken")
	}
	if _, err := n.sinks[1].linkedKey(&benchLink{}); !errors.Is(err, errUnproven) {
		t.Error(err)
	}
}

// keeper is a component that keeps what it gets, as Offload does while its workers are busy.
type keeper struct {
	Component
	got, held int
}

func (c *keeper) Receive(ctx *ComponentContext) error {
	c.got++
	c.held += ctx.peer.loop.held
	ctx.peer.loop.held = 0
	return nil
}

// Datagrams cost no credit, but what components keep of them is bounded by the window all the same, and comes back to it.
func TestUnreliableIsHeldWithinTheWindow(t *testing.T) {
	n, tr := onBench(t)
	c := &keeper{}
	n.table.Store(newTable(n.registry, []*slot{{component: c, everyOp: true}}, &n.opcodes, nil))
	n.loops[0].table = n.table.Load()
	p, link := openOnBench(n, tr)
	flood := func() {
		for sent := 0; sent < 3*n.cfg.ReceiveWindow; sent += 1000 {
			n.sinks[0].Unreliable(link, frameOf(1000, 0, 0, make([]byte, 1000-framing.FrameHeaderSize)))
		}
	}
	flood()
	if c.held < n.cfg.ReceiveWindow || c.held > n.cfg.ReceiveWindow+1000 {
		t.Errorf("%d bytes are held, the window is %d", c.held, n.cfg.ReceiveWindow)
	}
	before := c.got
	p.consume(c.held)
	c.held = 0
	flood()
	if c.got != 2*before || !p.Connected() {
		t.Errorf("%d datagrams after the first %d were handled: %v", c.got-before, before, p.CloseReason())
	}
}
