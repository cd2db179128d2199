package skad

import "slices"

// spare puts slot i into the replacement cache of its bucket, newest first, if it may be there. Verified spares are
// worth more than contacts that have only called, so those get free room only; and a few lost ones are kept, see
// lostKept.
func (c *Core) spare(i uint16) {
	s := &c.slots[i]
	prefix := c.prefixOf(s.contact)
	if s.has(isPlaced) || !c.fit(s.contact) || !s.has(isLost) && !c.spareGroupRoom(s.contact, prefix) {
		return
	}
	b := c.bucketOf(prefix)
	if len(b.spares) == spareLimit {
		out := c.worstSpare(b)
		if !s.has(isVerified) || s.has(isLost) && !c.slots[b.spares[out]].has(isLost) && c.lostSpares(b) >= lostKept {
			return
		}
		j := b.spares[out]
		b.spares = slices.Delete(b.spares, out, out+1)
		c.slots[j].marks &^= inSpares | isLost
		c.tidy(j)
	}
	b.spares = slices.Insert(roomy(b.spares), 0, i)
	s.marks |= inSpares
}

// spareGroupRoom is groupRoom without the limit of the table: a spare is not in it.
func (c *Core) spareGroupRoom(d *Contact, prefix int) bool {
	if d.groups[0] == 0 {
		return true
	}
	here := 0
	from, to := c.span(prefix)
	for _, m := range c.members[from:to] {
		if s := &c.slots[m]; s.has(inBucket) && s.contact.SharesGroup(d) {
			here++
		}
	}
	for _, j := range c.bucketOf(prefix).spares {
		if s := &c.slots[j]; !s.has(isLost) && s.contact.SharesGroup(d) {
			here++
		}
	}
	return here < c.cfg.GroupPerBucket
}

// worstSpare returns which spare goes first: the oldest that was never verified, else the oldest lost one beyond
// lostKept, else the oldest.
func (c *Core) worstSpare(b *bucket) int {
	tooManyLost := c.lostSpares(b) > lostKept
	oldest := -1
	for k := len(b.spares) - 1; k >= 0; k-- {
		s := &c.slots[b.spares[k]]
		if !s.has(isVerified) || tooManyLost && s.has(isLost) {
			return k
		}
		if oldest < 0 && !s.has(isLost) {
			oldest = k
		}
	}
	return max(oldest, 0)
}

func (c *Core) lostSpares(b *bucket) (n int) {
	for _, j := range b.spares {
		if c.slots[j].has(isLost) {
			n++
		}
	}
	return n
}

// unspare takes slot i out of the replacement cache.
func (c *Core) unspare(i uint16) {
	s := &c.slots[i]
	if !s.has(inSpares) {
		return
	}
	b := c.bucketOf(c.prefixOf(s.contact))
	k := slices.Index(b.spares, i)
	b.spares = slices.Delete(b.spares, k, k+1)
	s.marks &^= inSpares | isLost
}

// refill fills the gap that a dead contact left: with a sibling that the bucket had no room for, else by asking the
// spares, newest first, whether they are still there. None is believed without being asked.
func (c *Core) refill(prefix int) {
	if prefix >= len(c.buckets) {
		return
	}
	b := &c.buckets[prefix]
	from, to := c.span(prefix)
	for at := from; at < to && int(b.live) < c.cfg.K; at++ {
		i := c.members[at]
		if s := &c.slots[i]; !s.has(inBucket) && c.bucketRoom(s.contact) {
			b.live++
			s.marks |= inBucket
		}
	}
	for _, i := range b.spares {
		s := &c.slots[i]
		if s.has(isLost) || !c.bucketRoom(s.contact) && !c.siblingRoom(s.contact) {
			continue
		}
		if s.refs == 0 {
			c.probe(s.contact, false)
		}
		return // one at a time: its answer, or its silence, brings us back
	}
}
