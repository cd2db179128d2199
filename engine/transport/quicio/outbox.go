package quicio

import (
	"sync"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// An outbox holds datagrams until quic-go's own queue, which keeps its caller waiting when it is full, takes them. What finds
// it full, or no memory, is lost, as it would be on the way.
type outbox struct {
	link  *link
	limit int // 0: the other side takes none

	mu      sync.Mutex // guards what follows
	queue   [][]byte   // lent by the transport's mem
	sending bool
	ended   bool
}

func (o *outbox) init(l *link, takes bool) {
	o.link = l
	if takes {
		o.limit = unreliableLimit
	}
}

// UnreliableLimit implements transport.UnreliableLink.
func (l *link) UnreliableLimit() int { return l.outbox.limit }

// WriteUnreliable implements transport.UnreliableLink.
func (l *link) WriteUnreliable(b []byte) error { return l.outbox.write(b) }

func (o *outbox) write(b []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.ended || o.link.closing.Load():
		return transport.ErrClosed
	case len(b) > o.limit:
		return transport.ErrTooLong
	case len(o.queue) >= unreliableQueue:
		return nil
	}
	kept, err := o.link.t.mem.GrowToSend(nil, len(b))
	if err != nil {
		return nil
	}
	o.queue = append(o.queue, append(kept, b...))
	if !o.sending {
		o.sending = true
		o.link.t.running.Go(o.send)
	}
	return nil
}

// send empties the queue. A datagram that the path no longer has room for is lost.
func (o *outbox) send() {
	for b, ok := o.next(); ok; b, ok = o.next() {
		_ = o.link.conn.SendDatagram(b) // which keeps a copy
		o.link.t.mem.Put(b)
	}
}

// next is the next datagram to send; if there is none, send ends.
func (o *outbox) next() (b []byte, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended {
		for _, b := range o.queue {
			o.link.t.mem.Put(b)
		}
		o.queue = nil
	}
	if len(o.queue) == 0 {
		o.queue, o.sending = nil, false
		return nil, false
	}
	b, o.queue = o.queue[0], o.queue[1:]
	return b, true
}

// end lets what waits be lost.
func (o *outbox) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
}
