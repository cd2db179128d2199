package spread

import (
	"errors"

	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
)

// A Reason says why something that a peer sent was dropped. It is the overlay's: there is one scale for what breaks rules,
// and skad.Core.Blame takes these too.
type Reason = skad.Reason

// The reasons that occur here.
const (
	Duplicate    = skad.SpreadKnown
	Echo         = skad.SpreadEcho
	Stale        = skad.SpreadOld
	Limited      = skad.SpreadLimited
	Busy         = skad.Busy
	Ignored      = skad.SpreadIgnored
	Gone         = skad.SpreadGone
	Unkept       = skad.SpreadUnkept
	Unoffered    = skad.SpreadUnoffered
	BadHeight    = skad.SpreadHeight
	BadHop       = skad.SpreadHop
	TooLarge     = skad.SpreadTooLarge
	Rejected     = skad.SpreadRejected
	BadID        = skad.SpreadID
	BadPuzzle    = skad.SpreadPuzzle
	BadSignature = skad.BadSignature
	Loop         = skad.Loop
)

// Stats counts since the core was made.
type Stats struct {
	Dropped     skad.Drops // by Reason
	Broadcast   uint64     // own messages
	Delivered   uint64     // messages of others
	Repaired    uint64     // of them received without a duty, as answers to a Want
	Sent        uint64     // Broadcast messages, in copies
	Announced   uint64     // Have messages
	Asked       uint64     // Want messages
	Redelegated uint64     // delegates replaced because they could not be reached
	Abandoned   uint64     // delegates that could not be replaced: nobody else is in their bucket
}

// Stats returns the counters.
func (c *Core) Stats() Stats { return c.stats }

// count notes a drop that is nobody's fault.
func (c *Core) count(r Reason) { c.stats.Dropped[r]++ }

// blame counts a drop and holds it against the peer that caused it.
func (c *Core) blame(by *skad.Contact, r Reason) {
	c.count(r)
	if r.Weight() > 0 {
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
