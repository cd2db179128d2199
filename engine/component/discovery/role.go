package discovery

import (
	"time"

	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/skad"
)

// Path: Network.Readvertise -> [renew] -> Record to the peers -> [renewed] -> their tables.
//
// A node becomes a client or a server while it runs: an operator or component/reach says so in its record. Those who are not
// told find out by themselves: a dial in vain, the next handshake, or the node's own questions.

// renew makes a new record of this node the core's, which tells the siblings. If it says that the node is a client now, or a
// server, everybody who is connected has to know: it may have this node in its table, or could.
func (c *Component) renew(now time.Duration, rec *identity.Record) {
	turned := (rec.Flags^c.record.Flags)&identity.FlagClient != 0
	c.record = rec
	c.core.SetSelf(now, skad.NewContact(*rec, c.cfg.Overlay.Scope))
	if !turned {
		return
	}
	c.told = len(c.all)
}

// tellNext shows the next session the new record, and reports whether there was one. From the last to the first, and an end
// moves the last into its place: so nobody is left out, and there may be thousands of them.
func (c *Component) tellNext(now time.Duration) bool {
	c.told = min(c.told, len(c.all))
	if c.told == 0 {
		return false
	}
	c.told--
	c.introduce(now, c.all[c.told])
	return true
}

// introduce shows a peer this node's record.
func (c *Component) introduce(now time.Duration, s *session) {
	m := skad.Message{Op: opcode.RecordCode, Contacts: []*skad.Contact{c.core.Self()}}
	c.room = m.Append(c.room[:0])
	c.send(now, s, m.Op, false)
}

// renewed takes note of a newer record that a peer shows of itself: whether it is a client, and whether it comes from an
// address that it lists, is what that says. The core looks at the record too, and holds against the peer what is wrong with it.
func (c *Component) renewed(s *session, m *skad.Message) {
	if m.Op != opcode.RecordCode || len(m.Contacts) == 0 {
		return
	}
	d := m.Contacts[0]
	if d.ID == s.contact.ID && d.Record.Seq > s.contact.Record.Seq && c.verifier.Signature(d) == nil {
		s.shows(d)
	}
}
