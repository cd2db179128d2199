package spread

import (
	"time"

	"github.com/carrier-p2p/carrier/skad"
)

// An entry is a message that was here.
type entry struct {
	id     MessageID
	at     time.Duration // when it came
	seq    uint64
	origin originRef
	held   *held // nil: only remembered
}

// A held is what is kept of a message for as long as others may need it from us.
type held struct {
	msg    Message // Payload is ours and never changed
	hop    uint8   // hops from the origin to us
	rounds uint8   // of repair, to go
	sent   []delegation
	offers []offer
}

// A delegation says that a contact was given the message with the duty for its half of a bucket's span.
type delegation struct {
	to     *skad.Contact
	bucket uint8
	failed bool // could not be reached
}

// An offer says that a contact was told about the message and may ask for it, once.
type offer struct {
	to  skad.ID
	hop uint8 // what to answer with: 0 is repair
}

// size is what is counted towards heldLimit.
func (h *held) size() int { return len(h.msg.Payload) + heldCost }

// takeOffer removes the offer to a peer, and reports whether there was one.
func (h *held) takeOffer(to *skad.ID) (o offer, ok bool) {
	for i := range h.offers {
		if o = h.offers[i]; o.to == *to {
			h.offers[i] = h.offers[len(h.offers)-1]
			h.offers = h.offers[:len(h.offers)-1]
			return o, true
		}
	}
	return offer{}, false
}

// A cache holds entries in the order in which they came, which is also the order in which they expire. They have
// consecutive numbers.
//
//	first ────────── heldFrom ────────── dueFrom ────────── next
//	 only ids         payloads            and rounds of repair
//
// Behind heldFrom and dueFrom there may be entries without a payload, or without rounds; before them there are none
// with.
//
// Invariant: index holds exactly the numbers from first to next. A pointer to an entry is good until the next add or
// pop.
type cache struct {
	ring     []entry // length 0 or a power of two
	index    map[MessageID]uint64
	first    uint64
	heldFrom uint64
	dueFrom  uint64
	next     uint64
	bytes    int     // of all held
	free     []*held // let go of, for reuse; empty when nothing is held
}

func (c *cache) len() int { return int(c.next - c.first) }

// at returns entry n, first <= n < next.
func (c *cache) at(n uint64) *entry { return &c.ring[n&uint64(len(c.ring)-1)] }

// find returns the entry with that id, nil if there is none.
func (c *cache) find(id *MessageID) *entry {
	if n, ok := c.index[*id]; ok {
		return c.at(n)
	}
	return nil
}

// add appends an entry whose id is not there.
func (c *cache) add(e entry) *entry {
	if c.len() == len(c.ring) {
		c.grow()
	}
	if c.index == nil {
		c.index = make(map[MessageID]uint64)
	}
	c.index[e.id] = c.next
	c.next++
	p := c.at(c.next - 1)
	*p = e
	if e.held != nil {
		c.bytes += e.held.size()
	}
	return p
}

func (c *cache) grow() {
	ring := make([]entry, max(8, 2*len(c.ring)))
	for n := c.first; n < c.next; n++ {
		ring[n&uint64(len(ring)-1)] = *c.at(n)
	}
	c.ring = ring
}

// pop forgets the oldest entry.
func (c *cache) pop() {
	e := c.at(c.first)
	c.release(e)
	delete(c.index, e.id)
	*e = entry{}
	c.first++
	c.heldFrom = max(c.heldFrom, c.first)
	c.dueFrom = max(c.dueFrom, c.first)
	if c.len() == 0 && len(c.ring) > ringKept { // a burst is over
		c.ring, c.index = nil, nil
	}
}

// release lets go of what an entry holds.
func (c *cache) release(e *entry) {
	h := e.held
	if h == nil {
		return
	}
	c.bytes -= h.size()
	e.held = nil
	if c.bytes == 0 {
		c.free = nil
	} else if len(c.free) < freeKept {
		clear(h.sent) // contacts
		*h = held{sent: h.sent[:0], offers: h.offers[:0]}
		c.free = append(c.free, h)
	}
}

// newHeld returns an empty one.
func (c *cache) newHeld() *held {
	n := len(c.free)
	if n == 0 {
		return &held{}
	}
	h := c.free[n-1]
	c.free[n-1] = nil
	c.free = c.free[:n-1]
	return h
}

// releaseOldest lets go of the oldest payload there is.
func (c *cache) releaseOldest() {
	for c.heldFrom < c.next {
		e := c.at(c.heldFrom)
		c.heldFrom++
		c.dueFrom = max(c.dueFrom, c.heldFrom)
		if e.held != nil {
			c.release(e)
			return
		}
	}
}

// oldestHeld returns the oldest entry with a payload, nil if there is none.
func (c *cache) oldestHeld() *entry {
	for ; c.heldFrom < c.next; c.heldFrom++ {
		if e := c.at(c.heldFrom); e.held != nil {
			return e
		}
	}
	c.dueFrom = max(c.dueFrom, c.heldFrom)
	return nil
}

// oldestDue returns the number of the oldest entry with rounds of repair to go; false if there is none.
func (c *cache) oldestDue() (n uint64, ok bool) {
	for ; c.dueFrom < c.next; c.dueFrom++ {
		if h := c.at(c.dueFrom).held; h != nil && h.rounds > 0 {
			return c.dueFrom, true
		}
	}
	return 0, false
}
