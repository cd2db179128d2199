package broadcast

import (
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/skad"
)

// A peer is what is kept of somebody connected who has said something. It belongs to the home loop.
type peer struct {
	contact *skad.Contact

	score    int           // of broken rules, when it was last added to
	scoredAt time.Duration // then
	fullAt   time.Duration // when it may announce and ask as much as its burst again
}

// mayAnnounce takes note of an announcement or a request, and reports whether it is one too many.
func (p *peer) mayAnnounce(now time.Duration) bool {
	next := max(p.fullAt, now) + time.Second/announceRate
	if next-now > announceBurst*time.Second/announceRate {
		return false
	}
	p.fullAt = next
	return true
}

// charge adds to the score, from which time has taken off, and returns it.
func (p *peer) charge(now time.Duration, weight int) int {
	p.score = max(0, p.score-int((now-p.scoredAt)/forgiveEvery)) + weight
	p.scoredAt = now
	return p.score
}

// peer returns what is kept of a peer. What the core needs of one who is in no table is the proven key.
func (c *Component) peer(p *engine.PeerClient) *peer {
	id := p.ID()
	if x := c.peers[id]; x != nil {
		return x
	}
	x := &peer{}
	if rec, ok := p.Record(); ok {
		x.contact = skad.NewContact(*rec, c.cfg.Scope)
	} else {
		x.contact = &skad.Contact{ID: skad.IDOf(id)}
		x.contact.Record.PublicKey = p.PublicKey()
	}
	if p.Connected() { // or its end was told before, and nobody would remove it
		c.peers[id] = x
	}
	return x
}

// gone forgets a peer, unless it has come again meanwhile.
func (c *Component) gone(now time.Duration, p *engine.PeerClient) {
	id := p.ID()
	if _, again := c.net.ConnMgr().Peer(id); again {
		return
	}
	delete(c.peers, id)
	if c.linked != nil {
		c.linked.remove(skad.IDOf(id))
	}
	c.core.Disconnected(now, &skad.Contact{ID: skad.IDOf(id)})
}
