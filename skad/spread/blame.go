package spread

import (
	"errors"

	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
)

// Stats counts since the core was made. The reasons of what was dropped are skad.SpreadKnown and those that follow it, skad.Busy,
// skad.Loop and skad.BadSignature: overlay and broadcast have one scale of what breaks rules.
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
func (c *Core) count(r skad.Reason) { c.stats.Dropped[r]++ }

// blame counts a drop and holds it against the peer that caused it.
func (c *Core) blame(by *skad.Contact, r skad.Reason) {
	c.count(r)
	if r.Weight() > 0 {
		c.emit(Action{Kind: ActionBlame, To: by, Reason: r})
	}
}

// faultOf turns what a Verifier says into a Reason.
func faultOf(err error) skad.Reason {
	switch {
	case errors.Is(err, ErrID):
		return skad.SpreadID
	case errors.Is(err, identity.ErrPuzzle):
		return skad.SpreadPuzzle
	}
	return skad.BadSignature
}
