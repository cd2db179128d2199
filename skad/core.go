package skad

import (
	"errors"
	"math"
	"math/rand/v2"
	"time"

	"github.com/carrier-p2p/carrier/internal/invariant"
	"github.com/carrier-p2p/carrier/opcode"
)

// Never is the Deadline of a core that waits for nothing.
const Never = time.Duration(math.MaxInt64)

var (
	// ErrBusy says that a limit of this node was reached; the same call may work in a moment.
	ErrBusy = errors.New("skad: too many at once")

	// ErrOptions is wrapped by what Lookup and Route say about arguments out of range.
	ErrOptions = errors.New("skad: options")
)

// A Core is one node of the overlay: the table, the lookups and the routed messages of it. See the package comment for
// how it is driven. It belongs to one goroutine at a time; View makes what others may read.
type Core struct {
	// What nearly every turn looks at comes first and lies together, see Warm.
	now     time.Duration
	out     []Action
	outNext int
	reply   []*Contact // backs Message.Contacts of answers in out

	arena
	wake    schedule[tick]          // next ping, by slot; members only
	due     schedule[time.Duration] // time-outs, by call
	ends    schedule[time.Duration] // time limits, by lookup
	calls   []call
	lastAt  time.Duration // last answer from anybody; negative: none yet
	doubtAt time.Duration // when a member last missed two pings and nobody else was heard to tell whose fault it is
	join    join

	cfg   Config
	self  *Contact
	rnd   *rand.Rand
	stats Stats

	members []uint16 // the table, by slot, closest to self first; see closest.go
	words   []uint64 // of members: the first word of the distance to self
	buckets []bucket // by common prefix with self; as long as the deepest one in use

	siblings int // how many members are in the sibling list
	edge     int // what farthestSibling has found, and 1; 0: to be found
	probing  int // pings to contacts that might come into the table
	queue    []probe
	view     *View // nil: to be made

	callFree []uint16
	late     []lateCall // a ring
	lateNext int

	lookups   []*lookup
	lookupSeq LookupID

	relays     []*relay // nil: free
	relayed    int      // how many are not
	relayBytes int
	seen       []uint64 // a ring
	seenNext   int

	bans []ban

	turns uint32 // counted in checked builds
}

// New returns the core of the node that self describes. rnd is its only source of randomness: seeded from the system in
// a node that serves, from one number in a test. Errors wrap ErrConfig.
func New(cfg Config, self *Contact, rnd *rand.Rand, now time.Duration) (*Core, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Core{cfg: cfg, self: self, rnd: rnd, now: now, lastAt: -1}
	c.salt = rnd.Uint64()
	c.join.refreshAt = Never
	c.join.retryAt = Never
	return c, nil
}

// Self returns the node's own contact.
func (c *Core) Self() *Contact { return c.self }

// SetSelf replaces the node's own record, because its addresses changed, and pushes the new one to its siblings. The
// key stays the same.
func (c *Core) SetSelf(now time.Duration, self *Contact) {
	c.begin(now)
	if self.ID != c.self.ID {
		invariant.Bug("skad: bug: SetSelf with another key")
	}
	c.self = self
	n := 0
	for i := range c.members {
		if n == c.siblings {
			break
		}
		if s := &c.slots[c.members[i]]; s.has(inSiblings) {
			n++
			c.emit(Action{Kind: ActionSend, To: s.contact, Message: Message{Op: opcode.RecordCode, Contacts: c.answer(self)}})
		}
	}
	c.end()
}

// Connected tells of a new session with a peer: it may be of use to the table, and questions to it that waited for the
// connection begin now. A member that has just proven its key where it can be reached is there: its next ping has time.
func (c *Core) Connected(now time.Duration, p Peer) {
	c.begin(now)
	c.heard(p)
	if i := c.find(&p.ID); i != 0 {
		c.dialled(i)
		if s := &c.slots[i]; p.Reached && s.has(isMember) && s.misses == 0 {
			s.marks &^= isBroken
			c.nextPing(i)
		}
	}
	c.end()
}

// Disconnected tells that the session with a contact has ended, in order: one side had no more use for it. Questions that
// crossed with that are as good as unanswered; lookups ask once more, for which there will be another session. The contact
// itself stays where it is.
func (c *Core) Disconnected(now time.Duration, to *Contact) {
	c.begin(now)
	c.failCalls(&to.ID, true)
	c.end()
}

// Lost is Disconnected for a session that broke without a word, as those of a node do that is killed: a member is pinged at
// once instead of when its turn comes.
func (c *Core) Lost(now time.Duration, to *Contact) {
	c.begin(now)
	c.failCalls(&to.ID, false)
	if i := c.find(&to.ID); i != 0 && c.slots[i].has(isMember) {
		c.slots[i].marks |= isBroken
		c.wake.set(i, tickOf(c.now+c.within(lostPingWithin)))
	}
	c.end()
}

// SendFailed tells that what was sent to a contact did not go out, or that it could not be dialled: its open questions
// fail at once.
func (c *Core) SendFailed(now time.Duration, to *Contact) {
	c.begin(now)
	c.failCalls(&to.ID, false)
	c.end()
}

// Dialing tells that a Send must wait for a connection. Its time-out is then that of a dial, and the time until
// Connected is no round trip.
func (c *Core) Dialing(now time.Duration, to *Contact) {
	c.begin(now)
	c.dialing(&to.ID)
	c.end()
}

// Receive takes a message of a peer. Nothing of m is kept except its contacts; m.Payload of a message on its way to
// others is copied. A Deliver that results aliases m.Payload. What is wrong with a message is counted and held against
// the peer; nothing is returned because nothing needs to be done.
func (c *Core) Receive(now time.Duration, from Peer, m *Message) {
	c.begin(now)
	defer c.end()
	if from.ID == c.self.ID {
		c.count(Loop)
		return
	}
	switch m.Op {
	case opcode.PingCode:
		c.heard(from)
		c.send(from.Contact, Message{Op: opcode.PongCode, Nonce: m.Nonce})
	case opcode.LookupNodeRequestCode:
		c.heard(from)
		c.serve(from.Contact, m)
	case opcode.PongCode, opcode.LookupNodeResponseCode, opcode.RouteAckCode:
		c.answered(from, m)
	case opcode.RouteCode:
		c.heard(from)
		c.routed(from, m)
	case opcode.RecordCode:
		c.recordReceived(from, m)
	}
}

// serve answers a lookup request with what the table has, fit to be believed by a peer that checks what we would check.
func (c *Core) serve(to *Contact, m *Message) {
	want := min(int(m.Count), ReplyLimit)
	var s selection
	closest((*tableRanking)(c), &c.self.ID, &m.Key, want, &s)
	if c.selected(&s, &to.ID) { // one more makes up for the asker; rarely needed, and often another group of the table to search
		closest((*tableRanking)(c), &c.self.ID, &m.Key, want+1, &s)
	}
	from, size := len(c.reply), 0
	for _, pos := range s.pos[:s.n] {
		near := c.slots[c.members[pos]].contact
		if near.ID == to.ID || named(m.Payload, fingerprint(m.Nonce, near)) {
			continue
		}
		if size += near.size + 2; size > replySizeLimit {
			break
		}
		if crowd(c.reply[from:], near) < c.cfg.GroupPerReply {
			c.reply = append(c.reply, near)
		}
	}
	c.stats.Served++
	c.send(to, Message{Op: opcode.LookupNodeResponseCode, Nonce: m.Nonce, Contacts: c.reply[from:len(c.reply):len(c.reply)]})
}

// selected reports whether the member with that ID is in s.
func (c *Core) selected(s *selection, id *ID) bool {
	for _, pos := range s.pos[:s.n] {
		if c.slots[c.members[pos]].contact.ID == *id {
			return true
		}
	}
	return false
}

// crowd returns how many of list share an IP group with d.
func crowd(list []*Contact, d *Contact) (n int) {
	if d.groups[0] == 0 {
		return 0
	}
	for _, c := range list {
		if c != nil && c.SharesGroup(d) {
			n++
		}
	}
	return n
}

// answer returns the contacts in memory that lives as long as the actions of this turn.
func (c *Core) answer(contacts ...*Contact) []*Contact {
	from := len(c.reply)
	c.reply = append(c.reply, contacts...)
	return c.reply[from:len(c.reply):len(c.reply)]
}

// Deadline returns when Expire wants to be called, Never if nothing is to be waited for. It changes with every other
// call.
func (c *Core) Deadline() time.Duration {
	at := min(c.join.refreshAt, c.join.retryAt)
	if _, t, ok := c.due.first(); ok {
		at = min(at, t)
	}
	if _, t, ok := c.wake.first(); ok {
		at = min(at, t.duration())
	}
	if _, t, ok := c.ends.first(); ok {
		at = min(at, t)
	}
	return at
}

// Expire does what is due.
func (c *Core) Expire(now time.Duration) {
	c.begin(now)
	for c.expireNext() {
	}
	c.maintain()
	c.end()
}

// ExpireNext does the first thing that is due, for callers that do not want to be kept: on a host that has stood still for a
// moment hundreds of questions are due at once, at some ten microseconds each. Deadline tells whether there is more.
func (c *Core) ExpireNext(now time.Duration) {
	c.begin(now)
	if !c.expireNext() {
		c.maintain()
	}
	c.end()
}

// expireNext does one thing that is due, except what maintain does, and reports whether there was one.
func (c *Core) expireNext() bool {
	if i, at, ok := c.due.first(); ok && at <= c.now {
		c.timedOut(i)
		return true
	}
	if i, at, ok := c.ends.first(); ok && at <= c.now {
		c.lookups[i].timedOut = true
		c.finish(c.lookups[i])
		return true
	}
	if i, at, ok := c.wake.first(); ok && at.duration() <= c.now {
		if c.spoken(i) {
			c.nextPing(i)
		} else {
			c.ping(i)
		}
		return true
	}
	return false
}

// begin starts a turn.
func (c *Core) begin(now time.Duration) {
	c.now = max(c.now, now)
	if c.outNext == len(c.out) { // everything is taken: the memory may be used again, but a burst is not kept
		c.outNext, c.out, c.reply = 0, c.out[:0], c.reply[:0]
		if cap(c.out) > outKept {
			c.out = nil
		}
		if cap(c.reply) > replyKept {
			c.reply = nil
		}
	}
}

// outKept and replyKept are the room for actions and answers that an idle core keeps: a ping with its consequences, one
// answer.
const (
	outKept   = 4
	replyKept = 32
)

// checkEvery is how many turns a checked build lets pass between two looks at everything: a look takes as long as a
// hundred turns.
const checkEvery = 64

// end ends a turn.
func (c *Core) end() {
	if invariant.Enabled {
		if c.turns++; c.turns%checkEvery != 0 {
			return
		}
		if err := c.check(); err != nil {
			invariant.Bug("skad: bug: %v", err)
		}
	}
}
