package ack

import "sync/atomic"

// Stats are counters since the component was made, and what waits now. Sent is always Acked + Failed + Waiting.
type Stats struct {
	Sent    int64 // messages that were accepted for sending
	Acked   int64 // of these, acknowledged
	Failed  int64 // given up, withdrawn, refused by the engine, or ended by Cleanup
	Waiting int64 // neither yet
	Resent  int64 // times a message was sent again

	Memory int64 // bytes that wait

	Delivered  int64 // messages of others that were handed over and taken
	Duplicates int64 // that came again, and were not handed over
	Refused    int64 // times a message was handed over and refused
	Unbegun    int64 // messages without a Begin before them: dropped, and sent again by their sender
	Late       int64 // acknowledgements of an epoch that has ended
	Faults     int64 // peers disconnected: ErrUnsent, ErrMalformed

	Inboxes  int // senders remembered, connected or not
	Outboxes int // peers that something waits for, or that are connected and were sent to
}

type counters struct {
	sent, acked, failed, resent, delivered, duplicates, refused, unbegun, late, faults atomic.Int64
}

// Stats returns the counters. Any goroutine.
func (c *Component) Stats() Stats {
	n := &c.counts
	s := Stats{
		Acked: n.acked.Load(), Failed: n.failed.Load(), Resent: n.resent.Load(), Memory: c.memory.Load(),
		Delivered: n.delivered.Load(), Duplicates: n.duplicates.Load(), Refused: n.refused.Load(), Unbegun: n.unbegun.Load(),
		Late: n.late.Load(), Faults: n.faults.Load(),
	}
	s.Sent = max(n.sent.Load(), s.Acked+s.Failed)
	s.Waiting = s.Sent - s.Acked - s.Failed
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Inboxes, s.Outboxes = len(c.inboxes), len(c.outboxes)
	return s
}
