package skad

import (
	"time"

	"github.com/carrier-p2p/carrier/opcode"
)

// A callKind says what a question is for.
type callKind uint8

const (
	callPing   callKind = iota // is a member still there?
	callProbe                  // is a contact there that might become one?
	callLookup                 // owner is the lookup, path its path
	callRoute                  // owner is the relay
	callRecord                 // what is your record?
)

// answerOp is the opcode of the answer, by callKind.
var answerOp = [...]opcode.Opcode{opcode.PongCode, opcode.PongCode, opcode.LookupNodeResponseCode, opcode.RouteAckCode, opcode.RecordCode}

// noOwner is the owner of a question whose answer tells nothing but that the other side lives.
const noOwner = 0xffff

// A call is an open question. Its number is in the low bits of its nonce; the rest of the nonce is random.
type call struct {
	nonce   uint64 // 0: the call is free
	sentAt  time.Duration
	slot    uint16
	owner   uint16
	kind    callKind
	path    uint8
	count   uint8 // contacts asked for
	dialing bool  // waits for a connection; the time until then is no round trip
	failing bool  // see failCalls
	parted  bool  // the session ended in order
}

// A lateCall remembers a question that timed out.
type lateCall struct {
	nonce  uint64
	sentAt time.Duration
	word   uint64 // first word of the ID that was asked
	kind   callKind
	count  uint8 // contacts asked for
}

const callBits = 10 // of the nonce; 2^10 is callLimit

var _ = [1]struct{}{}[callLimit-1<<callBits]

// ask sends m to d as a question. It reports false if a limit stands in the way.
func (c *Core) ask(d *Contact, kind callKind, owner uint16, path uint8, m Message) bool {
	if c.callsFull() {
		c.count(Busy)
		return false
	}
	i := c.acquire(d)
	if i == 0 {
		c.count(Busy)
		return false
	}
	return c.askSlot(i, d, kind, owner, path, m)
}

func (c *Core) callsFull() bool { return len(c.callFree) == 0 && len(c.calls) >= callLimit }

// askSlot is ask for a contact whose slot is known.
func (c *Core) askSlot(i uint16, d *Contact, kind callKind, owner uint16, path uint8, m Message) bool {
	if c.slots[i].refs == 255 || c.callsFull() {
		c.count(Busy)
		return false
	}
	var k uint16
	if n := len(c.callFree); n > 0 {
		k, c.callFree = c.callFree[n-1], c.callFree[:n-1]
	} else {
		k = uint16(len(c.calls))
		c.calls = append(roomy(c.calls), call{})
	}
	m.Nonce = c.nonce()<<callBits | uint64(k)
	if kind == callLookup {
		if l := c.lookups[owner]; l.purpose != forUser {
			q, _, _ := l.path(path)
			m.Payload = c.known(m.Nonce, &l.key, l.ask, q.list)
		}
	}
	c.calls[k] = call{nonce: m.Nonce, sentAt: c.now, slot: i, owner: owner, kind: kind, path: path, count: m.Count}
	c.slots[i].refs++
	c.due.set(k, c.now+c.timeout(i))
	c.stats.Asked++
	c.send(d, m)
	return true
}

// nonce returns a random number that is not zero.
func (c *Core) nonce() uint64 {
	for {
		if n := c.rnd.Uint64(); n<<callBits != 0 {
			return n
		}
	}
}

// closeCall ends a call and returns what it was. The caller takes back the reference to its slot.
func (c *Core) closeCall(k uint16) call {
	was := c.calls[k]
	c.calls[k] = call{}
	c.callFree = append(roomy(c.callFree), k)
	c.due.stop(k)
	return was
}

// match returns the open call that m, of that sender, answers.
func (c *Core) match(from *Contact, m *Message) (k uint16, ok bool) {
	k = uint16(m.Nonce & (callLimit - 1))
	if m.Nonce == 0 || int(k) >= len(c.calls) {
		return 0, false
	}
	q := &c.calls[k]
	return k, q.nonce == m.Nonce && answerOp[q.kind] == m.Op && c.slots[q.slot].contact.ID == from.ID
}

// answered takes the answer to a question.
func (c *Core) answered(from Peer, m *Message) {
	k, ok := c.match(from.Contact, m)
	if !ok {
		c.unasked(from, m)
		return
	}
	was := c.closeCall(k)
	c.stats.Answered++
	i := was.slot
	if !was.dialing {
		c.measure(i, c.now-was.sentAt)
	}
	if was.kind == callLookup && len(m.Contacts) > int(was.count) {
		c.blame(c.slots[i].contact, TooLong)
		m = nil
	}
	c.alive(i, from.Reached)
	d := c.slots[i].contact
	switch was.kind {
	case callProbe:
		c.probed()
	case callLookup:
		c.lookupAnswered(was, d, m, false)
	case callRoute:
		c.relayAnswered(was.owner, d, !m.Refused)
	case callRecord:
		c.replaced(d, m.Contacts[0])
		c.emit(Action{Kind: ActionRecord, To: c.slots[i].contact})
	}
	c.slots[i].refs-- // only now: the slot must outlast whatever the answer has brought about
	c.tidy(i)
}

// unasked tells a late answer from one that nobody has asked for.
func (c *Core) unasked(from Peer, m *Message) {
	for k := range c.late {
		if q := &c.late[k]; q.nonce == m.Nonce && m.Nonce != 0 && q.word == from.ID[0] && answerOp[q.kind] == m.Op {
			was := *q
			q.nonce = 0
			c.answeredLate(&was, from, m)
			return
		}
	}
	c.blame(from.Contact, Unasked)
}

// answeredLate takes an answer that whoever has asked waits for no more. It is as good a proof of life as one in time, and
// says how long to wait for the next; and whom it mentions may be new to the table. On a host that has too much to do most
// answers are late, and nodes that join there would have to wait until it has not.
func (c *Core) answeredLate(was *lateCall, from Peer, m *Message) {
	c.count(Late)
	i := c.find(&from.ID)
	if i == 0 && c.fit(from.Contact) && c.wanted(from.Contact) {
		i = c.acquire(from.Contact)
	}
	if i == 0 || c.slots[i].refs == 255 {
		return
	}
	c.slots[i].refs++ // it must outlast whatever the answer brings about
	c.measure(i, c.now-was.sentAt)
	c.alive(i, from.Reached)
	if was.kind == callLookup && len(m.Contacts) <= int(was.count) {
		c.mentions(c.slots[i].contact, m.Contacts, nil, nil, 0)
	}
	c.slots[i].refs--
	c.tidy(i)
}

// alive notes that slot i has answered.
func (c *Core) alive(i uint16, reached bool) {
	s := &c.slots[i]
	c.lastAt = c.now
	s.misses, s.verifiedAt = 0, tickOf(c.now)
	s.marks &^= isBroken
	s.score -= min(s.score, answerWorth)
	if !s.has(isVerified) {
		s.marks |= isVerified
		s.firstAt = s.verifiedAt
	}
	switch {
	case s.has(isMember):
		c.nextPing(i)
	case reached:
		c.unspare(i)
		c.settle(i)
	default:
		c.count(Unreached)
	}
}

// timedOut ends a call that was not answered in time.
func (c *Core) timedOut(k uint16) {
	q := &c.calls[k]
	l := lateCall{q.nonce, q.sentAt, c.slots[q.slot].contact.ID[0], q.kind, q.count}
	if len(c.late) < lateLimit {
		c.late = append(roomy(c.late), l)
	} else {
		c.late[c.lateNext] = l
		c.lateNext = (c.lateNext + 1) % lateLimit
	}
	c.failed(k)
}

// failed ends a call without an answer.
func (c *Core) failed(k uint16) {
	was := c.closeCall(k)
	c.stats.Missed++
	d := c.slots[was.slot].contact
	c.slots[was.slot].refs--
	c.missed(was.slot, was.kind, c.lastAt >= was.sentAt)
	switch was.kind {
	case callProbe:
		c.probed()
	case callLookup:
		c.lookupAnswered(was, d, nil, was.parted || !was.dialing && !was.failing)
	case callRoute:
		c.relayAnswered(was.owner, d, false)
	}
	if i := c.find(&d.ID); i != 0 {
		c.tidy(i)
	}
}

// missed notes that slot i did not answer. A member is pinged once more at once, and from then on only pings count, so
// that several questions lost together are one miss. It loses its place only if somebody else has answered since the
// last question to it: when nobody does it is we who are offline, and throwing away the table would make that
// permanent. So that there is somebody, a witness is pinged along with it, whoever has answered before. A refused dial is
// known before the witness can answer; then the next ping, soon after, is judged by whoever has answered meanwhile.
func (c *Core) missed(i uint16, kind callKind, online bool) {
	s := &c.slots[i]
	if !s.has(isMember) {
		c.missedSpare(i)
		return
	}
	switch {
	case s.misses == 0:
		s.misses = 1
		c.ping(i)
		c.pingWitness(i)
	case kind != callPing:
		// the ping will tell
	case online || s.misses == 2 && c.lastAt > c.doubtAt:
		c.drop(i)
	default:
		if s.misses == 1 {
			s.misses, c.doubtAt = 2, c.now
		} else {
			c.pingWitness(i)
		}
		silent := c.now - max(c.lastAt, c.doubtAt)
		c.wake.set(i, tickOf(c.now+max(missedPingLeast, min(c.cfg.PingMost, silent))))
	}
}

// missedSpare is missed for a contact outside the table.
func (c *Core) missedSpare(i uint16) {
	s := &c.slots[i]
	s.misses = min(s.misses, 254) + 1
	if !s.has(inSpares) || s.has(isLost) && s.misses < lostMisses {
		return
	}
	prefix, lost := c.prefixOf(s.contact), s.has(isVerified) && !s.has(isLost)
	c.unspare(i)
	if lost {
		s.marks |= isLost
		c.spare(i)
	}
	c.refill(prefix)
}

// pingWitness pings the member other than i that answered last.
func (c *Core) pingWitness(i uint16) {
	best := uint16(0)
	for _, j := range c.members {
		if s := &c.slots[j]; j != i && s.refs == 0 && s.misses == 0 && !s.has(isBroken) && (best == 0 || s.verifiedAt > c.slots[best].verifiedAt) {
			best = j
		}
	}
	if best != 0 {
		c.ping(best)
	}
}

// ping asks a member for a sign of life.
func (c *Core) ping(i uint16) {
	c.wake.stop(i)
	if s := &c.slots[i]; s.refs > 0 || !c.askSlot(i, s.contact, callPing, noOwner, 0, Message{Op: opcode.PingCode}) {
		c.wake.set(i, tickOf(c.now+time.Second)) // something is under way already
	}
}

// failCalls fails every open question to id; parted says that the session with it has ended in order. Those that are asked
// because of it stay open.
func (c *Core) failCalls(id *ID, parted bool) {
	i := c.find(id)
	if i == 0 || c.slots[i].refs == 0 {
		return
	}
	for k := range c.calls {
		q := &c.calls[k]
		q.failing = q.nonce != 0 && q.slot == i
		q.parted = q.failing && parted
	}
	for k := range c.calls {
		if c.calls[k].failing {
			c.failed(uint16(k))
		}
	}
}

// dialing gives every open question to id the time of a dial.
func (c *Core) dialing(id *ID) {
	i := c.find(id)
	for k := range c.calls {
		if q := &c.calls[k]; i != 0 && q.nonce != 0 && q.slot == i && !q.dialing {
			q.dialing = true
			c.due.set(uint16(k), c.now+dialTimeout)
		}
	}
}

// dialled restarts the clock of the questions to slot i that waited for a connection.
func (c *Core) dialled(i uint16) {
	for k := range c.calls {
		if q := &c.calls[k]; q.nonce != 0 && q.slot == i && q.dialing {
			q.dialing, q.sentAt = false, c.now
			c.due.set(uint16(k), c.now+c.timeout(i))
		}
	}
}
