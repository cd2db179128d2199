package skad

import (
	"fmt"
	"slices"
	"time"

	"github.com/carrier-p2p/carrier/opcode"
)

// A LookupID names a lookup of one core; 0 is none.
type LookupID uint64

// LookupOptions say how a lookup goes. Zero means the default in force.
type LookupOptions struct {
	Paths int // d: disjoint paths; 0 means 8
	Width int // w: a path ends when its w closest contacts have answered; 0 means Count/Paths, at least 2
	Alpha int // open questions per path; 0 means 3 with one path, 2 with up to four, else 1
	Count int // how many contacts are wanted, all of them asked; 0 means Config.Siblings

	// StopAtKey ends the lookup as soon as a genuine record of the node whose ID is the key turns up: enough to dial
	// it. Nobody can forge one, so here, and only here, the first answer is as good as all.
	StopAtKey bool

	// Unfinished leaves out the last phase, in which the closest contacts of all paths are asked: for those that only
	// want to meet people.
	Unfinished bool

	From []*Contact // start also from these; at most PathLimit are used, and their records must be genuine
}

// withDefaults fills in, or says what is wrong.
func (o LookupOptions) withDefaults(cfg *Config) (LookupOptions, error) {
	if o.Count == 0 {
		o.Count = cfg.Siblings
	}
	if o.Paths == 0 {
		o.Paths = 8
	}
	if o.Paths < 0 || o.Paths > PathLimit || o.Count < 0 || o.Count > CountLimit || o.Width < 0 || o.Width > CountLimit || o.Alpha < 0 || o.Alpha > inFlightLimit {
		return o, fmt.Errorf("%w: %d paths (limit %d), width %d, alpha %d, count %d", ErrOptions, o.Paths, PathLimit, o.Width, o.Alpha, o.Count)
	}
	if o.Width == 0 {
		o.Width = max(2, o.Count/o.Paths)
	}
	if o.Alpha == 0 {
		switch {
		case o.Paths == 1:
			o.Alpha = 3
		case o.Paths <= 4:
			o.Alpha = 2
		default:
			o.Alpha = 1
		}
	}
	return o, nil
}

// A purpose says whose lookup it is.
type purpose uint8

const (
	forUser      purpose = iota
	forJoin              // of our own ID, from the seeds
	forNeighbour         // of our own ID, short, for the siblings' lists
	forBucket            // of a random key in a bucket
)

// A lookup asks for the contacts closest to a key, in two phases.
//
// Disjoint: paths that share no contact, each greedily towards the key. A contact is asked by the first path that comes
// to it and by no other (section 4.4 of the paper), so one liar spoils one path. A path ends when its Width closest
// live contacts have answered, which is what makes many paths affordable. A value is never returned before all paths
// have ended: stopping early is what lets one path speak for all.
//
// Finishing: the candidates of all paths are merged, and the closest Count of them are asked as far as they have not been.
// A contact that was silent although connected is asked once more, and given more time: a host that was busy for a moment is not
// missing. So is one whose session ended in order while the question was under way, and, where it says that it is now, one that was
// asked where it is no more.
//
// Invariant: no ID is live or waiting in two paths; open is the number of its open calls; at most askedLimit contacts
// are asked.
type lookup struct {
	id      LookupID
	index   uint16 // in Core.lookups
	key     ID
	opt     LookupOptions
	purpose purpose
	ask     uint8 // contacts wanted in each answer
	paths   []path
	final   path // the finishing phase
	finishing,
	timedOut bool
	reserve []candidate // of our own table, for paths that run dry
	claimed []ID        // everybody that was asked, in order
	near    []*Contact  // scratch of walk
	found   *Contact    // StopAtKey
	open    int
	again   int // questions that were asked a second time
	failed  int
	beganAt time.Duration
}

// A path is one greedy walk.
type path struct {
	list  shortlist
	asked []*Contact
	open  int
	done  bool
}

// finalPath is the number of the finishing phase in calls.
const finalPath = 0xff

// Lookup begins a lookup; an ActionLookup with its Result will follow. With an empty table it has no contacts in it.
// Errors are ErrBusy, or wrap ErrOptions.
func (c *Core) Lookup(now time.Duration, key ID, opt LookupOptions) (LookupID, error) {
	c.begin(now)
	defer c.end()
	opt, err := opt.withDefaults(&c.cfg)
	if err != nil {
		return 0, err
	}
	return c.startLookup(key, opt, forUser, max(c.cfg.K, opt.Count))
}

// startLookup begins a lookup whose options are complete; each answer may hold ask contacts.
func (c *Core) startLookup(key ID, opt LookupOptions, why purpose, ask int) (LookupID, error) {
	i := 0
	for i < len(c.lookups) && c.lookups[i] != nil {
		i++
	}
	if i == lookupLimit {
		c.count(Busy)
		return 0, ErrBusy
	}
	if i == len(c.lookups) {
		c.lookups = append(c.lookups, nil)
	}
	c.lookupSeq++
	l := &lookup{id: c.lookupSeq, index: uint16(i), key: key, opt: opt, purpose: why, ask: uint8(ask), beganAt: c.now}
	c.lookups[i] = l
	c.ends.set(l.index, c.now+c.cfg.LookupTimeout)
	c.touch(key)
	c.deal(l)
	c.step(l)
	return l.id, nil
}

// deal gives the closest contacts of the table to the paths in turn, K of them; the next ones are kept in reserve.
func (c *Core) deal(l *lookup) {
	var s selection
	closest((*tableRanking)(c), &c.self.ID, &l.key, min(shortlistLimit, CountLimit), &s)
	starts := make([]candidate, 0, s.n+len(l.opt.From))
	for _, d := range l.opt.From[:min(len(l.opt.From), PathLimit)] {
		if i := c.find(&d.ID); d.ID != c.self.ID && (i == 0 || !c.slots[i].has(isMember)) {
			starts = append(starts, l.candidate(d))
		}
	}
	for _, pos := range s.pos[:s.n] {
		starts = append(starts, l.candidate(c.slots[c.members[pos]].contact))
	}
	n := min(len(starts), max(c.cfg.K, l.opt.Paths, len(l.opt.From)))
	l.paths = make([]path, min(l.opt.Paths, max(1, n)))
	for i, cand := range starts[:n] {
		list := &l.paths[i%len(l.paths)].list
		if at, found := list.place(&l.key, cand.contact); !found {
			list.insert(at, cand, shortlistLimit)
		}
	}
	l.reserve = starts[n:]
	l.opt.From = nil
}

// candidate makes a start of a contact whose record is genuine.
func (l *lookup) candidate(d *Contact) candidate {
	return candidate{contact: d, word: d.ID[0] ^ l.key[0], hops: 1, checked: true}
}

// step moves every path as far as it goes without another answer, and the lookup into its next phase when all of them
// are done.
func (c *Core) step(l *lookup) {
	if l.found != nil {
		c.finish(l)
		return
	}
	if !l.finishing {
		done := true
		for i := range l.paths {
			c.walk(l, uint8(i))
			done = done && l.paths[i].done
		}
		if !done {
			return
		}
		c.merge(l)
	}
	if !l.opt.Unfinished {
		c.walk(l, finalPath)
	}
	if l.final.done || l.opt.Unfinished {
		c.finish(l)
	}
}

// path returns path number p and how it goes.
func (l *lookup) path(p uint8) (q *path, width, alpha int) {
	if p == finalPath {
		return &l.final, l.opt.Count, inFlightLimit
	}
	return &l.paths[p], l.opt.Width, l.opt.Alpha
}

// walk asks the closest candidates of a path that nobody has asked, as many as its width and the limits allow, and
// notes when the path is done. Of one IP group only so many count as a sibling list would hold: a thousand IDs of one
// host may all be closer than everybody else.
func (c *Core) walk(l *lookup, p uint8) {
	q, width, alpha := l.path(p)
	for !q.done {
		pending := false
		l.near = l.near[:0]
		for i := 0; i < len(q.list) && len(l.near) < width; i++ {
			cand := &q.list[i]
			switch {
			case cand.state == dead || cand.state == taken || crowd(l.near, cand.contact) >= c.cfg.GroupPerSiblings:
				continue
			case cand.state == live:
				l.near = append(l.near, cand.contact)
				continue
			case cand.state == fresh && l.claims(&cand.contact.ID):
				cand.state = taken
				continue
			case cand.state == fresh && q.open < alpha && l.open < inFlightLimit && len(l.claimed) < askedLimit:
				if c.banned(&cand.contact.ID) || !cand.checked && !c.signed(cand.contact, cand.source) {
					q.list = append(q.list[:i], q.list[i+1:]...)
					i--
					continue
				}
				cand.checked = true
				if !c.askCandidate(l, p, cand) {
					cand.state = dead
					continue
				}
			}
			l.near = append(l.near, cand.contact)
			pending = true
		}
		switch {
		case pending && (l.open > 0 || len(l.claimed) < askedLimit):
			return
		case !pending && len(l.near) < width && len(l.reserve) > 0:
			cand := l.reserve[0]
			l.reserve = l.reserve[1:]
			if at, found := q.list.place(&l.key, cand.contact); !found {
				q.list.insert(at, cand, shortlistLimit)
			}
		case p == finalPath && c.askAgain(l):
			return
		default:
			q.done = true
		}
	}
}

// askAgain gives those a second chance that were silent, or have moved, as far as they would be in the result, and reports whether there
// were any. Where nobody has answered it is we who are offline.
func (c *Core) askAgain(l *lookup) (asked bool) {
	if c.lastAt < l.beganAt {
		return false
	}
	list := l.final.list
	for i, near := 0, 0; i < len(list) && near < l.opt.Count; i++ {
		switch cand := &list[i]; {
		case cand.state == live:
			near++
		case cand.state == dead && cand.silent && cand.tries == 1 && l.open < inFlightLimit:
			if c.question(l, finalPath, cand) {
				l.again++
				asked = true
			}
		}
	}
	return asked
}

// claims reports whether id was asked already, by whichever path.
func (l *lookup) claims(id *ID) bool {
	for i := range l.claimed {
		if l.claimed[i] == *id {
			return true
		}
	}
	return false
}

// askCandidate asks a candidate that nobody has asked.
func (c *Core) askCandidate(l *lookup, p uint8, cand *candidate) bool {
	if !c.question(l, p, cand) {
		return false
	}
	q, _, _ := l.path(p)
	q.asked = append(q.asked, cand.contact)
	l.claimed = append(l.claimed, cand.contact.ID)
	return true
}

// question sends the question.
func (c *Core) question(l *lookup, p uint8, cand *candidate) bool {
	if !c.ask(cand.contact, callLookup, l.index, p, Message{Op: opcode.LookupNodeRequestCode, Key: l.key, Count: l.ask}) {
		return false
	}
	q, _, _ := l.path(p)
	cand.state = waiting
	cand.tries++
	q.open++
	l.open++
	return true
}

// lookupAnswered takes an answer of d for the lookup that owns the call. m is nil if there is none of use; silent says that
// none came although there was a connection, or one that ended in order.
func (c *Core) lookupAnswered(was call, d *Contact, m *Message, silent bool) {
	if was.owner == noOwner {
		if m != nil {
			c.mentions(d, m.Contacts, nil, nil, 0)
		}
		return
	}
	l := c.lookups[was.owner]
	l.open--
	q, _, _ := l.path(was.path)
	q.open--
	if l.finishing { // what a path has asked is in the merged list now
		q = &l.final
	}
	hops := uint8(1)
	if at, found := q.list.place(&l.key, d); found {
		cand := &q.list[at]
		hops = cand.hops
		if cand.state = live; m == nil {
			cand.state, cand.silent = dead, silent
			l.failed++
			if cand.gone(d) { // somebody has told us where it is, meanwhile
				cand.renew(d)
			}
		}
	}
	if m != nil {
		c.mentions(d, m.Contacts, l, q, hops)
	}
	c.step(l)
}

// mentions takes the contacts of an answer: each is looked at for the table, and those that pass become candidates of
// the path.
func (c *Core) mentions(by *Contact, list []*Contact, l *lookup, q *path, hops uint8) {
	for i, d := range list {
		if c.banned(&by.ID) {
			return // for what came before in this answer
		}
		if d != nil && crowd(list[:i], d) >= c.cfg.GroupPerReply {
			c.blame(by, CrowdedGroup)
			continue
		}
		if d != nil && repeats(list[:i], d) {
			c.blame(by, Duplicate)
			continue
		}
		use, checked := c.mentioned(d, by)
		if use == nil || l == nil {
			continue
		}
		if l.opt.StopAtKey && use.ID == l.key {
			if checked || c.signed(use, by) {
				l.found = use
			}
			continue
		}
		limit := shortlistLimit
		if l.finishing {
			limit = finalLimit
		}
		c.offer(&q.list, &l.key, candidate{contact: use, source: by, word: use.ID[0] ^ l.key[0], hops: min(hops, 254) + 1, checked: checked}, limit)
	}
}

// repeats reports whether list holds the ID of d.
func repeats(list []*Contact, d *Contact) bool {
	return slices.ContainsFunc(list, func(c *Contact) bool { return c != nil && c.ID == d.ID })
}

// finalLimit bounds the merged list: twice what may be wanted.
const finalLimit = 2 * CountLimit

// merge puts the candidates of all paths into one list, for each ID the one that has come farthest.
func (c *Core) merge(l *lookup) {
	l.finishing = true
	for i := range l.paths {
		for _, cand := range l.paths[i].list {
			if cand.state == taken {
				continue // stands in the list of the path that took it
			}
			at, found := l.final.list.place(&l.key, cand.contact)
			if found && cand.state != fresh && l.final.list[at].state == fresh {
				l.final.list[at] = cand
				continue
			}
			c.offer(&l.final.list, &l.key, cand, finalLimit)
		}
	}
	for i := range l.paths {
		for _, cand := range l.paths[i].list { // what another path has heard of one that was asked
			if at, found := l.final.list.place(&l.key, cand.contact); cand.state == taken && found && l.final.list[at].state == dead {
				c.offer(&l.final.list, &l.key, cand, finalLimit)
			}
		}
	}
	if l.purpose != forUser { // the answers leave out what we know, so nobody has mentioned these
		for _, cand := range l.reserve {
			c.offer(&l.final.list, &l.key, cand, finalLimit)
		}
		l.reserve = nil
	}
}

// finish ends a lookup. Its open questions stay open, for what they tell about the contacts.
func (c *Core) finish(l *lookup) {
	if !l.finishing {
		c.merge(l)
	}
	for k := range c.calls {
		if q := &c.calls[k]; q.nonce != 0 && q.kind == callLookup && q.owner == l.index {
			q.owner = noOwner
		}
	}
	c.lookups[l.index] = nil
	c.ends.stop(l.index)
	c.stats.Lookups++
	r := c.result(l)
	if l.purpose == forUser {
		c.emit(Action{Kind: ActionLookup, Result: r})
		return
	}
	c.maintained(l, r)
}

// touch notes that a lookup goes through the bucket of key.
func (c *Core) touch(key ID) {
	if prefix := CommonPrefix(c.self.ID, key); prefix < len(c.buckets) {
		c.buckets[prefix].lookedAt = tickOf(c.now)
	}
}
