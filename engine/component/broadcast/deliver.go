package broadcast

import (
	"time"

	"github.com/carrier-p2p/carrier/skad"
	"github.com/carrier-p2p/carrier/skad/spread"
)

// To returns a Config.Deliver that sends into a channel and says when it is full.
func To(ch chan<- Message) func(Message) bool {
	return func(m Message) bool {
		select {
		case ch <- m:
			return true
		default:
			return false
		}
	}
}

// deliveries are messages that wait for the application, in their order. They belong to the home loop.
type deliveries struct {
	queue []Message
	next  int
	bytes int
	at    time.Duration // when to try again, after the application had no room
	pause time.Duration
}

func (d *deliveries) len() int { return len(d.queue) - d.next }

// full reports whether no more may wait.
func (d *deliveries) full() bool { return d.len() >= deliverMessages || d.bytes >= deliverBytes }

func (d *deliveries) againAt() time.Duration {
	if d.len() == 0 {
		return spread.Never
	}
	return d.at
}

func (d *deliveries) push(m Message) {
	if d.next > 0 && len(d.queue) == cap(d.queue) {
		d.queue = append(d.queue[:0], d.queue[d.next:]...)
		clear(d.queue[len(d.queue):cap(d.queue)])
		d.next = 0
	}
	d.queue = append(d.queue, m)
	d.bytes += len(m.Payload)
}

func (d *deliveries) pop() {
	d.bytes -= len(d.queue[d.next].Payload)
	d.queue[d.next] = Message{}
	d.next++
	if d.next == len(d.queue) {
		d.queue, d.next = d.queue[:0], 0
		if cap(d.queue) > deliverKept {
			d.queue = nil
		}
	}
}

// deliverKept is the room that an application which keeps up needs.
const deliverKept = 16

// deliver queues a message for the application.
func (c *Component) deliver(from *skad.Contact, m *spread.Message) {
	if c.cfg.Deliver != nil {
		c.ready.push(messageOf(from, m))
	}
}

// deliverNext gives the application the next message, if there is one and it has room; it reports whether it has.
func (c *Component) deliverNext(now time.Duration) bool {
	d := &c.ready
	if d.len() == 0 || d.at > now {
		return false
	}
	taken := true // also if it panics: it would again, and nothing else be delivered any more
	defer func() {
		if taken {
			d.pause, d.at = 0, 0
			d.pop()
		}
	}()
	if taken = c.cfg.Deliver(d.queue[d.next]); !taken {
		d.pause = min(max(2*d.pause, deliverAgain), deliverMost)
		d.at = now + d.pause
		c.counts.refused++
	}
	return taken
}

// validate asks the application.
func (c *Component) validate(from *skad.Contact, m *spread.Message) spread.Verdict {
	if c.cfg.Validate == nil {
		return spread.Accept
	}
	v := messageOf(from, m)
	return c.cfg.Validate(&v)
}

func messageOf(from *skad.Contact, m *spread.Message) Message {
	return Message{
		ID: m.ID, Origin: m.Origin.ID(), Key: m.Origin, Seq: m.Seq, Hops: int(m.Hop), From: from.ID.Identity(), Payload: m.Payload,
	}
}
