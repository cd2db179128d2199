package skad

import "time"

// A Reason says why something that a peer sent was dropped.
type Reason uint8

const (
	Unasked      Reason = iota // an answer to no question of ours
	Late                       // an answer after its time-out: counted, not held against anybody
	TooLong                    // more contacts than were asked for
	BadPuzzle                  // a record whose proof of work is missing
	BadSignature               // a record that its owner did not sign
	Stale                      // a record older than the one we hold
	Foreign                    // a record that is not the sender's where only that is allowed
	PrivateAddr                // a contact without an address that is usable here
	CrowdedGroup               // more contacts of one IP group than an answer may hold
	ClientNode                 // a client handed out as a contact
	Duplicate                  // a contact twice in an answer
	Seen                       // a routed message that was here before
	Expired                    // a routed message out of hops
	Busy                       // refused because a limit of ours was reached: not the sender's fault
	Unreached                  // a caller whose address is not proven, kept out of the table: not a fault
	Loop                       // a message from ourselves
	reasonCount
)

// reasonNames and reasonWeights are indexed by Reason. A weight is what one case adds to the score of its sender; an
// answer takes answerWorth off, and banAfter ends the acquaintance. What can happen to an honest node weighs nothing or
// little; a forged record cannot happen to one.
var (
	reasonNames = [reasonCount]string{"unasked", "late", "too long", "bad puzzle", "bad signature", "stale", "foreign", "private address",
		"crowded group", "client node", "duplicate", "seen", "expired", "busy", "unreached", "loop"}
	reasonWeights = [reasonCount]uint8{Unasked: 4, TooLong: 8, BadPuzzle: 8, BadSignature: 16, Stale: 1, Foreign: 8, PrivateAddr: 4,
		CrowdedGroup: 2, ClientNode: 2, Duplicate: 2}
)

// String returns the reason in words.
func (r Reason) String() string {
	if r >= reasonCount {
		return "unknown"
	}
	return reasonNames[r]
}

// Weight is what one case adds to the score of its sender; 0 means it is only counted.
func (r Reason) Weight() int {
	if r >= reasonCount {
		return 0
	}
	return int(reasonWeights[r])
}

// Stats counts since the core was made.
type Stats struct {
	Dropped  [reasonCount]uint64 // by Reason
	Asked    uint64              // questions sent
	Answered uint64              // of them answered in time
	Missed   uint64              // of them timed out or failed
	Served   uint64              // lookup requests answered
	Lookups  uint64              // finished
	Bans     uint64
}

// Stats returns the counters.
func (c *Core) Stats() Stats { return c.stats }

// A ban keeps an offender out of table and lookups.
type ban struct {
	id    ID
	until time.Duration
}

// count notes a drop that is nobody's fault.
func (c *Core) count(r Reason) { c.stats.Dropped[r]++ }

// blame counts a drop and holds it against the contact that caused it. by may be nil: our own table.
func (c *Core) blame(by *Contact, r Reason) {
	c.stats.Dropped[r]++
	weight := reasonWeights[r]
	if by == nil || weight == 0 {
		return
	}
	a := Action{Kind: ActionBlame, To: by, Reason: r}
	if i := c.find(&by.ID); i != 0 {
		s := &c.slots[i]
		s.score = uint8(min(int(s.score)+int(weight), banAfter))
		if a.Banned = s.score >= banAfter; a.Banned {
			c.banish(i)
		}
	}
	c.emit(a)
}

// banish throws slot i out of the table and remembers why.
func (c *Core) banish(i uint16) {
	id := c.slots[i].contact.ID
	if c.banned(&id) {
		return
	}
	c.stats.Bans++
	if len(c.bans) == banLimit {
		copy(c.bans, c.bans[1:])
		c.bans = c.bans[:banLimit-1]
	}
	c.bans = append(c.bans, ban{id, c.now + banFor})
	prefix := c.prefixOf(c.slots[i].contact)
	c.expel(i)
	c.tidy(i)
	c.refill(prefix)
}

// banned reports whether id is kept out.
func (c *Core) banned(id *ID) bool {
	for i := range c.bans {
		if c.bans[i].id == *id {
			return c.bans[i].until > c.now
		}
	}
	return false
}
