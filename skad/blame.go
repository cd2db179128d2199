package skad

import (
	"slices"
	"time"
)

// A Reason says why something that a peer sent was dropped. The overlay and the broadcast over it (package spread) have
// one scale: whoever breaks the rules of either loses the same place.
type Reason uint8

// Reasons of the overlay.
const (
	Unasked      Reason = iota // an answer to no question of ours
	Late                       // an answer after its time-out: counted, not held against anybody
	TooLong                    // more contacts than were asked for
	BadPuzzle                  // a record whose proof of work is missing
	BadSignature               // a record, or a broadcast, that its owner did not sign
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
)

// Reasons of the broadcast.
const (
	SpreadKnown     = Loop + 1 + iota // a message that is known: four of five are, by design
	SpreadEcho                        // a message of our own that we no longer know
	SpreadOld                         // a message older than what its origin's floor allows: late, or replayed
	SpreadLimited                     // its origin speaks too much
	SpreadIgnored                     // the application did not want it
	SpreadGone                        // a Want for what is no longer held
	SpreadUnkept                      // announced, asked for, and not given in time
	SpreadUnoffered                   // a Want for what was not announced to this peer
	SpreadHeight                      // a height that is not the common prefix of sender and receiver: somebody else's duty
	SpreadHop                         // a hop number that only the origin, or everybody but the origin, may use
	SpreadTooLarge                    // a payload or a list above its limit, for callers that do not parse
	SpreadRejected                    // the application says that no honest node would have passed it on
	SpreadID                          // an id that is not the message's
	SpreadPuzzle                      // an origin that has not done its work
	reasonCount
)

// A Drops counts by Reason.
type Drops [reasonCount]uint64

// reasons is indexed by Reason. A weight is what one case adds to the score of its sender; an answer takes answerWorth
// off, and banAfter ends the acquaintance. What can happen to an honest node weighs nothing or little; a forged record
// cannot happen to one, and what a node would have had to check before passing it on weighs half a ban.
var reasons = [reasonCount]struct {
	name   string
	weight uint8
}{
	Unasked: {"unasked", 4}, Late: {"late", 0}, TooLong: {"too long", 8}, BadPuzzle: {"bad puzzle", 8},
	BadSignature: {"bad signature", 16}, Stale: {"stale", 1}, Foreign: {"foreign", 8}, PrivateAddr: {"private address", 4},
	CrowdedGroup: {"crowded group", 2}, ClientNode: {"client node", 2}, Duplicate: {"duplicate", 2}, Seen: {"seen", 0},
	Expired: {"expired", 0}, Busy: {"busy", 0}, Unreached: {"unreached", 0}, Loop: {"loop", 0},

	SpreadKnown: {"known message", 0}, SpreadEcho: {"echo", 0}, SpreadOld: {"old message", 0}, SpreadLimited: {"limited", 0},
	SpreadIgnored: {"ignored", 0}, SpreadGone: {"gone", 0}, SpreadUnkept: {"unkept", 1}, SpreadUnoffered: {"unoffered", 4},
	SpreadHeight: {"bad height", 8}, SpreadHop: {"bad hop", 8}, SpreadTooLarge: {"too large", 8}, SpreadRejected: {"rejected", 8},
	SpreadID: {"bad id", 16}, SpreadPuzzle: {"origin without work", 16},
}

// String returns the reason in words.
func (r Reason) String() string {
	if r >= reasonCount {
		return "unknown"
	}
	return reasons[r].name
}

// Weight is what one case adds to the score of its sender; 0 means it is only counted.
func (r Reason) Weight() int {
	if r >= reasonCount {
		return 0
	}
	return int(reasons[r].weight)
}

// Stats counts since the core was made.
type Stats struct {
	Asked    uint64 // questions sent
	Answered uint64 // of them answered in time
	Missed   uint64 // of them timed out or failed
	Served   uint64 // lookup requests answered
	Lookups  uint64 // finished
	Bans     uint64
	Dropped  Drops // by Reason
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

// Blame holds against a contact that it broke a rule elsewhere, of the broadcast for instance, which has counted it
// there. It is followed by an ActionBlame, which says whether the contact has lost its place.
func (c *Core) Blame(now time.Duration, by *Contact, r Reason) {
	c.begin(now)
	c.charge(by, r)
	c.end()
}

// blame counts a drop and holds it against the contact that caused it. by may be nil: our own table.
func (c *Core) blame(by *Contact, r Reason) {
	c.count(r)
	c.charge(by, r)
}

// charge adds the weight of r to the score of a contact, and bans it when that is full.
func (c *Core) charge(by *Contact, r Reason) {
	weight := r.Weight()
	if by == nil || weight == 0 {
		return
	}
	a := Action{Kind: ActionBlame, To: by, Reason: r}
	if i := c.find(&by.ID); i != 0 {
		s := &c.slots[i]
		s.score = uint8(min(int(s.score)+weight, banAfter))
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
	// What is over goes: an old ban of the same node would speak for the new one.
	c.bans = slices.DeleteFunc(c.bans, func(b ban) bool { return b.until <= c.now })
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

// Banned reports whether a node has lost its place here, for an hour. Whoever owns the sessions need not keep one with it.
func (c *Core) Banned(id ID) bool { return c.banned(&id) }

// banned reports whether id is kept out.
func (c *Core) banned(id *ID) bool {
	for i := range c.bans {
		if c.bans[i].id == *id {
			return c.bans[i].until > c.now
		}
	}
	return false
}
