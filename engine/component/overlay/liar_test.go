package overlay_test

import (
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/component/overlay"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/internal/wire"
	"github.com/carrier-p2p/carrier/skad"
)

// seal returns an envelope as the component would make it, signed by id.
func seal(id *identity.Identity, domain string, kind byte, number uint64, key skad.ID, payload string) []byte {
	public, solution, name := id.PublicKey(), id.Solution(), key.Identity()
	signed := append([]byte{kind}, name[:]...)
	signed = wire.AppendUint64(signed, number)
	signature := id.Sign(domain, append(signed, payload...))
	b := append([]byte{kind}, public[:]...)
	b = append(b, solution[24:]...)
	b = wire.AppendUint64(b, number)
	b = append(b, signature[:]...)
	return append(b, payload...)
}

const domain = "carrier/1 routed carrier"

// inject has n route a payload of the test's making.
func (w *world) inject(n *node, key skad.ID, payload []byte) {
	w.Helper()
	err := n.disc.Do(func(now time.Duration, core *skad.Core) {
		if _, err := core.Route(now, key, payload, 1); err != nil {
			w.Error(err)
		}
	})
	if err != nil {
		w.Fatal(err)
	}
	w.Pass(3 * time.Second)
}

// What nobody has signed, what somebody has signed for another key or network, and what is no envelope at all is dropped
// and counted where its way ends, is delivered nowhere, and costs nobody his place; the same bytes, unspoilt, are taken.
func TestForgedEnvelopes(t *testing.T) {
	w := simWorld(t, 5)
	w.swarm(20, 0)
	liar, to := w.nodes[4], w.nodes[9]
	id, key := w.key(4), to.name()
	count := func() overlay.Stats { return to.over.Stats() }
	for _, x := range []struct {
		name    string
		payload []byte
		counted func(overlay.Stats) uint64
	}{
		{"signature", func() []byte { b := seal(id, domain, 2, 1, key, "lie"); b[60] ^= 1; return b }(), func(s overlay.Stats) uint64 { return s.Forged }},
		{"payload", func() []byte { b := seal(id, domain, 2, 1, key, "lie"); b[len(b)-1] ^= 1; return b }(), func(s overlay.Stats) uint64 { return s.Forged }},
		{"another's name", func() []byte {
			b := seal(id, domain, 2, 1, key, "lie")
			other := w.nodes[5].Record().PublicKey
			copy(b[1:], other[:])
			return b
		}(), func(s overlay.Stats) uint64 { return s.Forged }},
		{"another network", seal(id, "carrier/1 routed elsewhere", 2, 1, key, "lie"), func(s overlay.Stats) uint64 { return s.Forged }},
		{"another key", seal(id, domain, 2, 1, w.nodes[5].name(), "lie"), func(s overlay.Stats) uint64 { return s.Forged }},
		{"no envelope", []byte("lie"), func(s overlay.Stats) uint64 { return s.Malformed }},
	} {
		before := x.counted(count())
		w.inject(liar, key, x.payload)
		if got := x.counted(count()); got != before+1 {
			t.Errorf("%s: counted %d times: %+v", x.name, got-before, count())
		}
	}
	w.inject(liar, key, seal(id, domain, 3, 1, key, "")) // a receipt for nothing
	if got := to.messages(); len(got) != 0 || count().Receipts != 0 {
		t.Errorf("delivered %+v, %+v", got, count())
	}
	w.inject(liar, key, seal(id, domain, 2, 1, key, "truth"))
	if got := to.messages(); len(got) != 1 || string(got[0].Payload) != "truth" {
		t.Errorf("the honest one: %+v", got)
	}
	for i, n := range w.nodes {
		if s := n.disc.Stats(); s.Core.Bans != 0 {
			t.Errorf("node %d has banned somebody for what he could not see: %+v", i, s)
		}
	}
}

// Who sends an old message of somebody again, under new numbers of the core, does not have it delivered again; a receipt
// that a third node writes ends nobody's wait.
func TestReplayedEnvelopes(t *testing.T) {
	w := simWorld(t, 6)
	w.swarm(20, 0)
	liar, to, victim := w.nodes[4], w.nodes[9], w.nodes[12]
	old := seal(w.key(12), domain, 2, 77, to.name(), "pay me")
	for range 5 {
		w.inject(liar, to.name(), old)
	}
	if got, s := to.messages(), to.over.Stats(); len(got) != 1 || got[0].Origin != victim.ID() || s.Duplicates != 4 {
		t.Errorf("delivered %d times, %+v", len(got), s)
	}
	to.full = true
	done := false
	if err := victim.over.SendToAsync(to.ID(), []byte("did it arrive?"), func(error) { done = true }); err != nil {
		t.Fatal(err)
	}
	for number := range uint64(5) {
		w.inject(liar, victim.name(), seal(w.key(4), domain, 3, number+1, victim.name(), ""))
	}
	if done {
		t.Error("a stranger's receipt was believed")
	}
}

// A message for a node that is in nobody's table and connected with nobody ends, counted, at the closest; what one node
// sends beyond its share of the relays is refused, and others are served.
func TestUndeliverable(t *testing.T) {
	w := simWorld(t, 7)
	w.swarm(20, 0)
	a, nobody := w.nodes[3], w.Key(999).ID()
	done := make(chan error, 1)
	if err := a.over.SendToAsync(nobody, []byte("hello?"), func(err error) { done <- err }); err != nil {
		t.Fatal(err)
	}
	w.Until("it to be given up", func() bool { return len(done) == 1 })
	if err := <-done; err == nil {
		t.Error("acknowledged by nobody")
	}
	sum := uint64(0)
	for _, n := range w.nodes {
		sum += n.over.Stats().Undeliverable
	}
	if sum == 0 {
		t.Error("not counted anywhere")
	}
	for i := range 300 {
		if err := a.over.RouteAsync(overlay.KeyOf(string(rune(i))), nil, func(error) {}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.send(w.nodes[5], w.nodes[6], "meanwhile"); err != nil {
		t.Errorf("another node's message: %v", err)
	}
}
