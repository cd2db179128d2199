package skad

import (
	"slices"
	"sort"
	"time"

	"github.com/carrier-p2p/carrier/internal/invariant"
)

// A bucket counts the members that share a given number of bits with self and holds their stand-ins.
//
// Invariant: live <= Config.K; at most spareLimit spares, newest first; no contact is in both.
type bucket struct {
	spares   []uint16
	live     uint16
	lookedAt tick // last lookup for a key in it
}

// tableRanking shows the members to closest. It is the core itself by another name, so that making one allocates
// nothing.
type tableRanking Core

func (r *tableRanking) len() int          { return len(r.members) }
func (r *tableRanking) word(i int) uint64 { return r.words[i] }
func (r *tableRanking) id(i int) *ID      { return &r.slots[r.members[i]].contact.ID }

// Closest appends the n contacts of the table that are closest to key, closest first, n at most CountLimit. Nothing is
// allocated if dst has room.
func (c *Core) Closest(key ID, n int, dst []*Contact) []*Contact {
	var s selection
	closest((*tableRanking)(c), &c.self.ID, &key, min(n, CountLimit), &s)
	for _, pos := range s.pos[:s.n] {
		dst = append(dst, c.slots[c.members[pos]].contact)
	}
	return dst
}

// Siblings appends the sibling list, closest to self first.
func (c *Core) Siblings(dst []*Contact) []*Contact {
	left := c.siblings
	for i := 0; left > 0; i++ {
		if s := &c.slots[c.members[i]]; s.has(inSiblings) {
			dst, left = append(dst, s.contact), left-1
		}
	}
	return dst
}

// Sharing appends the members that share exactly prefix bits with self, closest to self first: the bucket, and siblings
// that it had no room for.
func (c *Core) Sharing(prefix int, dst []*Contact) []*Contact {
	from, to := c.span(prefix)
	for _, m := range c.members[from:to] {
		dst = append(dst, c.slots[m].contact)
	}
	return dst
}

// Len returns how many contacts are in the table.
func (c *Core) Len() int { return len(c.members) }

// prefixOf returns the bucket of a contact.
func (c *Core) prefixOf(d *Contact) int { return CommonPrefix(c.self.ID, d.ID) }

// bucketOf returns the bucket with that prefix, made if need be.
func (c *Core) bucketOf(prefix int) *bucket {
	for len(c.buckets) <= prefix {
		c.buckets = append(roomy(c.buckets), bucket{})
	}
	return &c.buckets[prefix]
}

// span returns the range of members that share exactly prefix bits with self.
func (c *Core) span(prefix int) (from, to int) {
	r := (*tableRanking)(c)
	return prefixEnd(r, &c.self.ID, prefix), prefixEnd(r, &c.self.ID, prefix-1)
}

// rank returns where a contact stands among the members, or would stand.
func (c *Core) rank(d *Contact) int {
	word := d.ID[0] ^ c.self.ID[0]
	return sort.Search(len(c.members), func(i int) bool {
		return c.words[i] > word || c.words[i] == word && !closer(&c.self.ID, &c.slots[c.members[i]].contact.ID, &d.ID)
	})
}

// enter sets marks of slot i that make it a member, and puts it into the ranking if it is new there.
func (c *Core) enter(i uint16, m mark) {
	s := &c.slots[i]
	c.edge = 0
	if !s.has(isMember) {
		at := c.rank(s.contact)
		c.members = slices.Insert(roomy(c.members), at, i)
		c.words = slices.Insert(roomy(c.words), at, s.contact.ID[0]^c.self.ID[0])
		c.view = nil
		c.nextPing(i)
		if c.join.refreshAt == Never { // also where others have found us, and we never had to ask
			c.planRefresh()
		}
	}
	s.marks |= m
}

// leave takes marks from slot i, and the slot out of the ranking if it is no member any more.
func (c *Core) leave(i uint16, m mark) {
	s := &c.slots[i]
	c.edge = 0
	s.marks &^= m
	if !s.has(isMember) {
		at := c.rank(s.contact)
		if at >= len(c.members) || c.members[at] != i {
			invariant.Bug("skad: bug: slot %d is not where it is ranked", i)
		}
		c.members = slices.Delete(c.members, at, at+1)
		c.words = slices.Delete(c.words, at, at+1)
		c.view = nil
		c.wake.stop(i)
	}
}

// settle gives a contact that has just proven to be alive the best place there is for it. It never takes one from a
// live contact, except that the sibling list is what it is: the closest.
func (c *Core) settle(i uint16) {
	s := &c.slots[i]
	if s.has(isMember) || !c.fit(s.contact) {
		return
	}
	sibling := c.siblingRoom(s.contact)
	if room := c.bucketRoom(s.contact); !sibling && !room {
		c.spare(i)
		return
	} else if room {
		c.unspare(i)
		c.bucketOf(c.prefixOf(s.contact)).live++
		c.enter(i, inBucket)
	}
	if sibling {
		c.unspare(i)
		c.addSibling(i)
	}
}

// fit reports whether a contact may be in the table at all.
func (c *Core) fit(d *Contact) bool {
	return !d.Client() && len(d.Addrs) > 0 && d.ID != c.self.ID && !c.banned(&d.ID)
}

// siblingRoom reports whether the sibling list would take d, which is not in it: it is closer than the farthest, or
// there is room; and its IP groups are not yet represented as often as they may be. The one that would have to go does
// not count.
func (c *Core) siblingRoom(d *Contact) bool {
	limit := c.cfg.Siblings * c.cfg.Eta
	leaving := -1
	if c.siblings == limit {
		leaving = c.farthestSibling()
		if word := d.ID[0] ^ c.self.ID[0]; word > c.words[leaving] || word == c.words[leaving] && !closer(&c.self.ID, &d.ID, &c.slots[c.members[leaving]].contact.ID) {
			return false
		}
	}
	if d.groups[0] == 0 {
		return true
	}
	near, all, inTable := 0, 0, false
	for at, m := range c.members {
		s := &c.slots[m]
		if s.contact.ID == d.ID {
			inTable = true
			continue
		}
		if !s.contact.SharesGroup(d) {
			continue
		}
		if at != leaving || s.has(inBucket) {
			all++
		}
		if at != leaving && s.has(inSiblings) {
			near++
		}
	}
	return near < c.cfg.GroupPerSiblings && (inTable || all < c.cfg.GroupPerTable)
}

// farthestSibling returns the position of the last sibling among the members, -1 if there is none. Every
// stranger is compared with it, so it is found once for each change of the list.
func (c *Core) farthestSibling() int {
	if c.edge == 0 {
		c.edge = c.findFarthest() + 1
	}
	return c.edge - 1
}

// findFarthest is farthestSibling without a memory.
func (c *Core) findFarthest() int {
	at := -1
	for left := c.siblings; left > 0; {
		at++
		if c.slots[c.members[at]].has(inSiblings) {
			left--
		}
	}
	return at
}

// addSibling puts slot i into the sibling list; whoever must leave it keeps its bucket, or becomes a spare. siblingRoom
// was asked before.
func (c *Core) addSibling(i uint16) {
	if c.siblings == c.cfg.Siblings*c.cfg.Eta {
		out := c.members[c.farthestSibling()]
		c.leave(out, inSiblings)
		c.siblings--
		if !c.slots[out].has(isMember) {
			c.spare(out)
			c.tidy(out)
		}
	}
	c.enter(i, inSiblings)
	c.siblings++
	c.join.news = true
	c.promote()
}

// promote keeps the sibling list what it claims to be: the closest members that the limits per IP group allow. A change
// may have made room for one that is in a bucket only.
func (c *Core) promote() {
	full := c.siblings == c.cfg.Siblings*c.cfg.Eta
	left := c.siblings
	for at := 0; at < len(c.members) && (left > 0 || !full); at++ {
		s := &c.slots[c.members[at]]
		if s.has(inSiblings) {
			left--
		} else if c.siblingRoom(s.contact) {
			c.addSibling(c.members[at]) // comes back here
			return
		}
	}
}

// bucketRoom reports whether the bucket of d would take it.
func (c *Core) bucketRoom(d *Contact) bool {
	prefix := c.prefixOf(d)
	return (prefix >= len(c.buckets) || int(c.buckets[prefix].live) < c.cfg.K) && c.groupRoom(d, prefix)
}

// groupRoom reports whether the limits per IP group leave room for d in its bucket and in the table. Lost spares do not
// count.
func (c *Core) groupRoom(d *Contact, prefix int) bool {
	if d.groups[0] == 0 {
		return true
	}
	here, all, inTable := 0, 0, false
	from, to := c.span(prefix)
	for at, m := range c.members {
		s := &c.slots[m]
		switch {
		case s.contact.ID == d.ID:
			inTable = true
		case s.contact.SharesGroup(d):
			all++
			if at >= from && at < to && s.has(inBucket) {
				here++
			}
		}
	}
	if prefix < len(c.buckets) {
		for _, j := range c.buckets[prefix].spares {
			if s := &c.slots[j]; s.contact.ID != d.ID && !s.has(isLost) && s.contact.SharesGroup(d) {
				here++
			}
		}
	}
	return here < c.cfg.GroupPerBucket && (inTable || all < c.cfg.GroupPerTable)
}

// drop takes a dead contact out of the table. It stays known as a lost spare if there is room.
func (c *Core) drop(i uint16) {
	s := &c.slots[i]
	prefix := c.prefixOf(s.contact)
	c.expel(i)
	s.marks |= isLost
	c.spare(i)
	c.tidy(i)
	c.refill(prefix)
}

// expel takes slot i out of everything it is in; tidy then frees it, unless there is a question open.
func (c *Core) expel(i uint16) {
	s := &c.slots[i]
	c.unspare(i)
	if s.has(isMember) {
		if s.has(inBucket) {
			c.bucketOf(c.prefixOf(s.contact)).live--
		}
		sibling := s.has(inSiblings)
		c.leave(i, isMember)
		if sibling {
			c.siblings--
		}
		c.promote()
	}
}

// tidy frees slot i if nothing needs it.
func (c *Core) tidy(i uint16) {
	if s := &c.slots[i]; s.contact != nil && s.refs == 0 && !s.has(isPlaced) {
		c.release(i)
	}
}

// nextPing plans the next ping of a member: when it has been silent for as long as it may be, give or take an
// eighth, so that the pings of a node do not march in step.
func (c *Core) nextPing(i uint16) {
	s := &c.slots[i]
	after := c.silence(s)
	after += time.Duration(c.rnd.Int64N(int64(after)/4+1)) - after/8
	c.wake.set(i, tickOf(s.verifiedAt.duration()+after))
}

// silence returns how long a member may be silent: as long as it has been known to live, between PingLeast
// and PingMost, so that it doubles.
func (c *Core) silence(s *slot) time.Duration {
	return max(c.cfg.PingLeast, min(c.cfg.PingMost, (s.verifiedAt-s.firstAt).duration()))
}

// spoken reports whether a member whose ping is due has made it needless: it has spoken to us since that was planned.
func (c *Core) spoken(i uint16) bool {
	s := &c.slots[i]
	after := c.silence(s)
	return s.misses == 0 && !s.has(isBroken) && c.now-s.verifiedAt.duration() < after-after/8
}
