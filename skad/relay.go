package skad

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// A relay is a routed message, or one copy of it, on its way through this node: kept until the next hop has taken it
// over.
//
//	arrived ──▶ ask the contact closest to the key that is closer than we are ──ack──▶ gone
//	                 ▲                                   └──refused, silence──┐
//	                 └───────────────the next closest, if there is one────────┤
//	                                                                          └──none left: we are the closest alive: deliver
//
// Every hop is strictly closer to the key than the one before, so a message cannot go round in circles.
type relay struct {
	index uint16
	msg   Message // as it goes out; Payload is ours
	from  *Contact
	tried []ID
	own   bool // sent by this node
	last  bool // goes to the node that is its key, and to nobody else
}

// Route sends payload towards the live node closest to key, over the overlay: every hop takes it over from the one
// before. copies go out over distinct first hops, so that one node that drops what it took over does not stop them; 0
// means 1. Whoever receives it sees it once, and can answer with Route to the origin's ID. payload is copied. It
// returns the number under which ActionRouted reports each copy. If this node is the closest itself, an ActionDeliver
// follows. Errors are ErrBusy, or wrap ErrOptions.
func (c *Core) Route(now time.Duration, key ID, payload []byte, copies int) (route uint64, err error) {
	c.begin(now)
	defer c.end()
	copies = max(copies, 1)
	if copies > RouteCopyLimit || len(payload) > RoutePayloadLimit {
		return 0, fmt.Errorf("%w: %d copies (limit %d) of %d bytes (limit %d)", ErrOptions, copies, RouteCopyLimit, len(payload), RoutePayloadLimit)
	}
	if c.relayed+copies > relayLimit || c.relayBytes+copies*len(payload) > relayBytesLimit {
		c.count(Busy)
		return 0, ErrBusy
	}
	m := Message{Op: opcode.RouteCode, Route: c.nonce(), Origin: c.self.ID, Key: key, TTL: RouteTTL - 1, Payload: append([]byte(nil), payload...)}
	for i := range copies {
		m.Copy = uint8(i)
		r := c.keep(m, nil)
		r.own = true
		if !c.forward(r) {
			break // no more first hops: as many copies as there are ways, and none if we are the closest
		}
	}
	return m.Route, nil
}

// Hand gives a message to the node that is its key, over a session that the caller knows of: a client, or a node whose
// address nobody can dial, is in nobody's table, so its messages end at its neighbours. m is an ActionDeliver's, of which
// the payload is copied, or an own one with Key and Payload. ErrBusy if too much is under way; if the node does not take
// it over the message is lost.
func (c *Core) Hand(now time.Duration, m *Message, to *Contact) error {
	c.begin(now)
	defer c.end()
	if m.Key != to.ID || len(m.Payload) > RoutePayloadLimit {
		return fmt.Errorf("%w: a message of %d bytes for %v, handed to %v", ErrOptions, len(m.Payload), m.Key, to.ID)
	}
	if c.relayed == relayLimit || c.relayBytes+len(m.Payload) > relayBytesLimit {
		c.count(Busy)
		return ErrBusy
	}
	next := Message{Op: opcode.RouteCode, Route: m.Route, Origin: m.Origin, Key: m.Key, Copy: m.Copy, Payload: append([]byte(nil), m.Payload...)}
	if next.Route == 0 {
		next.Route, next.Origin = c.nonce(), c.self.ID
	}
	r := c.keep(next, nil)
	r.last = true
	if !c.ask(to, callRoute, r.index, 0, next) {
		c.gone(r)
		return ErrBusy
	}
	return nil
}

// routed takes a message from the hop before.
func (c *Core) routed(from Peer, m *Message) {
	ack := Message{Op: opcode.RouteAckCode, Nonce: m.Nonce}
	mark := copyMark(m)
	switch {
	case c.passed(mark):
		c.count(Seen) // the ack to the first may have been lost
	case !c.relayRoom(m) || c.relayedFor(from.Contact) >= relayPeerLimit || len(m.Payload) > RoutePayloadLimit || m.Copy >= RouteCopyLimit:
		c.count(Busy)
		ack.Refused = true
	default:
		c.send(from.Contact, ack)
		c.remember(mark)
		next := *m
		next.Contacts = nil
		if next.TTL == 0 {
			next.Payload = nil // it ends here, one way or the other
		} else {
			next.TTL--
			next.Payload = append([]byte(nil), m.Payload...)
		}
		if c.closestIsSelf(&m.Key) {
			c.deliver(m, from.Contact)
		} else if m.TTL == 0 {
			c.count(Expired)
		} else {
			c.forward(c.keep(next, from.Contact))
		}
		return
	}
	c.send(from.Contact, ack)
}

// relayRoom reports whether there is room for a message of somebody else.
func (c *Core) relayRoom(m *Message) bool {
	return c.relayed < relayLimit-relayOwn && c.relayBytes+len(m.Payload) <= relayBytesLimit-relayOwnBytes
}

// closestIsSelf reports whether no contact of the table is closer to key than we are.
func (c *Core) closestIsSelf(key *ID) bool {
	var s selection
	r := (*tableRanking)(c)
	closest(r, &c.self.ID, key, 1, &s)
	return s.n == 0 || closer(key, &c.self.ID, r.id(int(s.pos[0])))
}

// keep makes a relay.
func (c *Core) keep(m Message, from *Contact) *relay {
	i := 0
	for i < len(c.relays) && c.relays[i] != nil {
		i++
	}
	if i == len(c.relays) {
		c.relays = append(roomy(c.relays), nil)
	}
	r := &relay{index: uint16(i), msg: m, from: from}
	c.relays[i] = r
	c.relayed++
	c.relayBytes += len(m.Payload)
	return r
}

// relayedFor counts the messages that one peer has given us and that are still here.
func (c *Core) relayedFor(from *Contact) (n int) {
	for _, r := range c.relays {
		if r != nil && r.from != nil && r.from.ID == from.ID {
			n++
		}
	}
	return n
}

// gone forgets a relay.
func (c *Core) gone(r *relay) {
	c.relays[r.index] = nil
	c.relayed--
	c.relayBytes -= len(r.msg.Payload)
	for n := len(c.relays); n > 0 && c.relays[n-1] == nil; n-- {
		c.relays = c.relays[:n-1]
	}
}

// forward hands a relay to the next contact, and reports whether there was one. If there is none the message has
// arrived, as far as we can tell.
func (c *Core) forward(r *relay) bool {
	var s selection
	closest((*tableRanking)(c), &c.self.ID, &r.msg.Key, CountLimit, &s)
	for d := c.nextHop(r, &s); d != nil; d = c.nextHop(r, &s) {
		r.tried = append(r.tried, d.ID)
		if c.ask(d, callRoute, r.index, 0, r.msg) {
			if r.own {
				c.remember(hopMark(&r.msg, d))
			}
			return true
		}
	}
	c.gone(r)
	if r.own && r.msg.Copy > 0 {
		c.emit(Action{Kind: ActionRouted, Message: Message{Route: r.msg.Route, Copy: r.msg.Copy}})
		return false
	}
	c.deliver(&r.msg, r.from)
	return false
}

// nextHop returns the contact to hand r to: of the closest to the key and those at most twice as far, the one
// with the shortest round trip (proximity route selection; Gummadi et al., SIGCOMM 2003). Twice the distance
// is one bit of the five that a hop gains, so hardly a message takes a hop more for it; and who wants to be
// on a way by being near us has to be close to the key as well. nil: nobody that is closer than we are is
// left.
func (c *Core) nextHop(r *relay, s *selection) (next *Contact) {
	var word uint64
	var srtt uint16
	for k, pos := range s.pos[:s.n] {
		i := &c.slots[c.members[pos]]
		switch d := i.contact; {
		case !closer(&r.msg.Key, &d.ID, &c.self.ID):
			return next
		case c.used(r, d):
		case next == nil:
			next, word, srtt = d, s.word[k], i.srtt
			if d.ID == r.msg.Key {
				return next
			}
		case s.word[k]/2 > word:
			return next
		case i.srtt != 0 && i.srtt < srtt:
			next, srtt = d, i.srtt
		}
	}
	return next
}

// used reports whether d is no next hop for r: it was tried, it gave us the message, or another copy of our own has
// taken that way.
func (c *Core) used(r *relay, d *Contact) bool {
	if r.from != nil && d.ID == r.from.ID {
		return true
	}
	for i := range r.tried {
		if r.tried[i] == d.ID {
			return true
		}
	}
	return r.own && c.seenBefore(hopMark(&r.msg, d))
}

// relayAnswered notes that d has taken a relay over, or has not.
func (c *Core) relayAnswered(owner uint16, d *Contact, taken bool) {
	r := c.relays[owner]
	if !taken && !r.last {
		c.forward(r)
		return
	}
	if r.own {
		c.emit(Action{Kind: ActionRouted, To: d, Message: Message{Route: r.msg.Route, Copy: r.msg.Copy}})
	}
	c.gone(r)
}

// deliver hands a routed message to the application, the first of its copies only.
func (c *Core) deliver(m *Message, from *Contact) {
	mark := messageMark(m)
	if c.seenBefore(mark) {
		c.count(Seen)
		return
	}
	c.remember(mark)
	out := *m
	out.Nonce, out.Contacts = 0, nil
	c.emit(Action{Kind: ActionDeliver, To: from, Message: out})
}

// Marks are what is remembered of routed messages: 64 bits of a hash over all that makes a message this one. A hop that has
// read a copy must not be able to make another message with the same mark, or it could send that ahead, and the genuine
// copies, which go other ways, would pass for seen.
func messageMark(m *Message) uint64 {
	payload := identity.Hash(m.Payload)
	var room [8 + 32 + 32 + 32]byte
	b := binary.BigEndian.AppendUint64(room[:0], m.Route)
	for _, part := range [...][32]byte{m.Origin.Identity(), m.Key.Identity(), payload} {
		b = append(b, part[:]...)
	}
	sum := identity.Hash(b)
	return binary.BigEndian.Uint64(sum[:])
}

// copyMark is for one copy of a message. Its last bits are the hops that it had left: see passed.
func copyMark(m *Message) uint64 {
	return mix(messageMark(m)+uint64(m.Copy)+1)&^hopBits | uint64(min(m.TTL, hopBits))
}

// hopBits are the bits of a copyMark that hold the hops.
const hopBits = RouteTTL - 1

var _ = [1]struct{}{}[RouteTTL&hopBits] // a power of two

// passed reports whether a copy was here with as many hops left, or more. One with fewer does not count: a hop that has read a copy
// could send all of them ahead with none left, so that they end here, and the genuine ones, which go other ways, would pass for
// seen.
func (c *Core) passed(mark uint64) bool {
	for _, s := range c.seen {
		if s|hopBits == mark|hopBits && s >= mark {
			return true
		}
	}
	return false
}

// hopMark is for an own message, whose number nobody else draws.
func hopMark(m *Message, d *Contact) uint64 { return mix(mix(m.Route) ^ mix(d.ID[0]^d.ID[3])) }

// mix is the finalizer of SplitMix64.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

func (c *Core) seenBefore(mark uint64) bool {
	for _, s := range c.seen {
		if s == mark {
			return true
		}
	}
	return false
}

func (c *Core) remember(mark uint64) {
	if len(c.seen) < seenLimit {
		c.seen = append(roomy(c.seen), mark)
		return
	}
	c.seen[c.seenNext] = mark
	c.seenNext = (c.seenNext + 1) % seenLimit
}
