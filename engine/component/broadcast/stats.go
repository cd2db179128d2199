package broadcast

import (
	"sync"

	"github.com/carrier-p2p/carrier/skad"
	"github.com/carrier-p2p/carrier/skad/spread"
)

// Stats count since the start. What a node sees of the whole is in Duplicates and Missed.
type Stats struct {
	spread.Stats

	Flooded     uint64 // messages that found no room in the inbox
	Hasty       uint64 // announcements and requests of peers that send too many
	Overrun     uint64 // messages dropped unseen because the application was too far behind
	Refused     uint64 // times the application had no room
	Waiting     int    // messages that wait for the application now
	Dials       uint64 // connections tried, to send something
	DialsFailed uint64
	Unsent      uint64 // messages that did not go out: no connection, or no room in the send buffer
}

// Duplicates is how many copies of a message come on average beside the first: 3 to 6 in a healthy network, more where the
// delays between nodes are alike.
func (s *Stats) Duplicates() float64 {
	if s.Delivered == 0 {
		return 0
	}
	return float64(s.Dropped[skad.SpreadKnown]) / float64(s.Delivered)
}

// Missed is the share of the messages that the tree did not bring and repair did. One minus it is the coverage of the tree
// as seen from here; where it grows, many contacts are dead or pass nothing on.
func (s *Stats) Missed() float64 {
	if s.Delivered == 0 {
		return 0
	}
	return float64(s.Repaired) / float64(s.Delivered)
}

// counts are those of the home loop.
type counts struct{ hasty, overrun, refused, dials, dialsFailed, unsent uint64 }

// A ledger is what others may read of the counters. Any goroutine.
type ledger struct {
	mu    sync.Mutex
	stats Stats
}

// Stats returns the counters as they were after the last turn. Any goroutine.
func (c *Component) Stats() Stats {
	c.ledger.mu.Lock()
	defer c.ledger.mu.Unlock()
	return c.ledger.stats
}

// publish brings the ledger up to date.
func (c *Component) publish() {
	flooded := c.inbox.drops()
	c.ledger.mu.Lock()
	defer c.ledger.mu.Unlock()
	c.ledger.stats = Stats{
		Stats: c.core.Stats(), Flooded: flooded, Hasty: c.counts.hasty, Overrun: c.counts.overrun, Refused: c.counts.refused, Waiting: c.ready.len(),
		Dials: c.counts.dials, DialsFailed: c.counts.dialsFailed, Unsent: c.counts.unsent,
	}
}
