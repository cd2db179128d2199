package discovery

import (
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// guardTag marks the members of the table for the ConnMgr.
const guardTag = "overlay"

// own notes that a session was dialled for the overlay.
func (c *Component) own(now time.Duration, s *session) {
	c.ours = append(c.ours, s)
	s.place, s.openedAt, s.guarded = len(c.ours), now, c.guarded[s.peer.ID()]
	c.crowded = len(c.ours) > c.cfg.Connections
}

// trim ends a session if there are too many and one of them is not in use; what is, goes with the next sweep. There may be
// many to end after a lookup: each is a step of its own.
func (c *Component) trim(now time.Duration) {
	c.crowded = len(c.ours) > c.cfg.Connections && c.yield(now)
}

// yield ends one of the sessions that were dialled for the overlay and are not in use, and reports whether there was one. Where
// the node is full, the next dial finds room instead of it.
func (c *Component) yield(now time.Duration) bool {
	var out *session
	for _, x := range c.ours {
		free := x.answers.Load() == 0 || now-x.usedAt >= sweepEvery // nobody waits so long for an answer
		if free && now-x.usedAt >= inUse && (out == nil || x.beforeInTrim(out)) {
			out = x
		}
	}
	if out != nil {
		c.part(out)
	}
	return out != nil
}

// beforeInTrim reports whether s is to go rather than x. Those of a lookup go first, whichever was used longest ago. Of the
// table's members the one that came last goes: they are pinged in turn, and if the one pinged longest ago made room for the
// next, all of them would have to be dialled each time instead of those for which there is no room.
func (s *session) beforeInTrim(x *session) bool {
	switch {
	case s.guarded != x.guarded:
		return x.guarded
	case s.guarded:
		return s.openedAt > x.openedAt
	}
	return s.usedAt < x.usedAt
}

// disown forgets that a session was dialled for the overlay.
func (c *Component) disown(s *session) {
	if s.place == 0 {
		return
	}
	last := len(c.ours) - 1
	moved := c.ours[last]
	c.ours[s.place-1], moved.place = moved, s.place
	c.ours[last] = nil
	c.ours, s.place = c.ours[:last], 0
}

// part ends a session that was dialled for the overlay, unless somebody else protects it. Then it is theirs.
func (c *Component) part(s *session) {
	c.disown(s)
	id := s.peer.ID()
	if c.guarded[id] {
		delete(c.guarded, id)
		c.guardedBy = nil // look again
		c.net.ConnMgr().Unprotect(id, guardTag)
	}
	if !c.net.ConnMgr().Protected(id) {
		c.counts.Closed++
		s.peer.Disconnect(engine.CodeNone, "")
	}
}

// sweep has connections ended that were dialled for a lookup and are idle, and protects those of the table's members. On the
// home loop.
func (c *Component) sweep(now time.Duration) {
	c.sweepAt = now + sweepEvery
	c.guard()
	for _, s := range c.ours {
		if c.isIdle(now, s) {
			c.idlers = append(c.idlers, s)
		}
	}
	c.crowded = true // or perhaps not: trim will see
}

// isIdle reports whether a session has served the lookup that it was dialled for.
func (c *Component) isIdle(now time.Duration, s *session) bool {
	return s.place > 0 && now-s.usedAt >= c.cfg.Idle && !c.guarded[s.peer.ID()]
}

// partIdle ends one of those that the sweep has found, if it has not been used since, and reports whether there was one.
func (c *Component) partIdle(now time.Duration) bool {
	n := len(c.idlers)
	if n == 0 {
		return false
	}
	s := c.idlers[n-1]
	c.idlers[n-1] = nil
	if c.idlers = c.idlers[:n-1]; n == 1 {
		c.idlers = nil
	}
	if c.isIdle(now, s) {
		c.part(s)
	}
	return true
}

// guard protects the members of the table, and no others.
func (c *Component) guard() {
	v := c.core.View()
	if v == c.guardedBy {
		return
	}
	c.guardedBy = v
	now := make(map[identity.ID]bool, v.Len())
	for prefix := range v.Buckets() {
		for _, d := range v.Sharing(prefix) {
			now[d.ID.Identity()] = true
		}
	}
	for id := range c.guarded {
		if !now[id] {
			c.net.ConnMgr().Unprotect(id, guardTag)
		}
	}
	for id := range now {
		if !c.guarded[id] {
			c.net.ConnMgr().Protect(id, guardTag)
		}
	}
	c.guarded = now
	for _, s := range c.ours {
		s.guarded = now[s.peer.ID()]
	}
}
