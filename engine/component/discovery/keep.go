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
	s.place = len(c.ours)
	c.trim(now)
}

// trim ends sessions while there are too many, those first that were used longest ago. Those in use stay, and go with the
// next sweep.
func (c *Component) trim(now time.Duration) {
	for len(c.ours) > c.cfg.Connections {
		var oldest *session
		for _, x := range c.ours {
			free := x.answers.Load() == 0 || now-x.usedAt >= sweepEvery // nobody waits so long for an answer
			if free && now-x.usedAt >= inUse && (oldest == nil || x.usedAt < oldest.usedAt) {
				oldest = x
			}
		}
		if oldest == nil {
			return
		}
		c.part(oldest)
	}
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

// sweep closes connections that were dialled for a lookup and are idle, and protects those of the table's members. On the
// home loop.
func (c *Component) sweep(now time.Duration) {
	c.sweepAt = now + sweepEvery
	c.guard()
	var idle []*session
	for _, s := range c.ours {
		if now-s.usedAt >= c.cfg.Idle && !c.guarded[s.peer.ID()] {
			idle = append(idle, s)
		}
	}
	for _, s := range idle {
		c.part(s)
	}
	c.trim(now)
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
}
