package spread

import (
	"errors"

	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
)

// A Reason says why something that a peer sent was dropped.
type Reason uint8

const (
	Duplicate    Reason = iota // a message that is known: four of five are, by design
	Echo                       // a message of our own that we no longer know
	Stale                      // a message older than what its origin's floor allows: late, or replayed
	Limited                    // its origin speaks too much
	Busy                       // a limit of ours was reached
	Ignored                    // the application did not want it
	Gone                       // a Want for what is no longer held
	Unkept                     // announced, asked for, and not given in time
	Unoffered                  // a Want for what was not announced to this peer
	BadHeight                  // a height that is not the common prefix of sender and receiver: somebody else's duty
	BadHop                     // a hop number that only the origin, or everybody but the origin, may use
	TooLarge                   // a payload or a list above its limit, for callers that do not parse
	Rejected                   // the application says that no honest node would have passed it on
	BadID                      // an id that is not the message's
	BadPuzzle                  // an origin that has not done its work
	BadSignature               // a message that its origin did not sign
	Loop                       // a message from ourselves
	reasonCount
)

// reasonNames and reasonWeights are indexed by Reason. Weights are those of the overlay, where 32 end an acquaintance:
// what can happen to an honest node weighs nothing or little; what it would have had to check before passing it on
// weighs half a ban.
var (
	reasonNames = [reasonCount]string{"duplicate", "echo", "stale", "limited", "busy", "ignored", "gone", "unkept", "unoffered",
		"bad height", "bad hop", "too large", "rejected", "bad id", "bad puzzle", "bad signature", "loop"}
	reasonWeights = [reasonCount]uint8{Unkept: 1, Unoffered: 4, BadHeight: 8, BadHop: 8, TooLarge: 8, Rejected: 8,
		BadID: 16, BadPuzzle: 16, BadSignature: 16}
)

// String returns the reason in words.
func (r Reason) String() string {
	if r >= reasonCount {
		return "unknown"
	}
	return reasonNames[r]
}

// Weight is what one case should add to the score of its sender; 0 means it is only counted. skad has the same scale.
func (r Reason) Weight() int {
	if r >= reasonCount {
		return 0
	}
	return int(reasonWeights[r])
}

// Stats counts since the core was made.
type Stats struct {
	Dropped     [reasonCount]uint64 // by Reason
	Broadcast   uint64              // own messages
	Delivered   uint64              // messages of others
	Repaired    uint64              // of them received without a duty, as answers to a Want
	Sent        uint64              // Broadcast messages, in copies
	Announced   uint64              // Have messages
	Asked       uint64              // Want messages
	Redelegated uint64              // delegates replaced because they could not be reached
	Abandoned   uint64              // delegates that could not be replaced: nobody else is in their bucket
}

// Stats returns the counters.
func (c *Core) Stats() Stats { return c.stats }

// count notes a drop that is nobody's fault.
func (c *Core) count(r Reason) { c.stats.Dropped[r]++ }

// blame counts a drop and holds it against the peer that caused it.
func (c *Core) blame(by *skad.Contact, r Reason) {
	c.count(r)
	if reasonWeights[r] > 0 {
		c.emit(Action{Kind: ActionBlame, To: by, Reason: r})
	}
}

// faultOf turns what a Verifier says into a Reason.
func faultOf(err error) Reason {
	switch {
	case errors.Is(err, ErrID):
		return BadID
	case errors.Is(err, identity.ErrPuzzle):
		return BadPuzzle
	}
	return BadSignature
}
