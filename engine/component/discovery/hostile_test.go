package discovery_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/skad"
)

// A liar is a node of the adversary: whole and proven on the engine's floor, which answers its Pings, and hostile above.
type liar struct {
	engine.Component
	answer func(p *engine.PeerClient, m *skad.Message) // to a lookup request; nil: none, a black hole
	closed int                                         // connections that honest nodes have ended with a reason
}

func (l *liar) Opcodes() []opcode.Opcode { return []opcode.Opcode{opcode.LookupNodeRequestCode} }

func (l *liar) Receive(ctx *engine.ComponentContext) error {
	m, err := skad.ParseMessage(ctx.Opcode(), ctx.Payload(), skad.Private)
	if err == nil && l.answer != nil {
		l.answer(ctx.Client(), &m)
	}
	return engine.ErrIntercepted
}

func (l *liar) PeerDisconnect(p *engine.PeerClient) {
	var why *engine.CloseError
	if errors.As(p.CloseReason(), &why) && why.Remote && why.Code == engine.CodeProtocol {
		l.closed++
	}
}

// reply sends an answer with these contacts.
func reply(p *engine.PeerClient, m *skad.Message, list []*skad.Contact) {
	a := skad.Message{Op: opcode.LookupNodeResponseCode, Nonce: m.Nonce, Contacts: list[:min(len(list), int(m.Count))]}
	_ = p.TrySendRaw(opcode.LookupNodeResponseCode, a.Append(nil))
}

// besiege adds count liars that call every honest node, so that they get into every table that has room.
func (w *world) besiege(count int, answer func(p *engine.PeerClient, m *skad.Message)) (liars []*liar, nets []*engine.Network) {
	w.Helper()
	for range count {
		l := &liar{answer: answer}
		e := w.Node(l)
		for _, n := range w.nodes {
			_, _ = w.TryDial(e, n.Target())
		}
		liars, nets = append(liars, l), append(nets, e)
	}
	return liars, nets
}

// honest are the IDs in a result that belong to honest nodes, in their order.
func (w *world) honest(list []*skad.Contact) (out []skad.ID) {
	for _, c := range list {
		if slices.ContainsFunc(w.nodes, func(n *node) bool { return skad.IDOf(n.ID()) == c.ID }) {
			out = append(out, c.ID)
		}
	}
	return out
}

// forged makes contacts for an answer: real nodes at the liar's address, with the signature of something else.
func (w *world) forged(p *engine.PeerClient) (list []*skad.Contact) {
	own := p.Network().Record()
	for _, n := range w.nodes {
		rec := *n.Record()
		rec.Addrs, rec.Seq = own.Addrs, rec.Seq+100
		list = append(list, skad.NewContact(rec, skad.Private))
	}
	return list
}

// A fifth of the nodes is hostile. Honest nodes go on finding exactly the honest nodes nearest to every key; what the
// liars send is dropped, counted and blamed.
func TestLookupsAmongLiars(t *testing.T) {
	for _, x := range []struct {
		name   string
		answer func(w *world) func(*engine.PeerClient, *skad.Message)
		banned bool
	}{
		{"black holes", func(*world) func(*engine.PeerClient, *skad.Message) { return nil }, false},
		{"forged addresses", func(w *world) func(*engine.PeerClient, *skad.Message) {
			return func(p *engine.PeerClient, m *skad.Message) { reply(p, m, w.forged(p)) }
		}, true},
		{"nothing known", func(w *world) func(*engine.PeerClient, *skad.Message) {
			return func(p *engine.PeerClient, m *skad.Message) { reply(p, m, nil) }
		}, false},
		{"the same again and again", func(w *world) func(*engine.PeerClient, *skad.Message) {
			return func(p *engine.PeerClient, m *skad.Message) {
				own := skad.NewContact(*p.Network().Record(), skad.Private)
				reply(p, m, slices.Repeat([]*skad.Contact{own}, int(m.Count)))
			}
		}, false},
		{"garbage", func(w *world) func(*engine.PeerClient, *skad.Message) {
			return func(p *engine.PeerClient, m *skad.Message) {
				_ = p.TrySendRaw(opcode.LookupNodeResponseCode, []byte("not a message"))
			}
		}, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := simWorld(t, 9)
			w.swarm(24, setting{})
			liars, nets := w.besiege(6, x.answer(w))
			w.Pass(10 * time.Second)
			exact, among := 0, 0
			const lookups = 48
			for i := range lookups {
				n := w.nodes[i%len(w.nodes)]
				k := randomKey(uint64(100 + i))
				r := w.lookup(n, k, skad.LookupOptions{Count: 24})
				if slices.Equal(w.honest(r.Closest), w.nearest(k, n, 24)[:len(w.honest(r.Closest))]) && len(w.honest(r.Closest)) >= 16 {
					exact++
				}
			}
			for _, n := range w.nodes {
				for _, e := range nets { // so that each has been asked something by everybody
					w.lookup(n, skad.IDOf(e.ID()), skad.LookupOptions{})
				}
				for _, c := range n.View().Closest(n.View().Self(), skad.CountLimit, nil) {
					if len(w.honest([]*skad.Contact{c})) == 0 {
						among++
					}
				}
			}
			if exact != lookups {
				t.Errorf("%d of %d lookups exact", exact, lookups)
			}
			bans, closed := uint64(0), 0
			for _, n := range w.nodes {
				bans += n.Stats().Core.Bans
			}
			for _, l := range liars {
				closed += l.closed
			}
			t.Logf("liars in tables %d, bans %d, closed %d", among, bans, closed)
			if x.banned && (bans == 0 || among > 0) {
				t.Errorf("%d bans, and liars hold %d places in tables", bans, among)
			}
			if x.name == "garbage" && closed == 0 {
				t.Error("nobody has hung up on garbage")
			}
		})
	}
}

// Floods: questions without end, answers to nothing, and Pongs to nothing. Each is bounded and counted, and lookups of
// others go on at their rate.
func TestFloods(t *testing.T) {
	w := simWorld(t, 10)
	w.swarm(12, setting{})
	victim := w.nodes[4]
	_, nets := w.besiege(2, nil)
	question := skad.Message{Op: opcode.LookupNodeRequestCode, Nonce: 1, Key: randomKey(1), Count: 16}
	answer := skad.Message{Op: opcode.LookupNodeResponseCode, Nonce: 1}
	flood := func() {
		for _, e := range nets {
			p, ok := e.ConnMgr().Peer(victim.ID())
			if !ok {
				continue
			}
			for range 200 {
				_ = p.TrySendRaw(opcode.LookupNodeRequestCode, question.Append(nil))
				_ = p.TrySendRaw(opcode.LookupNodeResponseCode, answer.Append(nil))
				_ = p.TrySendRaw(opcode.PongCode, []byte("12345678"))
			}
		}
	}
	served := victim.Stats().Core.Served
	for i := range 50 {
		flood()
		w.Pass(20 * time.Millisecond)
		if i%10 == 0 {
			k := randomKey(uint64(i))
			if r := w.lookup(victim, k, skad.LookupOptions{}); !slices.Equal(w.honest(r.Closest), w.nearest(k, victim, len(w.honest(r.Closest)))) || len(w.honest(r.Closest)) < 11 {
				t.Errorf("lookup %d of the victim found %d of 11", i, len(w.honest(r.Closest)))
			}
		}
	}
	s := victim.Stats()
	if s.Flood == 0 || s.Unasked == 0 {
		t.Errorf("nothing was counted: %+v", s)
	}
	// Two peers with 256 at once and 64 a second, for the few seconds this has taken, and what honest nodes ask.
	if got := s.Core.Served - served; got > 2*(256+64*10)+200 {
		t.Errorf("%d questions were answered", got)
	}
}

// What is no message of the overlay ends the connection, whatever it is; a Pong that nobody waits for does not.
func TestMalformed(t *testing.T) {
	for _, x := range []struct {
		name    string
		op      opcode.Opcode
		payload []byte
		closed  bool
	}{
		{"an empty question", opcode.LookupNodeRequestCode, nil, true},
		{"a question cut short", opcode.LookupNodeRequestCode, make([]byte, 40), true},
		{"a question with nonce 0", opcode.LookupNodeRequestCode, make([]byte, 41), true},
		{"an empty route", opcode.RouteCode, nil, true},
		{"a record that is none", opcode.RecordCode, append(make([]byte, 8), "garbage"...), true},
		{"an answer that is none", opcode.LookupNodeResponseCode, []byte("garbage"), true}, // a question of ours is open
		{"a pong to nothing", opcode.PongCode, []byte("garbage"), false},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := simWorld(t, 11)
			n := w.node(setting{})
			_, nets := w.besiege(1, nil)
			p, ok := nets[0].ConnMgr().Peer(n.ID())
			if !ok {
				t.Fatal("not connected")
			}
			w.Until("the liar to be in the table", func() bool { return n.View().Len() == 1 })
			_ = n.Lookup(randomKey(1), skad.LookupOptions{}, func(*skad.Result, error) {})
			w.Pass(200 * time.Millisecond)
			if err := p.TrySendRaw(x.op, x.payload); err != nil && !errors.Is(err, engine.ErrReserved) {
				t.Fatal(err)
			}
			w.Pass(time.Second)
			if p.Connected() == x.closed {
				t.Errorf("connected %v, want closed %v", p.Connected(), x.closed)
			}
			if s := n.Stats(); x.closed && s.Malformed != 1 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// An address where nobody answers, and one where somebody else does, cost the caller a dial and nothing more; the bootstrap
// node may be gone for good.
func TestNobodyThere(t *testing.T) {
	w := simWorld(t, 12)
	w.swarm(6, setting{})
	w.Stop(w.nodes[0].Network)
	id := w.Key(999)
	rec, err := id.NewRecord(w.nodes[1].Record().Addrs, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, _ := id.NewRecord(w.nodes[0].Record().Addrs, 1, 0)
	for _, r := range []*identity.Record{rec, elsewhere} {
		var failed error
		if err := w.nodes[2].Connect(skad.NewContact(*r, skad.Private), func(_ *engine.PeerClient, err error) { failed = err }); err != nil {
			t.Fatal(err)
		}
		w.Until("the dial to fail", func() bool { return failed != nil })
	}
	w.Pass(time.Minute)
	k := randomKey(3)
	if r := w.lookup(w.nodes[2], k, skad.LookupOptions{}); len(r.Closest) != 4 {
		t.Errorf("found %d of 4", len(r.Closest))
	}
}
