package broadcast

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/skad"
	"github.com/carrier-p2p/carrier/skad/spread"
)

// have is an encoded announcement of that many messages.
func have(n int) []byte {
	m := spread.Message{Op: opcode.BroadcastHaveCode}
	for i := range n {
		m.IDs = append(m.IDs, spread.MessageID{1, byte(i)})
	}
	return m.Append(nil)
}

// The inbox gives each peer an eighth, all together what it has, and counts what finds no room; what is no message takes
// none. A batch that was worked off is filled again, and empty.
func TestInbox(t *testing.T) {
	b := inbox{filling: newBatch()}
	one, b0 := &engine.PeerClient{}, newBatch()
	if err := b.message(one, opcode.BroadcastHaveCode, []byte("short")); !errors.Is(err, spread.ErrMessage) || len(b.filling.items)+len(b.filling.bytes) != 0 {
		t.Fatalf("nonsense: %v, %d items, %d bytes", err, len(b.filling.items), len(b.filling.bytes))
	}
	payload := have(spread.IDLimit)
	share := inboxBytes / inboxShare / (itemCost + len(payload))
	for range share + 3 {
		if err := b.message(one, opcode.BroadcastHaveCode, payload); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.drops(); got != 3 {
		t.Errorf("a peer above its share lost %d, want 3", got)
	}
	for range inboxShare {
		p := &engine.PeerClient{}
		for range share {
			if err := b.message(p, opcode.BroadcastHaveCode, payload); err != nil {
				t.Fatal(err)
			}
		}
	}
	if b.filling.cost > inboxBytes || b.drops() < 3+uint64(share)-inboxShare {
		t.Errorf("%d bytes, %d dropped", b.filling.cost, b.drops())
	}
	for range 2 * inboxMessages {
		b.put(item{kind: down})
	}
	full := b.swap(b0)
	if n := len(full.items); n < 2*inboxMessages {
		t.Errorf("%d items: ends of connections must not be lost", n)
	}
	if got := full.items[0].message; got.Op != opcode.BroadcastHaveCode || len(got.IDs) != spread.IDLimit || got.IDs[7] != (spread.MessageID{1, 7}) {
		t.Errorf("the first is %v of %d ids", got.Op, len(got.IDs))
	}
	if b.swap(full) != nil {
		t.Error("the other batch is not empty")
	}
	if err := b.message(one, opcode.BroadcastHaveCode, payload); err != nil || len(b.filling.items) != 1 {
		t.Errorf("a cleared share: %v, %d items", err, len(b.filling.items))
	}
	b.close()
	b.put(item{kind: up})
	if err := b.message(one, opcode.BroadcastHaveCode, payload); err != nil || b.swap(newBatch()) != nil {
		t.Errorf("a closed inbox takes something, or says %v", err)
	}
}

// However small its messages are, the inbox takes no more of them than it has room for.
func TestInboxOfSmallMessages(t *testing.T) {
	b := inbox{filling: newBatch()}
	payload := have(1)
	share := inboxBytes / inboxShare / (itemCost + len(payload))
	for sent := 0; sent < 2*inboxMessages; sent += share {
		p := &engine.PeerClient{}
		for range share {
			if err := b.message(p, opcode.BroadcastHaveCode, payload); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := len(b.filling.items); n != inboxMessages || b.filling.cost > inboxBytes/2 {
		t.Errorf("%d messages of %d bytes in all, want %d", n, b.filling.cost, inboxMessages)
	}
}

// honest signs and believes everything.
type honest struct{}

func (honest) Sign(string, []byte) (s [64]byte)         { return s }
func (honest) Verify(_ string, _ *spread.Message) error { return nil }

// While the application has no room, messages that are new are dropped unseen and counted; a copy of a known one is what it
// always is.
func TestOverrun(t *testing.T) {
	rnd := rand.New(rand.NewChaCha8([32]byte{1}))
	self := skad.NewContact(identity.Record{PublicKey: identity.PublicKey{1}}, skad.Private)
	from := &peer{contact: skad.NewContact(identity.Record{PublicKey: identity.PublicKey{2}}, skad.Private)}
	core, err := spread.New(spread.Config{Signer: honest{}, Verifier: honest{}}, self, &linked{self: self.ID}, rnd, 0)
	if err != nil {
		t.Fatal(err)
	}
	message := func(seq uint64) *spread.Message {
		return &spread.Message{Op: opcode.BroadcastCode, ID: spread.MessageID{byte(seq)}, Seq: seq, Origin: from.contact.Record.PublicKey,
			Hop: 1, Height: uint8(skad.CommonPrefix(self.ID, from.contact.ID))}
	}
	c := &Component{core: core}
	c.received(0, from, message(1))
	for !c.ready.full() {
		c.ready.push(Message{})
	}
	c.received(0, from, message(1))
	c.received(0, from, message(2))
	if s := core.Stats(); s.Delivered != 1 || s.Dropped[skad.SpreadKnown] != 1 || c.counts.overrun != 1 {
		t.Errorf("%d delivered, %d known, %d dropped unseen, want 1 of each", s.Delivered, s.Dropped[skad.SpreadKnown], c.counts.overrun)
	}
}

// Whoever breaks a rule is told to Config.Blame, connected or not.
func TestBlameIsTold(t *testing.T) {
	who := skad.NewContact(identity.Record{PublicKey: identity.PublicKey{2}}, skad.Private)
	var told []skad.Reason
	c := &Component{}
	c.cfg.Blame = func(by *skad.Contact, why skad.Reason) {
		if by != who {
			t.Errorf("%v is blamed", by.ID)
		}
		told = append(told, why)
	}
	c.blame(0, who, skad.SpreadID)
	if len(told) != 1 || told[0] != skad.SpreadID {
		t.Errorf("told %v", told)
	}
}

// What was withdrawn does not come back, wherever it is at that moment.
func TestAsks(t *testing.T) {
	var s asks
	a, b := &ask{}, &ask{}
	if s.add(a) != nil || s.add(b) != nil || s.take() != a {
		t.Fatal("the first in is not the first out")
	}
	if s.withdraw(a) {
		t.Error("withdrawn while the loop has it")
	}
	if err := s.giveBack(a); err != errLeft {
		t.Errorf("given back: %v", err)
	}
	if !s.withdraw(b) || s.take() != nil {
		t.Error("one that waits was not withdrawn")
	}
	c, d := &ask{}, &ask{}
	_, _ = s.add(c), s.add(d)
	if s.giveBack(s.take()) != nil || s.take() != c {
		t.Error("given back, it is not the first again")
	}
	if rest := s.close(engine.ErrClosed); len(rest) != 1 || rest[0] != d || s.giveBack(c) != engine.ErrClosed || s.add(a) != engine.ErrClosed {
		t.Error("closed")
	}
}

// A queue of deliveries keeps order and count however pushes and pops follow each other, and does not grow while it is
// emptied as fast.
func TestDeliveries(t *testing.T) {
	var d deliveries
	in, out, bytes := uint64(0), uint64(0), 0
	for step := range 10_000 {
		for range step % 7 {
			in++
			d.push(Message{Seq: in, Payload: make([]byte, in%5)})
			bytes += int(in % 5)
		}
		for range min(d.len(), (step+3)%8) {
			out++
			if got := d.queue[d.next].Seq; got != out {
				t.Fatalf("step %d: got %d, want %d", step, got, out)
			}
			bytes -= len(d.queue[d.next].Payload)
			d.pop()
		}
		if d.len() != int(in-out) || d.bytes != bytes {
			t.Fatalf("step %d: %d in %d bytes, want %d in %d", step, d.len(), d.bytes, in-out, bytes)
		}
	}
	if cap(d.queue) > 64 {
		t.Errorf("room for %d", cap(d.queue))
	}
}

// A score grows with what is broken and is forgiven with time, never below nothing.
func TestScore(t *testing.T) {
	p := peer{}
	for _, step := range []struct {
		at     time.Duration
		weight int
		want   int
	}{{0, 16, 16}, {30 * time.Second, 8, 24}, {150 * time.Second, 1, 23}, {time.Hour, 1, 1}, {time.Hour, 31, 32}} {
		if got := p.charge(step.at, step.weight); got != step.want {
			t.Errorf("at %v: %d, want %d", step.at, got, step.want)
		}
	}
}
