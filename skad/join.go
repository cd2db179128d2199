package skad

import (
	"slices"
	"time"
)

// join is how the node came into the overlay and keeps its place there.
type join struct {
	seeds      []*Contact
	joined     bool
	running    bool          // a lookup of our own ID is under way
	retryAt    time.Duration // another try to join; Never
	retryAfter time.Duration
	refreshAt  time.Duration // own neighbourhood next; Never
	sweep      int           // next bucket to look at, in this round
	sweeping   bool
	forced     bool // this round also looks at buckets that are not idle but not full: after joining
	news       bool // somebody has come into the sibling list since the last look around
	unsure     bool // not everybody who was asked then has answered
}

// Bootstrap joins the overlay through contacts whose records are genuine: those that a handshake has proven, or that
// Restore has brought. It looks up the node's own ID, which fills the sibling list and makes the node known to its
// neighbours; then it fills the buckets farther away. ActionReady follows. Where nobody answers it is tried again,
// after a second, doubling to a minute. Without any contact the node is the first: others will find it.
func (c *Core) Bootstrap(now time.Duration, seeds []*Contact) {
	c.begin(now)
	defer c.end()
	c.join.take(seeds[:min(len(seeds), seedLimit)], c.self.ID)
	c.join.retryAfter = retryLeast
	c.enterOverlay()
}

// take adds seeds, and newer records of those that there are. Where there is no room they go in the place of some that nobody has
// answered for yet, perhaps out of an old store.
func (j *join) take(seeds []*Contact, self ID) {
	gone := 0
	for _, d := range seeds {
		i := slices.IndexFunc(j.seeds, func(have *Contact) bool { return have.ID == d.ID })
		switch {
		case d.ID == self || i >= 0 && d.Record.Seq <= j.seeds[i].Record.Seq:
		case i >= 0:
			j.seeds[i] = d
		case len(j.seeds) < seedLimit:
			j.seeds = append(j.seeds, d)
		default:
			j.seeds[gone] = d
			gone++
		}
	}
}

// Joined reports whether a node of the overlay has ever answered to Bootstrap.
func (c *Core) Joined() bool { return c.join.joined }

// enterOverlay looks up the own ID and asks everybody on the way for as much as the sibling list holds.
func (c *Core) enterOverlay() {
	j := &c.join
	j.retryAt = Never
	if j.running || len(j.seeds) == 0 && len(c.members) == 0 {
		return
	}
	count := c.cfg.Siblings * c.cfg.Eta
	opt := LookupOptions{Paths: 4, Width: 4, Alpha: 2, Count: count, From: c.pickSeeds()}
	if _, err := c.startLookup(c.self.ID, opt, forJoin, count); err != nil {
		j.retryAt = c.now + retryLeast
		return
	}
	j.running = c.joining()
}

// pickSeeds returns seeds to start from, others at every try.
func (c *Core) pickSeeds() []*Contact {
	s := c.join.seeds
	for i := range s {
		k := i + c.rnd.IntN(len(s)-i)
		s[i], s[k] = s[k], s[i]
	}
	return s[:min(len(s), PathLimit)]
}

// joining reports whether the lookup of a join is under way: it may have ended at once.
func (c *Core) joining() bool {
	for _, l := range c.lookups {
		if l != nil && l.purpose == forJoin {
			return true
		}
	}
	return false
}

// maintained takes the result of a lookup that the core began itself.
func (c *Core) maintained(l *lookup, r *Result) {
	j := &c.join
	switch l.purpose {
	case forJoin:
		j.running = false
		if len(r.Closest) == 0 {
			j.retryAt = c.now + j.retryAfter
			j.retryAfter = min(2*j.retryAfter, retryMost)
			return
		}
		j.joined = true
		j.sweeping, j.sweep, j.forced = true, 0, true
		c.planRefresh()
		c.sweep()
	case forNeighbour:
		j.unsure = l.failed > 0 || l.timedOut
	case forBucket:
		c.sweep()
	}
}

// planRefresh plans the next look at the own neighbourhood.
func (c *Core) planRefresh() {
	span := c.cfg.RefreshMost - c.cfg.RefreshLeast
	c.join.refreshAt = c.now + c.cfg.RefreshLeast + time.Duration(c.rnd.Int64N(int64(span)+1))
}

// maintain does what the node owes its table, when it is due.
func (c *Core) maintain() {
	j := &c.join
	if j.retryAt <= c.now {
		c.enterOverlay()
	}
	if j.refreshAt > c.now {
		return
	}
	c.planRefresh()
	if len(c.members) == 0 {
		c.enterOverlay()
		return
	}
	// Four neighbours are asked for their siblings; those that we do not know are pinged and become ours.
	count := c.cfg.Siblings * c.cfg.Eta
	opt := LookupOptions{Paths: 2, Width: 2, Alpha: 1, Count: count, Unfinished: true}
	_, _ = c.startLookup(c.self.ID, opt, forNeighbour, count) // if there are too many lookups the next refresh does it
	c.retryLost()
	if !j.sweeping {
		j.sweeping, j.sweep, j.forced = true, 0, false
		c.sweep()
	}
}

// depth is the first bucket that the sibling list covers whole: those before it need lookups of their own.
func (c *Core) depth() int {
	if c.siblings < c.cfg.Siblings*c.cfg.Eta {
		return 0 // there is nobody that we do not know
	}
	return c.prefixOf(c.slots[c.members[c.farthestSibling()]].contact)
}

// LookAround looks at the own neighbourhood ahead of its time, as a node does that has joined a moment ago: those who joined
// with it did not know of each other. Where nobody new has come into the sibling list since the last time, and all who were
// asked then have answered, it asks a few of them, else all of those that it should be known to. ErrBusy if there are too many
// lookups; the next refresh does it then.
func (c *Core) LookAround(now time.Duration) error {
	c.begin(now)
	defer c.end()
	j := &c.join
	opt := LookupOptions{Paths: 2, Width: 2, Alpha: 2, Count: c.cfg.Siblings}
	if !j.news && !j.unsure {
		opt.Alpha, opt.Unfinished = 1, true
	}
	_, err := c.startLookup(c.self.ID, opt, forNeighbour, max(c.cfg.K, c.cfg.Siblings))
	if err == nil {
		j.news = false
	}
	return err
}

// sweep goes on with the round through the buckets: one lookup at a time, of a random key in the next bucket that needs
// it.
func (c *Core) sweep() {
	j := &c.join
	for ; j.sweeping && j.sweep < c.depth(); j.sweep++ {
		b := c.bucketOf(j.sweep)
		idle := c.now-b.lookedAt.duration() >= c.cfg.BucketIdle
		if !idle && !(j.forced && int(b.live) < c.cfg.K) {
			continue
		}
		key := c.self.ID.randomIn(j.sweep, c.rnd)
		opt := LookupOptions{Paths: 2, Width: 2, Alpha: 2, Count: c.cfg.K, Unfinished: true}
		j.sweep++
		if _, err := c.startLookup(key, opt, forBucket, c.cfg.K); err != nil {
			break
		}
		return // it comes back here
	}
	if j.sweeping && j.forced {
		c.emit(Action{Kind: ActionReady})
	}
	j.sweeping = false
}

// retryLost asks the newest lost spare of each bucket, farthest bucket first, whether it is back: after a partition
// this is how the halves find each other.
func (c *Core) retryLost() {
	tried := 0
	for prefix := 0; prefix < len(c.buckets) && tried < probeLimit; prefix++ {
		spares := c.buckets[prefix].spares
		for k, i := range spares {
			s := &c.slots[i]
			if !s.has(isLost) || s.refs > 0 {
				continue
			}
			copy(spares[k:], spares[k+1:]) // the next round asks another one first
			spares[len(spares)-1] = i
			c.probe(s.contact, false)
			tried++
			break
		}
	}
}
