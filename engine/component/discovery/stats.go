package discovery

import "github.com/carrier-p2p/carrier/skad"

// Stats are counters since Startup, and a few present values.
type Stats struct {
	Core        skad.Stats // what the core has asked, answered and dropped
	NetworkSize float64    // estimated from how close the siblings are; 0: too few to say
	Sessions    int        // open connections
	Kept        int        // of these, dialled for the overlay
	Dialling    int        // dials for the overlay under way

	Dials       int64 // addresses dialled for the overlay
	DialsFailed int64 // contacts of which no address answered, or for which there was no room
	NoRoom      int64 // of these, for want of a free place among Config.Peers of the node
	Unsent      int64 // messages that found no room, or no address
	Closed      int64 // idle connections ended

	Restored   int64 // contacts that came from the store at the start
	Saved      int64 // batches written to the store
	SaveErrors int64 // that could not be

	Malformed  int64 // messages that are none; each ended its connection
	Flood      int64 // questions above the rate of a peer
	Unasked    int64 // answers that nobody waited for
	Overrun    int64 // messages that found the inbox full
	Uncomputed int64 // answers dropped because the workers were busy
}

// Stats returns the counters. Any goroutine.
func (c *Component) Stats() Stats {
	c.mu.Lock()
	s := c.shown
	c.mu.Unlock()
	s.Malformed, s.Flood, s.Unasked = c.drops.malformed.Load(), c.drops.flood.Load(), c.drops.unasked.Load()
	s.Overrun, s.Uncomputed = c.drops.overrun.Load(), c.drops.uncomputed.Load()
	if w := c.writer; w != nil {
		s.Restored, s.Saved, s.SaveErrors = w.restored, w.saved.Load(), w.failed.Load()
	}
	return s
}
