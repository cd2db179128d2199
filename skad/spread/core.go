package spread

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/carrier-p2p/carrier/internal/invariant"
	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/skad"
)

// Never is the Deadline of a core that waits for nothing.
const Never = time.Duration(math.MaxInt64)

var (
	// ErrTooLarge says that a payload is above PayloadLimit.
	ErrTooLarge = errors.New("spread: payload too large")

	// ErrRate says that the node has said as much as others will pass on for it: they have the same limit, with twice
	// the burst.
	ErrRate = errors.New("spread: too much at once")
)

// A Table is where delegates come from: verified contacts by common prefix. A *skad.Core is one. It is asked during
// calls of the core only.
type Table interface {
	// Closest appends the n contacts closest to key.
	Closest(key skad.ID, n int, dst []*skad.Contact) []*skad.Contact

	// Sharing appends the contacts that share exactly prefix bits with the node's own ID, in an order that depends on
	// nothing but what is known.
	Sharing(prefix int, dst []*skad.Contact) []*skad.Contact
}

// A Core is the broadcast of one node. See the package comment for how it is driven. It belongs to one goroutine at a
// time, the one that its Table belongs to.
type Core struct {
	cfg    Config
	self   *skad.Contact
	table  Table
	rnd    *rand.Rand
	now    time.Duration
	domain string
	seq    uint64 // of the next own message

	perOrigin rate
	own       rate
	total     rate
	fullAt    time.Duration // of the token bucket for all

	cache   cache
	census  census
	wants   []want // in the order of their time-outs
	beatAt  time.Duration
	stats   Stats
	out     []Action
	outNext int
	burstAt time.Duration // when out was last found to be large
	ids     []MessageID   // backs Message.IDs of actions in out

	buf    [4]*skad.Contact // for small questions to the table
	near   []*skad.Contact  // one bucket
	chosen []*skad.Contact  // whom a beat is sent to
}

// New returns the broadcast of the node that self describes. rnd is its only source of randomness. Errors wrap
// ErrConfig.
func New(cfg Config, self *skad.Contact, table Table, rnd *rand.Rand, now time.Duration) (*Core, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if [24]byte(self.Record.Solution[:24]) != [24]byte{} {
		return nil, fmt.Errorf("%w: a solution that does not fit into a message", ErrConfig)
	}
	return &Core{
		cfg: cfg, self: self, table: table, rnd: rnd, now: now, domain: domainPrefix + cfg.Network, seq: cfg.FirstSeq,
		perOrigin: newRate(cfg.OriginRate, cfg.OriginBurst), own: newRate(cfg.OriginRate, ownBurst(cfg.OriginBurst)),
		total: newRate(cfg.TotalRate, cfg.TotalBurst), beatAt: Never,
	}, nil
}

// Broadcast sends payload to every node of the network. payload is copied. Errors are ErrTooLarge and ErrRate. Nobody
// tells whether it has arrived.
func (c *Core) Broadcast(now time.Duration, payload []byte) (MessageID, error) {
	c.begin(now)
	defer c.end()
	if len(payload) > PayloadLimit {
		return MessageID{}, fmt.Errorf("%w: %d bytes, limit %d", ErrTooLarge, len(payload), PayloadLimit)
	}
	o, ref := c.census.use(&c.self.Record.PublicKey)
	fullAt, ok := c.own.take(o.fullAt, c.now, costOf(len(payload)))
	if !ok {
		return MessageID{}, ErrRate
	}
	o.fullAt = fullAt
	rec := &c.self.Record
	m := Message{Op: opcode.BroadcastCode, Origin: rec.PublicKey, Solution: rec.Solution, Seq: c.seq}
	m.Payload = append([]byte(nil), payload...)
	c.seq++
	sum := hashOf(&m)
	m.ID = MessageID(sum[:16])
	m.Signature = c.cfg.Signer.Sign(c.domain, sum[:])
	c.stats.Broadcast++
	c.delegate(c.hold(&m, ref), 0)
	return m.ID, nil
}

// ReadyAt returns when the node's own rate allows a Broadcast of size bytes: a time that has passed if it does now.
func (c *Core) ReadyAt(size int) time.Duration {
	o := c.census.find(&c.self.Record.PublicKey)
	if o == nil {
		return c.now
	}
	return o.fullAt + c.own.every*time.Duration(costOf(size)) - c.own.span
}

// Knows reports whether a message with that id was here in the last two minutes.
func (c *Core) Knows(id *MessageID) bool { return c.cache.find(id) != nil }

// Receive takes a message of a peer, which the session that carried it has proven. Nothing of m is kept; payloads are
// copied. What is wrong with a message is counted and held against the peer; nothing is returned because nothing needs
// to be done.
func (c *Core) Receive(now time.Duration, from *skad.Contact, m *Message) {
	c.begin(now)
	defer c.end()
	switch {
	case from.ID == c.self.ID:
		c.count(skad.Loop)
	case len(m.IDs) > IDLimit || len(m.Payload) > PayloadLimit:
		c.blame(from, skad.SpreadTooLarge)
	case m.Op == opcode.BroadcastCode:
		c.received(from, m)
	case m.Op == opcode.BroadcastHaveCode:
		c.offered(from, m.IDs)
	case m.Op == opcode.BroadcastWantCode:
		c.wanted(from, m.IDs)
	}
}

// SendFailed tells that a message did not go out, or that its receiver could not be dialled: id is Message.ID of the
// action. What was delegated goes to another contact of the same bucket at once, what was asked for is asked of the
// next who has it.
func (c *Core) SendFailed(now time.Duration, to *skad.Contact, id MessageID) {
	c.begin(now)
	defer c.end()
	if id.IsZero() {
		c.failWants(to)
	} else if e := c.cache.find(&id); e != nil && e.held != nil {
		c.redelegate(e.held, to)
	}
}

// Disconnected tells that the session with a contact has ended: what it was given in the last two seconds may not have
// been read, and is treated as by SendFailed.
func (c *Core) Disconnected(now time.Duration, to *skad.Contact) {
	c.begin(now)
	defer c.end()
	c.failWants(to)
	for n := c.cache.next; n > c.cache.first; n-- {
		e := c.cache.at(n - 1)
		if c.now-e.at > doubtFor {
			break
		}
		if e.held != nil {
			c.redelegate(e.held, to)
		}
	}
}

// Deadline returns when Expire wants to be called, Never if nothing is to be waited for. It changes with every other
// call.
func (c *Core) Deadline() time.Duration {
	at := c.beatAt
	if len(c.wants) > 0 {
		at = min(at, c.wants[0].until)
	}
	if e := c.cache.oldestHeld(); e != nil {
		at = min(at, e.at+heldFor)
	}
	if c.cache.len() > 0 {
		at = min(at, c.cache.at(c.cache.first).at+seenFor)
	}
	return at
}

// Expire does what is due.
func (c *Core) Expire(now time.Duration) {
	c.begin(now)
	defer c.end()
	if c.beatAt <= c.now {
		c.beat()
	}
	for len(c.wants) > 0 && c.wants[0].until <= c.now {
		c.unkept()
	}
	for e := c.cache.oldestHeld(); e != nil && e.at+heldFor <= c.now; e = c.cache.oldestHeld() {
		c.cache.releaseOldest()
	}
	for c.cache.len() > 0 && c.cache.at(c.cache.first).at+seenFor <= c.now {
		c.forget()
	}
}

// forget lets the oldest message go. From now on its origin's floor refuses it, so that nobody can play it to us again.
func (c *Core) forget() {
	e := c.cache.at(c.cache.first)
	c.census.over(e.origin, e.seq)
	c.cache.pop()
}

// begin starts a turn. Where everything is taken its memory is used again.
func (c *Core) begin(now time.Duration) {
	c.now = max(c.now, now)
	if c.outNext < len(c.out) {
		return
	}
	c.outNext, c.out, c.ids = 0, c.out[:0], c.ids[:0]
	if cap(c.out) > outKept || cap(c.ids) > idsKept {
		if c.now-c.burstAt >= steadyFor { // one burst is not kept, a stream of messages is
			c.out, c.ids = nil, nil
		}
		c.burstAt = c.now
	}
}

// end ends a turn.
func (c *Core) end() {
	if invariant.Enabled {
		if err := c.check(); err != nil {
			invariant.Bug("spread: bug: %v", err)
		}
	}
}
