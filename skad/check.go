package skad

import (
	"fmt"
	"time"
)

// check tells which invariant of the core does not hold, nil if all do. Checked builds call it now and then, tests
// whenever they like.
func (c *Core) check() error {
	for _, f := range []func() error{c.checkArena, c.checkMembers, c.checkSiblings, c.checkBuckets, c.checkGroups, c.checkCalls, c.checkLookups, c.checkMemory} {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// checkArena: every slot is found by its ID, and there are no two of one ID; none is kept for nothing.
func (c *Core) checkArena() error {
	refs := make([]int, len(c.slots))
	for k := range c.calls {
		if q := &c.calls[k]; q.nonce != 0 {
			refs[q.slot]++
		}
	}
	n := 0
	for i := range c.slots {
		s := &c.slots[i]
		if s.contact == nil {
			continue
		}
		n++
		switch {
		case c.find(&s.contact.ID) != uint16(i):
			return fmt.Errorf("slot %d is not found by its ID %v", i, s.contact.ID)
		case int(s.refs) != refs[i]:
			return fmt.Errorf("slot %d has %d references, %d calls", i, s.refs, refs[i])
		case s.refs == 0 && !s.has(isPlaced):
			return fmt.Errorf("slot %d is kept for nothing", i)
		case s.has(isMember) && s.has(inSpares):
			return fmt.Errorf("slot %d is member and spare", i)
		case s.has(isPlaced) && (s.contact.Client() || len(s.contact.Addrs) == 0 || s.contact.ID == c.self.ID || c.banned(&s.contact.ID)):
			return fmt.Errorf("slot %d has a place it must not have: %v", i, s.contact.ID)
		case s.has(isMember) && !s.has(isVerified):
			return fmt.Errorf("slot %d is a member that never answered", i)
		case s.has(isMember) != c.wake.armed(uint16(i)) && s.refs == 0:
			return fmt.Errorf("slot %d: member %v, ping planned %v", i, s.has(isMember), c.wake.armed(uint16(i)))
		}
	}
	if n != c.held || len(c.slots) > 0 && n+len(c.free)+1 != len(c.slots) {
		return fmt.Errorf("%d slots in use, counted %d, %d free of %d", n, c.held, len(c.free), len(c.slots))
	}
	return nil
}

// checkMembers: the ranking holds exactly the members, sorted by distance.
func (c *Core) checkMembers() error {
	n := 0
	for i := range c.slots {
		if c.slots[i].has(isMember) {
			n++
		}
	}
	if n != len(c.members) || n != len(c.words) {
		return fmt.Errorf("%d members, %d ranked", n, len(c.members))
	}
	for at, m := range c.members {
		s := &c.slots[m]
		if !s.has(isMember) || c.words[at] != s.contact.ID[0]^c.self.ID[0] {
			return fmt.Errorf("rank %d: slot %d does not belong there", at, m)
		}
		if at > 0 && !closer(&c.self.ID, &c.slots[c.members[at-1]].contact.ID, &s.contact.ID) {
			return fmt.Errorf("rank %d is not sorted", at)
		}
	}
	return nil
}

// checkSiblings: no member is closer than a sibling, unless its IP group is represented.
func (c *Core) checkSiblings() error {
	n := 0
	for _, m := range c.members {
		s := &c.slots[m]
		if s.has(inSiblings) {
			n++
		} else if c.siblingRoom(s.contact) {
			return fmt.Errorf("slot %d belongs into the sibling list", m)
		}
	}
	if c.edge != 0 && c.edge-1 != c.findFarthest() {
		return fmt.Errorf("the farthest sibling is member %d, remembered is %d", c.findFarthest(), c.edge-1)
	}
	if n != c.siblings || n > c.cfg.Siblings*c.cfg.Eta {
		return fmt.Errorf("%d siblings, counted %d, limit %d", n, c.siblings, c.cfg.Siblings*c.cfg.Eta)
	}
	return nil
}

// checkBuckets: sizes, and that every spare is in its own bucket, once.
func (c *Core) checkBuckets() error {
	spares := 0
	for prefix := range c.buckets {
		b := &c.buckets[prefix]
		from, to := c.span(prefix)
		live := 0
		for _, m := range c.members[from:to] {
			if c.slots[m].has(inBucket) {
				live++
			}
		}
		if live != int(b.live) || live > c.cfg.K || len(b.spares) > spareLimit {
			return fmt.Errorf("bucket %d: %d live, counted %d, %d spares", prefix, live, b.live, len(b.spares))
		}
		for _, i := range b.spares {
			if s := &c.slots[i]; !s.has(inSpares) || c.prefixOf(s.contact) != prefix {
				return fmt.Errorf("bucket %d: slot %d is no spare of it", prefix, i)
			}
		}
		spares += len(b.spares)
	}
	for i := range c.slots {
		if c.slots[i].has(inSpares) {
			spares--
		}
	}
	if spares != 0 {
		return fmt.Errorf("spares are in a bucket twice, or in none: %+d", spares)
	}
	return nil
}

// checkGroups: the limits per IP group.
func (c *Core) checkGroups() error {
	var table, siblings []*Contact
	for _, m := range c.members {
		s := &c.slots[m]
		if crowd(table, s.contact) >= c.cfg.GroupPerTable {
			return fmt.Errorf("slot %d: too many of its IP group in the table", m)
		}
		table = append(table, s.contact)
		if s.has(inSiblings) {
			if crowd(siblings, s.contact) >= c.cfg.GroupPerSiblings {
				return fmt.Errorf("slot %d: too many of its IP group in the sibling list", m)
			}
			siblings = append(siblings, s.contact)
		}
	}
	for prefix := range c.buckets {
		var here []*Contact
		from, to := c.span(prefix)
		for _, m := range c.members[from:to] {
			if s := &c.slots[m]; s.has(inBucket) {
				if crowd(here, s.contact) >= c.cfg.GroupPerBucket {
					return fmt.Errorf("bucket %d: too many of one IP group", prefix)
				}
				here = append(here, s.contact)
			}
		}
	}
	return nil
}

// checkCalls: every open call has a time-out and an owner that knows of it.
func (c *Core) checkCalls() error {
	open, probing := 0, 0
	for k := range c.calls {
		q := &c.calls[k]
		if (q.nonce != 0) != c.due.armed(uint16(k)) {
			return fmt.Errorf("call %d: open %v, time-out %v", k, q.nonce != 0, c.due.armed(uint16(k)))
		}
		if q.nonce == 0 {
			continue
		}
		open++
		if q.kind == callProbe {
			probing++
		}
		if q.kind == callLookup && q.owner != noOwner && c.lookups[q.owner] == nil {
			return fmt.Errorf("call %d: its lookup is over", k)
		}
		if q.kind == callRoute && c.relays[q.owner] == nil {
			return fmt.Errorf("call %d: its relay is gone", k)
		}
	}
	if open+len(c.callFree) != len(c.calls) || probing != c.probing {
		return fmt.Errorf("%d of %d calls open, %d free; %d probes, counted %d", open, len(c.calls), len(c.callFree), probing, c.probing)
	}
	return nil
}

// checkLookups: shortlists are sorted, paths are disjoint, and every lookup waits for something.
func (c *Core) checkLookups() error {
	for i, l := range c.lookups {
		if l == nil {
			continue
		}
		asked := map[ID]int{}
		for p := range l.paths {
			if err := l.paths[p].list.check(&l.key); err != nil {
				return fmt.Errorf("lookup %d path %d: %w", i, p, err)
			}
			for _, d := range l.paths[p].asked {
				asked[d.ID]++
			}
		}
		for _, d := range l.final.asked {
			asked[d.ID]++
		}
		for id, n := range asked {
			if n > 1 {
				return fmt.Errorf("lookup %d: %v was asked %d times", i, id, n)
			}
		}
		if err := l.final.list.check(&l.key); err != nil {
			return fmt.Errorf("lookup %d, merged: %w", i, err)
		}
		open := 0
		for k := range c.calls {
			if q := &c.calls[k]; q.nonce != 0 && q.kind == callLookup && int(q.owner) == i {
				open++
			}
		}
		if open != l.open || open > inFlightLimit || open == 0 || len(asked) != len(l.claimed) || len(asked) > askedLimit {
			return fmt.Errorf("lookup %d: %d calls, counted %d, %d asked, %d claimed", i, open, l.open, len(asked), len(l.claimed))
		}
	}
	return nil
}

// check: sorted, each ID once.
func (l shortlist) check(key *ID) error {
	for i := 1; i < len(l); i++ {
		if !closer(key, &l[i-1].contact.ID, &l[i].contact.ID) {
			return fmt.Errorf("candidate %d is not sorted", i)
		}
	}
	if len(l) > finalLimit {
		return fmt.Errorf("%d candidates", len(l))
	}
	return nil
}

// checkMemory: nothing is longer than limits.go says.
func (c *Core) checkMemory() error {
	bytes, relayed := 0, 0
	for _, r := range c.relays {
		if r != nil {
			relayed++
			bytes += len(r.msg.Payload)
		}
	}
	switch {
	case c.held > contactLimit, len(c.calls) > callLimit, len(c.lookups) > lookupLimit, len(c.relays) > relayLimit,
		c.relayBytes > relayBytesLimit, bytes != c.relayBytes, relayed != c.relayed, len(c.seen) > seenLimit, len(c.late) > lateLimit, len(c.bans) > banLimit,
		len(c.queue) > probeQueueLimit, len(c.join.seeds) > seedLimit, c.probing > probeLimit, len(c.buckets) > IDBits:
		return fmt.Errorf("a limit is passed")
	}
	if at := c.Deadline(); at < 0 || len(c.members) > 0 && at == Never {
		return fmt.Errorf("deadline %v with %d members", time.Duration(at), len(c.members))
	}
	return nil
}
