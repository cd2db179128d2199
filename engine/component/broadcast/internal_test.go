package broadcast

import (
	"errors"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/opcode"
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
	if err := b.message(one, opcode.BroadcastHaveCode, []byte("short")); !errors.Is(err, spread.ErrMessage) || len(b.filling.items) != 0 {
		t.Fatalf("nonsense: %v, %d items", err, len(b.filling.items))
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
	if b.put(item{kind: up}); b.swap(newBatch()) != nil {
		t.Error("a closed inbox takes something")
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
