package spread

import (
	"slices"

	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/skad"
)

// delegate passes a message on: in every bucket from that prefix on some contacts get it, each with the duty for
// whoever shares more bits with it than it shares with us. The first copy that a node gets decides its duty.
//
//	source  ├── bucket 0: half of the network ── 8 delegates, height 0 ──▶ each: buckets 1, 2, 3 ... of its own, 4 in each
//	        ├── bucket 1: a quarter           ── 8 delegates, height 1 ──▶ each: buckets 2, 3 ...
//	        └── ...
//
// All delegates of a bucket but one could be bad; all of them are with the probability f^beta, and then that part of
// the network is cut off. Near the source such a part is large, so beta is: 8 there, 4 at the next hop. Below that 2
// do, because every node is reached on several ways.
func (c *Core) delegate(h *held, prefix int) {
	beta, buckets := c.beta(h.hop), c.buckets()
	h.sent = slices.Grow(h.sent, beta*max(0, buckets-prefix))
	for ; prefix < buckets; prefix++ {
		c.choose(h, prefix, beta)
	}
}

// beta returns how many delegates a bucket gets from a node that the message reached with that hop.
func (c *Core) beta(hop uint8) int { return c.cfg.Beta[min(int(hop), len(c.cfg.Beta)-1)] }

// buckets returns how many prefixes the table has contacts for.
func (c *Core) buckets() int {
	if near := c.table.Closest(c.self.ID, 1, c.buf[:0]); len(near) > 0 {
		return skad.CommonPrefix(c.self.ID, near[0].ID) + 1
	}
	return 0
}

// choose gives a message to up to n random contacts of a bucket that do not have it from us yet, no two of one IP
// group, and returns how many there were.
func (c *Core) choose(h *held, prefix, n int) (found int) {
	c.near = c.table.Sharing(prefix, c.near[:0])
	for left := len(c.near); left > 0 && found < n; left-- {
		i := c.rnd.IntN(left)
		if found%2 == 0 {
			i = c.linkedFrom(i, left)
		}
		d := c.near[i]
		c.near[i] = c.near[left-1]
		if h.admits(d, uint8(prefix)) {
			h.sent = append(h.sent, delegation{to: d, bucket: uint8(prefix)})
			c.give(h, d, uint8(prefix))
			found++
		}
	}
	return found
}

// linkedFrom returns where, from i on and around, the next contact of the first n of the bucket stands that can be sent to
// at once; i if there is none.
func (c *Core) linkedFrom(i, n int) int {
	if c.cfg.Linked == nil {
		return i
	}
	for k := range n {
		if at := (i + k) % n; c.cfg.Linked(c.near[at]) {
			return at
		}
	}
	return i
}

// admits reports whether d may become a delegate of its bucket beside those that there are.
func (h *held) admits(d *skad.Contact, bucket uint8) bool {
	for i := range h.sent {
		s := &h.sent[i]
		if s.bucket == bucket && (s.to.ID == d.ID || !s.failed && s.to.SharesGroup(d)) {
			return false
		}
	}
	return d.Record.PublicKey != h.msg.Origin
}

// give sends a message to a delegate, or only its id where most of the nodes have a large payload already.
func (c *Core) give(h *held, to *skad.Contact, height uint8) {
	hop := min(h.hop, 254) + 1
	if len(h.msg.Payload) > announceAbove && h.hop >= pushHops {
		h.offers = append(h.offers, offer{to.ID, hop})
		c.stats.Announced++
		c.send(to, Message{Op: opcode.BroadcastHaveCode, ID: h.msg.ID, IDs: c.keepIDs(h.msg.ID)})
		return
	}
	c.push(h, to, hop, height)
}

func (c *Core) push(h *held, to *skad.Contact, hop, height uint8) {
	m := h.msg
	m.Hop, m.Height = hop, height
	c.stats.Sent++
	c.send(to, m)
}

// redelegate replaces a delegate that could not be reached.
func (c *Core) redelegate(h *held, to *skad.Contact) {
	at, tries := -1, 0
	for i := range h.sent {
		if h.sent[i].to.ID == to.ID && !h.sent[i].failed {
			at = i
		}
	}
	if at < 0 {
		return
	}
	h.sent[at].failed = true
	h.takeOffer(&to.ID)
	bucket := h.sent[at].bucket
	for i := range h.sent {
		if h.sent[i].bucket == bucket && h.sent[i].failed {
			tries++
		}
	}
	if tries <= retryLimit && c.choose(h, int(bucket), 1) > 0 {
		c.stats.Redelegated++
	} else {
		c.stats.Abandoned++
	}
}
