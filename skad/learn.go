package skad

import (
	"time"

	"github.com/carrier-p2p/carrier/opcode"
)

// How a contact gets into the table (the paper's classes, section 4.3):
//
//	mentioned   a record in an answer                     puzzle, then signature checked; pinged if there is room for it
//	heard       a peer that asked us something            its key is proven by the session; pinged if there is room and it is Reached
//	verified    it answered a question of ours            gets the best free place; takes none from a live contact
//
// A contact that is not pinged because there is no room is forgotten, or, if it was heard, waits as a spare.

// A probe is a contact that waits to be pinged.
type probe struct {
	contact *Contact
	heard   bool
}

// heard takes note of a peer that has spoken to us. A member that does, from where it can be reached, is
// there: its ping has time. Nothing is planned anew for that, as it happens often; whoever is about to ping
// looks, see spoken.
func (c *Core) heard(p Peer) {
	i := c.find(&p.ID)
	if i != 0 && p.Record.Seq > c.slots[i].contact.Record.Seq {
		c.update(i, p.Contact)
		i = c.find(&p.ID)
	}
	switch {
	case i != 0 && c.slots[i].has(isMember):
		if s := &c.slots[i]; p.Reached && s.misses == 0 {
			s.verifiedAt = tickOf(c.now)
		}
	case i != 0 && !c.slots[i].has(isLost):
		// known
	case !p.Reached:
		c.count(Unreached)
	case c.fit(p.Contact):
		if c.wanted(p.Contact) || i != 0 {
			c.probe(p.Contact, true)
		} else if b := c.bucketOf(c.prefixOf(p.Contact)); len(b.spares) < spareLimit { // else spare would have none of it
			if j := c.acquire(p.Contact); j != 0 {
				c.spare(j)
				c.tidy(j)
			}
		}
	}
}

// wanted reports whether there is room for d in the table.
func (c *Core) wanted(d *Contact) bool { return c.siblingRoom(d) || c.bucketRoom(d) }

// probe pings a contact that might come into the table, now or when its turn comes. Its record is genuine.
func (c *Core) probe(d *Contact, heard bool) {
	if i := c.find(&d.ID); i != 0 && c.slots[i].refs > 0 {
		return // it is being asked something; the answer will do
	}
	if c.probing < probeLimit {
		if c.ask(d, callProbe, noOwner, 0, Message{Op: opcode.PingCode}) {
			c.probing++
		}
		return
	}
	limit := probeQueueLimit
	if heard {
		limit /= 2
	}
	if len(c.queue) >= limit {
		c.count(Busy)
		return
	}
	for k := range c.queue {
		if c.queue[k].contact.ID == d.ID {
			return
		}
	}
	c.queue = append(roomy(c.queue), probe{d, heard})
}

// probed ends a probe and begins those that wait, if they are still wanted.
func (c *Core) probed() {
	c.probing--
	for len(c.queue) > 0 && c.probing < probeLimit {
		p := c.queue[0]
		copy(c.queue, c.queue[1:])
		c.queue[len(c.queue)-1] = probe{}
		if c.queue = c.queue[:len(c.queue)-1]; len(c.queue) == 0 {
			c.queue = nil
		}
		if i := c.find(&p.contact.ID); (i == 0 || !c.slots[i].has(isMember)) && c.fit(p.contact) && c.wanted(p.contact) {
			c.probe(p.contact, p.heard)
		}
	}
}

// genuine checks a record that by has mentioned, puzzle before signature, and holds it against by if it is not.
func (c *Core) genuine(d, by *Contact) bool {
	if c.cfg.Verifier.Puzzle(d) != nil {
		c.blame(by, BadPuzzle)
		return false
	}
	return c.signed(d, by)
}

// signed is the dear half of genuine.
func (c *Core) signed(d, by *Contact) bool {
	if c.cfg.Verifier.Signature(d) != nil {
		c.blame(by, BadSignature)
		return false
	}
	return true
}

// mentioned checks a contact that by has put into an answer, and returns the contact to use: the one we hold, if it is
// as new, so that equal records are one in memory. checked says that its signature is known to be good. nil: it is of
// no use.
func (c *Core) mentioned(d, by *Contact) (use *Contact, checked bool) {
	switch {
	case d == nil || d.ID == c.self.ID || c.banned(&d.ID):
		return nil, false
	case d.Client():
		c.blame(by, ClientNode)
		return nil, false
	case len(d.Addrs) == 0:
		c.blame(by, PrivateAddr)
		return nil, false
	}
	if i := c.find(&d.ID); i != 0 {
		use = c.mentionedAgain(i, d, by)
		if i = c.find(&d.ID); i != 0 && c.slots[i].has(isLost) { // lost to us, but not to others
			c.probe(c.slots[i].contact, false)
		}
		return use, true
	}
	if c.cfg.Verifier.Puzzle(d) != nil {
		c.blame(by, BadPuzzle)
		return nil, false
	}
	if !c.wanted(d) {
		return d, false
	}
	if !c.signed(d, by) {
		return nil, false
	}
	c.probe(d, false)
	return d, true
}

// mentionedAgain is mentioned for a contact that we hold in slot i. A newer record takes the place of ours; any other
// is of no use, and if it is neither ours nor an older one somebody has made it up.
func (c *Core) mentionedAgain(i uint16, d, by *Contact) *Contact {
	have := c.slots[i].contact
	switch {
	case have.sameRecord(d):
	case d.Record.Seq < have.Record.Seq:
		c.blame(by, Stale)
	case !c.genuine(d, by):
		return c.stillKnown(have)
	case d.Record.Seq > have.Record.Seq:
		c.update(i, d)
		return d
	}
	return c.stillKnown(have)
}

// stillKnown returns have, unless what was just blamed on others has cost it its place.
func (c *Core) stillKnown(have *Contact) *Contact {
	if c.banned(&have.ID) {
		return nil
	}
	return have
}

// replaced takes a record that from has sent about itself, checked before anything is changed.
func (c *Core) replaced(from, d *Contact) {
	if d.ID != from.ID {
		c.blame(from, Foreign)
		return
	}
	if i := c.find(&d.ID); i != 0 && d.Record.Seq > c.slots[i].contact.Record.Seq && c.genuine(d, from) {
		c.update(i, d)
	}
}

// update takes a newer, genuine record of the contact in slot i. If it says the same about addresses the contact keeps
// its place; else it has to earn it again, because the limits per IP group have counted the old ones.
func (c *Core) update(i uint16, d *Contact) {
	s := &c.slots[i]
	same := s.contact.groups == d.groups && s.contact.Client() == d.Client() && len(d.Addrs) > 0
	c.view = nil
	if same || !s.has(isPlaced) {
		s.contact = d
		return
	}
	prefix := c.prefixOf(d)
	c.expel(i)
	s.contact = d
	s.marks &^= isVerified
	if c.fit(d) && c.wanted(d) {
		c.probe(d, true)
	}
	c.tidy(i)
	c.refill(prefix)
}

// recordReceived answers or takes a record message.
func (c *Core) recordReceived(from Peer, m *Message) {
	switch {
	case len(m.Contacts) == 0:
		c.heard(from)
		c.send(from.Contact, Message{Op: opcode.RecordCode, Nonce: m.Nonce, Contacts: c.answer(c.self)})
	case m.Nonce != 0:
		c.answered(from, m)
	default:
		c.heard(from)
		c.replaced(from.Contact, m.Contacts[0])
	}
}

// AskRecord asks a contact for its own record, which replaces what the table has if it is newer. An ActionRecord follows if
// the contact answers. ErrBusy if too much is
// being asked already.
func (c *Core) AskRecord(now time.Duration, to *Contact) error {
	c.begin(now)
	defer c.end()
	if !c.ask(to, callRecord, noOwner, 0, Message{Op: opcode.RecordCode}) {
		return ErrBusy
	}
	return nil
}
