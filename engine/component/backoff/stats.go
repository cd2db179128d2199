package backoff

import (
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// Stats are counters since the component was made, and what is now.
type Stats struct {
	Waiting  int // peers waited for
	Dialling int // dials under way

	Lost        int64 // connections that broke and whose peers were waited for
	Dials       int64
	Failed      int64 // dials that failed
	Reconnected int64 // peers that came back, whoever dialled
	Forgotten   int64 // peers that were waited for, or had come back, and then said goodbye
	GivenUp     int64 // after Attempts
	Dropped     int64 // not waited for, because of Peers
	Woken       int64 // times everybody was tried at once
}

// Stats returns the counters.
func (c *Component) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Dialling = c.dialling
	for _, l := range c.order {
		if l.open == nil && !l.disabled && len(l.addrs) > 0 {
			s.Waiting++
		}
	}
	return s
}

// A Peer is what is known of one peer.
type Peer struct {
	ID        identity.ID
	Addrs     []transport.Addr
	Enabled   bool
	Disabled  bool
	Connected bool
	Dialling  bool
	Failures  int           // in a row
	DialIn    time.Duration // until the next dial; 0: now, or not at all
	Err       error         // of the last dial, or how the connection ended
}

// Peers are those that are waited for, have just come back, or are enabled or disabled, in the order in which they came.
func (c *Component) Peers() []Peer {
	c.mu.Lock()
	defer c.mu.Unlock()
	var now time.Duration
	if c.net != nil {
		now = c.net.Now()
	}
	all := make([]Peer, len(c.order))
	for i, l := range c.order {
		all[i] = Peer{ID: l.id, Addrs: append([]transport.Addr(nil), l.addrs...), Enabled: l.enabled, Disabled: l.disabled,
			Connected: l.open != nil, Dialling: l.dialling, Failures: l.failures, Err: l.err}
		if l.open == nil && !l.disabled && !l.dialling {
			all[i].DialIn = max(0, l.dialAt-now)
		}
	}
	return all
}
