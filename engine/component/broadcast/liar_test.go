package broadcast_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/broadcast"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/skad"
	"github.com/carrier-p2p/carrier/skad/spread"
)

// A liar is a node whose messages are written by the test.
type liar struct {
	engine.Component
	*node
	id    *identity.Identity
	heard map[heard]int
}

// heard is what came from whom.
type heard struct {
	from identity.ID
	op   opcode.Opcode
}

func (l *liar) Opcodes() []opcode.Opcode {
	return []opcode.Opcode{opcode.BroadcastCode, opcode.BroadcastHaveCode, opcode.BroadcastWantCode}
}

func (l *liar) Receive(ctx *engine.ComponentContext) error {
	if l.heard == nil {
		l.heard = map[heard]int{}
	}
	l.heard[heard{ctx.Client().ID(), ctx.Opcode()}]++
	return nil
}

// only is a table with one contact.
type only struct {
	self skad.ID
	to   *skad.Contact
}

func (o only) Closest(_ skad.ID, _ int, dst []*skad.Contact) []*skad.Contact {
	return append(dst, o.to)
}

func (o only) Sharing(prefix int, dst []*skad.Contact) []*skad.Contact {
	if prefix == skad.CommonPrefix(o.self, o.to.ID) {
		return append(dst, o.to)
	}
	return dst
}

// compose returns an honest message of the liar, as it would send it to to.
func (l *liar) compose(t *testing.T, to *node, seq uint64, payload string) spread.Message {
	t.Helper()
	self := l.record()
	core, err := spread.New(spread.Config{Signer: l.id, Verifier: spread.Origins(identity.Puzzle{}), Network: l.NetworkID(), FirstSeq: seq},
		self, only{self.ID, to.record()}, rand.New(rand.NewPCG(1, 2)), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := core.Broadcast(0, []byte(payload)); err != nil {
		t.Fatal(err)
	}
	a, ok := core.Next()
	if !ok || a.Kind != spread.ActionSend {
		t.Fatalf("no message: %+v", a)
	}
	return a.Message
}

func (l *liar) send(t *testing.T, to *node, m spread.Message) {
	t.Helper()
	p, ok := l.ConnMgr().Peer(to.ID())
	if !ok {
		t.Fatal("the liar is not connected")
	}
	if err := p.TrySendRaw(m.Op, m.Append(nil)); err != nil {
		t.Fatal(err)
	}
}

func (l *liar) connected(to *node) bool {
	_, ok := to.ConnMgr().Peer(l.ID())
	return ok
}

// lies is a network of ten and a liar connected to all of them.
func lies(t *testing.T, change func(*node, *broadcast.Config)) (*world, *liar) {
	w := mesh(t, 3, 10, change)
	l := w.liar()
	for _, n := range w.nodes[:10] {
		if err := l.DialAsync(n.Target(), func(*engine.PeerClient, error) {}); err != nil {
			t.Fatal(err)
		}
	}
	w.Until("the liar to be connected", func() bool { all, _ := l.ConnMgr().Count(); return all == 10 })
	w.Pass(time.Second)
	return w, l
}

// An honest message of the liar is taken: what the other tests see refused is refused for what they changed.
func TestLiarCanBeHonest(t *testing.T) {
	w, l := lies(t, nil)
	l.send(t, w.nodes[0], l.compose(t, w.nodes[0], 1, "truth"))
	w.Pass(3 * time.Second)
	if got := w.nodes[0].got; len(got) != 1 || string(got[0].Payload) != "truth" || got[0].Origin != l.ID() || got[0].Hops != 1 {
		t.Errorf("delivered %+v", got)
	}
	if got := w.reached(l.node, "truth"); got != 10 {
		t.Errorf("repair brought it to %d of 10", got)
	}
}

// What is no message of its opcode ends the connection and harms nobody else.
func TestMalformed(t *testing.T) {
	for _, op := range []opcode.Opcode{opcode.BroadcastCode, opcode.BroadcastHaveCode, opcode.BroadcastWantCode} {
		t.Run(op.String(), func(t *testing.T) {
			w, l := lies(t, nil)
			p, _ := l.ConnMgr().Peer(w.nodes[0].ID())
			if err := p.TrySendRaw(op, []byte("nonsense")); err != nil {
				t.Fatal(err)
			}
			w.Until("the liar to be disconnected", func() bool { return !l.connected(w.nodes[0]) })
			w.Until("it to be counted", func() bool { return w.nodes[0].Network.Stats().FaultsPeers == 1 })
			w.say(w.nodes[1], "still here")
			w.Pass(time.Second)
			if got := w.reached(w.nodes[1], "still here"); got != 9 {
				t.Errorf("reached %d of 9", got)
			}
		})
	}
}

// Messages that break a rule are dropped, counted, not delivered, not passed on, and end the connection when they have
// come often enough; the same bytes, unspoilt, would be taken.
func TestBrokenRules(t *testing.T) {
	for _, x := range []struct {
		name  string
		spoil func(*spread.Message)
		why   skad.Reason
		times int // until the score is full
	}{
		{"signature", func(m *spread.Message) { m.Signature[5] ^= 1 }, skad.BadSignature, 2},
		{"id", func(m *spread.Message) { m.ID[5] ^= 1 }, skad.SpreadID, 2},
		{"somebody else's key", func(m *spread.Message) { m.Origin[5] ^= 1; m.Hop = 0 }, skad.SpreadID, 2},
		{"payload", func(m *spread.Message) { m.Payload = []byte("another") }, skad.SpreadID, 2},
		{"height", func(m *spread.Message) { m.Height++ }, skad.SpreadHeight, 4},
		{"hop", func(m *spread.Message) { m.Hop = max(m.Height+1, 2) }, skad.SpreadHop, 4},
	} {
		t.Run(x.name, func(t *testing.T) {
			w, l := lies(t, nil)
			to := w.nodes[0]
			if x.why == skad.SpreadHop { // a hop above 1 needs a height to be well-formed
				for _, n := range w.nodes[:10] {
					if skad.CommonPrefix(n.record().ID, l.record().ID) > 0 {
						to = n
					}
				}
			}
			for i := range x.times {
				if !l.connected(to) {
					t.Fatalf("disconnected after %d", i)
				}
				m := l.compose(t, to, uint64(i+1), fmt.Sprint("lie ", i))
				x.spoil(&m)
				l.send(t, to, m)
				w.Pass(time.Second)
			}
			if s := to.cast.Stats(); s.Dropped[x.why] != uint64(x.times) || s.Delivered != 0 || s.Sent != 0 {
				t.Errorf("counted %d, delivered %d, sent %d", s.Dropped[x.why], s.Delivered, s.Sent)
			}
			if l.connected(to) {
				t.Error("still connected")
			}
		})
	}
}

// Who repeats an old message for ever costs its receiver lookups, and is delivered once.
func TestReplays(t *testing.T) {
	w, l := lies(t, nil)
	m := l.compose(t, w.nodes[0], 1, "again")
	for range 300 {
		l.send(t, w.nodes[0], m)
	}
	w.Pass(5 * time.Second)
	w.Pass(3 * time.Minute) // it is forgotten, and its number refused
	l.send(t, w.nodes[0], m)
	w.Pass(5 * time.Second)
	if got := w.reached(l.node, "again"); got != 10 {
		t.Errorf("%d of 10 have it exactly once", got)
	}
	if s := w.nodes[0].cast.Stats(); s.Dropped[skad.SpreadKnown] < 299 || s.Dropped[skad.SpreadOld] != 1 {
		t.Errorf("%d duplicates, %d stale", s.Dropped[skad.SpreadKnown], s.Dropped[skad.SpreadOld])
	}
}

// An origin that floods is cut to its rate, everywhere; what others say meanwhile arrives.
func TestFloodingOrigin(t *testing.T) {
	w, l := lies(t, nil)
	const flood = 500
	for i := range flood {
		l.send(t, w.nodes[0], l.compose(t, w.nodes[0], uint64(i+1), fmt.Sprint("flood ", i)))
	}
	w.say(w.nodes[1], "may I")
	w.Pass(2 * time.Second)
	for i, n := range w.nodes[:10] {
		heard, flooded := 0, 0
		for _, m := range n.got {
			if m.Origin == l.ID() {
				flooded++
			} else {
				heard++
			}
		}
		if i != 1 && heard != 1 {
			t.Errorf("node %d has not heard the other", i)
		}
		if flooded > 64+16*3 {
			t.Errorf("node %d was given %d of the flood, its burst is 64 and its rate 16", i, flooded)
		}
	}
	if s := w.nodes[0].cast.Stats(); s.Dropped[skad.SpreadLimited] == 0 {
		t.Errorf("nothing was cut: %+v", s)
	}
}

// Who announces what does not exist is asked, gives nothing, and is blamed for it; who wants what it was not offered gets
// nothing.
func TestEmptyPromises(t *testing.T) {
	w, l := lies(t, nil)
	to := w.nodes[0]
	for i := range 40 {
		l.send(t, to, spread.Message{Op: opcode.BroadcastHaveCode, IDs: []spread.MessageID{{1, byte(i)}}})
	}
	w.Pass(10 * time.Second)
	if l.heard[heard{to.ID(), opcode.BroadcastWantCode}] != 40 || l.connected(to) {
		t.Errorf("asked %d times, connected %t", l.heard[heard{to.ID(), opcode.BroadcastWantCode}], l.connected(to))
	}

	w, l = lies(t, nil)
	to = w.nodes[0]
	id := w.say(to, "mine")
	w.Pass(20 * time.Millisecond)
	for range 8 {
		l.send(t, to, spread.Message{Op: opcode.BroadcastWantCode, IDs: []spread.MessageID{id, id, id, id}})
	}
	w.Pass(200 * time.Millisecond)
	if s := to.cast.Stats(); s.Dropped[skad.SpreadUnoffered] == 0 || l.heard[heard{to.ID(), opcode.BroadcastCode}] > 1 || l.connected(to) {
		t.Errorf("%d unoffered, given %d times, connected %t", s.Dropped[skad.SpreadUnoffered], l.heard[heard{to.ID(), opcode.BroadcastCode}], l.connected(to))
	}
}

// Who announces without end is not listened to beyond its rate, and the others are; what honest nodes say in a minute of
// talk is never too much.
func TestHasty(t *testing.T) {
	w, l := lies(t, nil)
	to := w.nodes[0]
	known := w.say(to, "known")
	w.Pass(time.Second)
	ids := make([]spread.MessageID, spread.IDLimit)
	for i := range ids {
		ids[i] = known
	}
	for i := range 2000 {
		l.send(t, to, spread.Message{Op: opcode.BroadcastHaveCode, IDs: ids})
		if i%100 == 99 {
			w.Pass(100 * time.Millisecond)
		}
	}
	w.say(w.nodes[1], "may I")
	w.Pass(time.Second)
	if s := to.cast.Stats(); s.Hasty < 1500 || !l.connected(to) {
		t.Errorf("%d were too many, connected %t", s.Hasty, l.connected(to))
	}
	if got := to.got; len(got) != 1 || string(got[0].Payload) != "may I" {
		t.Errorf("heard %+v", got)
	}
	for i := range 600 {
		w.say(w.nodes[i%10], fmt.Sprint("talk ", i))
		w.Pass(100 * time.Millisecond)
	}
	for i, n := range w.nodes[1:10] {
		if s := n.cast.Stats(); s.Hasty+s.Flooded > 0 {
			t.Errorf("node %d found an honest one hasty: %+v", i+1, s)
		}
	}
}

// A third of the contacts of everybody take what they get and pass nothing on: the others have every message.
func TestBlackHoles(t *testing.T) {
	w := newWorld(t, 4)
	for i := range 42 {
		if i%3 == 2 {
			w.liar()
		} else {
			w.node(nil)
		}
	}
	w.connect(w.nodes...)
	w.say(w.nodes[0], "one")
	w.Pass(5 * time.Second)
	w.say(w.nodes[0], "two")
	w.Pass(5 * time.Second)
	if got, want := w.reached(w.nodes[0], "one", "two"), w.living()-1; got != want || want != 27 {
		t.Errorf("reached %d of %d", got, want)
	}
}

// A message that Validate rejects is not delivered nor passed on, and held against who brought it; one that it ignores is
// nobody's fault.
func TestValidate(t *testing.T) {
	w, l := lies(t, func(n *node, c *broadcast.Config) {
		c.Validate = func(m *broadcast.Message) spread.Verdict {
			switch string(m.Payload[:3]) {
			case "bad":
				return spread.Reject
			case "odd":
				return spread.Ignore
			}
			return spread.Accept
		}
	})
	for i := range 4 {
		l.send(t, w.nodes[0], l.compose(t, w.nodes[0], uint64(i+1), fmt.Sprint("odd", i)))
	}
	w.Pass(3 * time.Second)
	if s := w.nodes[0].cast.Stats(); s.Dropped[skad.SpreadIgnored] != 4 || s.Delivered+s.Sent != 0 || !l.connected(w.nodes[0]) {
		t.Errorf("ignored: %+v", s)
	}
	for i := range 4 {
		l.send(t, w.nodes[0], l.compose(t, w.nodes[0], uint64(i+10), fmt.Sprint("bad", i)))
	}
	w.Pass(3 * time.Second)
	if s := w.nodes[0].cast.Stats(); s.Dropped[skad.SpreadRejected] != 4 || s.Delivered+s.Sent != 0 || l.connected(w.nodes[0]) {
		t.Errorf("rejected: %+v", s)
	}
}
