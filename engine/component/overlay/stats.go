package overlay

import "sync"

// Stats count since the start.
type Stats struct {
	Sent          uint64 // own messages
	Resent        uint64 // of them sent once more, for want of a receipt
	Receipts      uint64 // of them received, as their receivers say
	Delivered     uint64 // messages of others, and own ones for which this node was the closest
	Refused       uint64 // times the application had no room
	Duplicates    uint64 // messages that came again
	Handed        uint64 // messages given to a connected node that is in nobody's table
	Undeliverable uint64 // messages for a node that is not here: it has gone, or this node is not its neighbour
	Flooded       uint64 // messages that found no room to wait in, of all or of their last hop
	Malformed     uint64 // routed messages that are not the component's
	Forged        uint64 // messages that their origin has not signed, or without its proof of work
	Neighbours    int    // how many closest nodes there are to be connected with
}

// A ledger is the counters. Any goroutine.
type ledger struct {
	mu    sync.Mutex
	stats Stats
}

func (l *ledger) set(f func(*Stats)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(&l.stats)
}

// Stats returns the counters. Any goroutine.
func (c *Component) Stats() Stats {
	c.ledger.mu.Lock()
	defer c.ledger.mu.Unlock()
	return c.ledger.stats
}
