package discovery_test

import (
	"slices"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/component/discovery"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/skad"
)

// become has a node say that it is a client, or that it is none any more.
func (w *world) become(n *node, client bool) {
	w.Helper()
	if err := n.Readvertise(func(have *identity.Record) ([]transport.Addr, identity.Flags) {
		if client {
			return have.Addrs, have.Flags | identity.FlagClient
		}
		return have.Addrs, have.Flags &^ identity.FlagClient
	}); err != nil {
		w.Fatal(err)
	}
}

// having counts the nodes that have n in their tables.
func (w *world) having(n *node) (count int) {
	for _, other := range w.alive() {
		if other != n && slices.ContainsFunc(other.View().Closest(skad.IDOf(n.ID()), 1, nil), func(c *skad.Contact) bool { return c.ID == skad.IDOf(n.ID()) }) {
			count++
		}
	}
	return count
}

// A node that becomes a client while it runs leaves the tables of all who are connected with it, and comes back into them
// when it becomes a server. As a client it finds others all the same.
func TestRoleChanges(t *testing.T) {
	worlds(t, func(w *world, count int) {
		count /= 2
		const siblings = 4 // these the core tells by itself
		w.swarm(count, setting{disc: func(c *discovery.Config) { c.Overlay.Siblings, c.Overlay.Eta = siblings, 1 }})
		n := w.nodes[count/2]
		w.Until("everybody to know the node", func() bool { return w.having(n) == count-1 })
		w.become(n, true)
		w.Until("nobody to have it in its table", func() bool { return w.having(n) == 0 })
		k := randomKey(7)
		if r := w.lookup(n, k, skad.LookupOptions{}); !slices.Equal(ids(r.Closest), w.nearest(k, n, siblings)) {
			t.Errorf("as a client it found %v", ids(r.Closest))
		}
		if r := w.lookup(w.nodes[0], skad.IDOf(n.ID()), skad.LookupOptions{}); slices.Contains(ids(r.Closest), skad.IDOf(n.ID())) {
			t.Error("a client was handed out")
		}
		w.become(n, false)
		w.Until("everybody to have it again", func() bool { return w.having(n) == count-1 })
		for _, n := range w.nodes {
			if s := n.Stats(); s.Core.Bans != 0 || s.Malformed+s.Unasked+s.Flood+s.Overrun != 0 {
				t.Errorf("honest nodes were blamed: %v", describe(n))
			}
		}
	})
}

// A peer that has come in as a client from an address that it did not list earns its place with the record that lists it;
// somebody else's record, an older one and a forged one earn nothing.
func TestNewerRecord(t *testing.T) {
	w := simWorld(t, 3)
	n := w.node(setting{})
	p := w.Node()
	id := w.Key(2)
	if id.ID() != p.ID() {
		t.Fatal("another identity")
	}
	old := *p.Record()
	if err := p.Advertise(nil, identity.FlagClient); err != nil {
		t.Fatal(err)
	}
	peer := w.Dial(p, n.Network)
	push := func(r identity.Record) {
		t.Helper()
		m := skad.Message{Op: opcode.RecordCode, Contacts: []*skad.Contact{skad.NewContact(r, skad.Private)}}
		if err := peer.TrySendRaw(m.Op, m.Append(nil)); err != nil {
			t.Fatal(err)
		}
		w.Pass(5 * time.Second)
	}
	sign := func(by *identity.Identity, later uint64) identity.Record {
		r, err := by.NewRecord(p.Addrs(), p.Record().Seq+later, 0)
		if err != nil {
			t.Fatal(err)
		}
		return *r
	}
	forged := sign(id, 1)
	forged.Signature[3] ^= 1
	for name, r := range map[string]identity.Record{"old": old, "another's": sign(w.Key(77), 1), "forged": forged} {
		if push(r); n.View().Len() != 0 {
			t.Fatalf("%s: it is in the table", name)
		}
	}
	push(sign(id, 2))
	if n.View().Len() != 1 {
		t.Errorf("it shows where it can be reached and is not in the table: %v", describe(n))
	}
}
