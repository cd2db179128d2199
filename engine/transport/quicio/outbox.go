package quicio

import (
	"bytes"
	"sync"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// An outbox holds datagrams until quic-go's own queue, which keeps its caller waiting when it is full, takes them. What finds
// it full is lost, as it would be on the way.
type outbox struct {
	link  *link
	limit int // 0: the other side takes none

	mu      sync.Mutex // guards what follows
	queue   [][]byte
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
	o.queue = append(o.queue, bytes.Clone(b))
	if !o.sending {
		o.sending = true
		o.link.t.running.Go(o.send)
	}
	return nil
}

// send empties the queue. A datagram that the path no longer has room for is lost.
func (o *outbox) send() {
	for {
		o.mu.Lock()
		if len(o.queue) == 0 || o.ended {
			o.queue, o.sending = nil, false
			o.mu.Unlock()
			return
		}
		b := o.queue[0]
		o.queue = o.queue[1:]
		o.mu.Unlock()
		_ = o.link.conn.SendDatagram(b)
	}
}

// end lets what waits be lost.
func (o *outbox) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
}
