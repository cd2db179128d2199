package spread

import (
	"slices"

	"github.com/carrier-p2p/carrier/skad"
)

// received takes a Broadcast: what can be known without the content, then the content, then the message is passed on.
//
//	known? ── duty as it must be? ── rate ── Verifier ── Validate ──▶ deliver, delegate, announce later
func (c *Core) received(from *skad.Contact, m *Message) {
	if r, ok := c.misdirected(from, m); ok {
		c.blame(from, r)
		return
	}
	if e := c.cache.find(&m.ID); e != nil {
		c.count(skad.SpreadKnown)
		return
	}
	if r, ok := c.unwelcome(m); ok {
		c.refuse(from, m, r)
		return
	}
	if err := c.cfg.Verifier.Verify(c.domain, m); err != nil {
		c.blame(from, faultOf(err))
		c.failWant(from, &m.ID)
		return
	}
	ref := c.charge(m)
	c.dropWant(&m.ID)
	switch verdict := c.validate(from, m); verdict {
	case Accept:
		c.accept(from, m, ref)
	default:
		c.remember(entry{id: m.ID, at: c.now, seq: m.Seq, origin: ref})
		if verdict == Reject {
			c.blame(from, skad.SpreadRejected)
		} else {
			c.count(skad.SpreadIgnored)
		}
	}
}

// misdirected reports what is wrong with the duty that comes with a message. The sender has no choice: the height is a
// fact about two IDs. So it can give nobody more to do than the tree does, and a node never sends more than beta copies
// for each of its buckets.
func (c *Core) misdirected(from *skad.Contact, m *Message) (skad.Reason, bool) {
	if int(m.Height) != skad.CommonPrefix(c.self.ID, from.ID) {
		return skad.SpreadHeight, true
	}
	if int(m.Hop) > int(m.Height)+1 || m.Hop != 0 && (m.Hop == 1) != (from.Record.PublicKey == m.Origin) {
		return skad.SpreadHop, true
	}
	return 0, false
}

// unwelcome reports why a new message will not be taken, which costs nothing yet. Nothing is charged to an origin
// before it is proven.
func (c *Core) unwelcome(m *Message) (skad.Reason, bool) {
	if m.Origin == c.self.Record.PublicKey {
		return skad.SpreadEcho, true
	}
	cost := costOf(len(m.Payload))
	if o := c.census.find(&m.Origin); o != nil {
		if m.Seq <= o.floor {
			return skad.SpreadOld, true
		}
		if _, ok := c.perOrigin.take(o.fullAt, c.now, cost); !ok {
			return skad.SpreadLimited, true
		}
	}
	if _, ok := c.total.take(c.fullAt, c.now, cost); !ok {
		return skad.Busy, true
	}
	return 0, false
}

// refuse drops a message that is not welcome. If it is being asked for, nobody else's copy would be welcome either; but up to here
// its id is the sender's word, and who may use that of another message could call that one off.
func (c *Core) refuse(from *skad.Contact, m *Message, r skad.Reason) {
	if c.wantOf(&m.ID) >= 0 {
		if sum := hashOf(m); m.ID != MessageID(sum[:16]) {
			c.blame(from, skad.SpreadID)
			c.failWant(from, &m.ID)
			return
		}
		c.dropWant(&m.ID)
	}
	c.count(r)
}

// charge takes the tokens that unwelcome has found.
func (c *Core) charge(m *Message) originRef {
	o, ref := c.census.use(&m.Origin)
	cost := costOf(len(m.Payload))
	o.fullAt, _ = c.perOrigin.take(o.fullAt, c.now, cost)
	c.fullAt, _ = c.total.take(c.fullAt, c.now, cost)
	return ref
}

func (c *Core) validate(from *skad.Contact, m *Message) Verdict {
	if c.cfg.Validate == nil {
		return Accept
	}
	return c.cfg.Validate(from, m)
}

// accept delivers a message and does the duty that came with it.
func (c *Core) accept(from *skad.Contact, m *Message, ref originRef) {
	own := *m
	own.IDs = nil
	own.Payload = append([]byte(nil), m.Payload...)
	h := c.hold(&own, ref)
	h.hop = m.Hop
	c.stats.Delivered++
	c.emit(Action{Kind: ActionDeliver, To: from, Message: own})
	if m.Hop == 0 {
		c.stats.Repaired++
		return
	}
	c.delegate(h, int(m.Height)+1)
}

// hold keeps a message, whose Payload is ours, for those who will ask for it.
func (c *Core) hold(m *Message, ref originRef) *held {
	for c.cache.bytes+len(m.Payload)+heldCost > heldLimit {
		c.cache.releaseOldest()
	}
	h := c.cache.newHeld()
	h.msg = *m
	if !c.cfg.PushOnly {
		h.rounds = uint8(c.cfg.Rounds)
		h.offers = slices.Grow(h.offers, c.cfg.Rounds*c.cfg.Fanout)
		if c.beatAt == Never {
			c.beatAt = c.nextBeat()
		}
	}
	c.remember(entry{id: m.ID, at: c.now, seq: m.Seq, origin: ref, held: h})
	return h
}

// remember adds an entry; the oldest makes room.
func (c *Core) remember(e entry) {
	if c.cache.len() == seenLimit {
		c.forget()
	}
	c.cache.add(e)
}
