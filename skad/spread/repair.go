package spread

import (
	"math/bits"
	"slices"
	"time"

	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/skad"
)

// The tree loses whoever has only bad nodes above it. Repair finds these: everybody who has a message tells a few nodes
// drawn from the whole network, a few times, and who missed it asks. Whoever gets it that way does the same, so what
// the tree has left grows smaller with every round by itself.

// nextBeat draws when to announce next.
func (c *Core) nextBeat() time.Duration {
	return c.now + repairLeast + time.Duration(c.rnd.Int64N(int64(repairMost-repairLeast)+1))
}

// beat announces all messages that have rounds to go and have been here for long enough, in one Have to each of the
// contacts drawn.
func (c *Core) beat() {
	c.beatAt = Never
	n, ok := c.cache.oldestDue()
	if !ok {
		return
	}
	c.draw()
	from := len(c.ids)
	for ; n < c.cache.next && len(c.ids)-from < IDLimit; n++ {
		e := c.cache.at(n)
		if e.held == nil || e.held.rounds == 0 {
			continue
		}
		if c.now-e.at < repairLeast {
			break // it is still being pushed, and so is all that came later
		}
		e.held.rounds--
		for _, d := range c.chosen {
			e.held.offers = append(e.held.offers, offer{to: d.ID})
		}
		c.ids = append(c.ids, e.id)
	}
	if ids := c.ids[from:len(c.ids):len(c.ids)]; len(ids) > 0 {
		for _, d := range c.chosen {
			c.stats.Announced++
			c.send(d, Message{Op: opcode.BroadcastHaveCode, IDs: ids})
		}
	}
	if _, ok := c.cache.oldestDue(); ok {
		c.beatAt = c.nextBeat()
	}
}

// draw chooses contacts uniformly over the network, not over the table: half of all nodes are in bucket 0, a quarter in
// bucket 1, and so on.
func (c *Core) draw() {
	c.chosen = c.chosen[:0]
	buckets := c.buckets()
	for range drawTries {
		if len(c.chosen) == c.cfg.Fanout {
			return
		}
		prefix := bits.LeadingZeros64(c.rnd.Uint64())
		if prefix >= buckets {
			continue
		}
		c.near = c.table.Sharing(prefix, c.near[:0])
		if len(c.near) == 0 {
			continue
		}
		d := c.near[c.rnd.IntN(len(c.near))]
		if !slices.ContainsFunc(c.chosen, func(x *skad.Contact) bool { return x.ID == d.ID }) {
			c.chosen = append(c.chosen, d)
		}
	}
}

// A want is a message that we know to exist and do not have.
type want struct {
	id      MessageID
	until   time.Duration              // then the next source is asked
	sources [sourceLimit]*skad.Contact // the first was asked
	n       uint8
}

// offered takes a Have: what is missing is asked for, once; others who have it are remembered.
func (c *Core) offered(from *skad.Contact, ids []MessageID) {
	room := wantsPerPeer
	for i := range c.wants {
		if c.wants[i].sources[0].ID == from.ID {
			room--
		}
	}
	start := len(c.ids)
	for i := range ids {
		switch {
		case c.cache.find(&ids[i]) != nil:
		case c.alsoFrom(from, &ids[i]):
		case room <= 0 || len(c.wants) == wantLimit:
			c.count(skad.Busy)
		default:
			room--
			c.wants = append(c.wants, want{id: ids[i], until: c.now + wantTimeout, sources: [sourceLimit]*skad.Contact{from}, n: 1})
			c.ids = append(c.ids, ids[i])
		}
	}
	c.ask(from, c.ids[start:len(c.ids):len(c.ids)])
}

// alsoFrom notes that from has a message that is being asked for, and reports whether it is.
func (c *Core) alsoFrom(from *skad.Contact, id *MessageID) bool {
	i := c.wantOf(id)
	if i < 0 {
		return false
	}
	w := &c.wants[i]
	for _, s := range w.sources[:w.n] {
		if s.ID == from.ID {
			return true
		}
	}
	if w.n < sourceLimit {
		w.sources[w.n] = from
		w.n++
	}
	return true
}

func (c *Core) ask(from *skad.Contact, ids []MessageID) {
	if len(ids) > 0 {
		c.stats.Asked++
		c.send(from, Message{Op: opcode.BroadcastWantCode, IDs: ids})
	}
}

// wantOf returns which want is for that id, -1 if none.
func (c *Core) wantOf(id *MessageID) int {
	for i := range c.wants {
		if c.wants[i].id == *id {
			return i
		}
	}
	return -1
}

// dropWant ends a want, if there is one.
func (c *Core) dropWant(id *MessageID) {
	if i := c.wantOf(id); i >= 0 {
		c.endWant(i)
	}
}

func (c *Core) endWant(i int) {
	c.wants = slices.Delete(c.wants, i, i+1)
	if len(c.wants) == 0 && cap(c.wants) > wantsKept {
		c.wants = nil
	}
}

// failWant asks the next source if from was the one asked.
func (c *Core) failWant(from *skad.Contact, id *MessageID) {
	if i := c.wantOf(id); i >= 0 && c.wants[i].sources[0].ID == from.ID {
		c.nextSource(i)
	}
}

// failWants asks the next source for all that a peer was asked for.
func (c *Core) failWants(to *skad.Contact) {
	for i, left := 0, len(c.wants); left > 0; left-- { // those that are asked again go to the end
		if c.wants[i].sources[0].ID == to.ID {
			c.nextSource(i)
		} else {
			i++
		}
	}
}

// unkept ends the wait for the source of the first want.
func (c *Core) unkept() {
	c.blame(c.wants[0].sources[0], skad.SpreadUnkept)
	c.nextSource(0)
}

// nextSource asks somebody else for the message of want i, or gives it up.
func (c *Core) nextSource(i int) {
	w := c.wants[i]
	copy(w.sources[:], w.sources[1:])
	w.n--
	w.sources[w.n] = nil
	c.endWant(i)
	if w.n > 0 {
		w.until = c.now + wantTimeout
		c.wants = append(c.wants, w)
		c.ask(w.sources[0], c.keepIDs(w.id))
	}
}

// wanted answers a Want. Only what was announced to this peer is given, and once: 16 bytes must not be a lever for 64
// KiB, again and again.
func (c *Core) wanted(from *skad.Contact, ids []MessageID) {
	height := uint8(skad.CommonPrefix(c.self.ID, from.ID))
	unoffered := false
	for i := range ids {
		e := c.cache.find(&ids[i])
		if e == nil || e.held == nil {
			c.count(skad.SpreadGone)
			continue
		}
		if o, ok := e.held.takeOffer(&from.ID); ok {
			c.push(e.held, from, o.hop, height)
		} else {
			unoffered = true
		}
	}
	if unoffered {
		c.blame(from, skad.SpreadUnoffered)
	}
}
