package proxy

import (
	"errors"
	"io"
	"sync"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/opcode"
)

// Path:   engine -> [link.Write] -> messages to the relay … messages from the relay -> [link.receive] -> engine.
// Cost:   one copy each way besides those of the carrier; 0 allocations once its buffers have their size.
// Bounds: the circuit's window on the way out; what one event of the loop has brought on the way in.

// A link is one end of a circuit. It lives on its carrier's loop.
type link struct {
	links   *links
	carrier *engine.PeerClient
	loop    engine.Loop
	number  uint32

	mu      sync.Mutex
	sent    uint64
	allowed uint64
	owes    bool // Writable, since a short Write
	asked   bool // the carrier has been asked to tell when it has room
	endDue  bool // the end has to be said
	said    bool // and has been
	closed  bool // Close has been called, or the link has ended

	// Owned by the loop.
	owner   any
	opened  bool
	over    bool   // Closed has been called
	in      []byte // received and not handed over
	spare   []byte
	posted  bool
	why     error // what to hand over with Closed, after in
	ending  bool
	deliver func() // handOver, as a value that is made once
}

var _ transport.Link = (*link)(nil)

func newLink(s *links, carrier *engine.PeerClient, number uint32, window uint64) *link {
	l := &link{links: s, carrier: carrier, loop: carrier.Loop(), number: number, allowed: window}
	l.deliver = l.handOver
	return l
}

func (l *link) name() circuitName { return circuitName{l.carrier, l.number} }

// start tells the engine of the link.
func (l *link) start(tag any) {
	if l.over { // it has ended in the meantime
		if tag != nil {
			l.links.sink.DialFailed(tag, transport.ErrClosed)
		}
		return
	}
	l.opened = true
	l.links.sink.Opened(l, tag)
}

// Loop implements transport.Link.
func (l *link) Loop() transport.Loop { return l.loop.Port() }

// Local implements transport.Link.
func (l *link) Local() transport.Addr { return relayed(l.carrier.LocalAddr()) }

// Remote implements transport.Link: where the relay is.
func (l *link) Remote() transport.Addr { return relayed(l.carrier.RemoteAddr()) }

// relayed is the address of what goes through the node at a.
func relayed(a transport.Addr) transport.Addr {
	return transport.Addr{Proto: transport.Relay, AddrPort: a.AddrPort}
}

// SetOwner implements transport.Link, as do Owner and SetQueueLimit. There is no queue of its own to keep short: what is
// written is in the carrier's.
func (l *link) SetOwner(owner any) { l.owner = owner }
func (l *link) Owner() any         { return l.owner }
func (l *link) SetQueueLimit(int)  {}

// Write implements transport.Link.
func (l *link) Write(b []byte) (n int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.endDue {
		return 0, transport.ErrClosed
	}
	scratch := l.links.scratch.Get().(*[]byte)
	defer l.links.scratch.Put(scratch)
	for n < len(b) {
		size := min(len(b)-n, dataLimit, int(l.allowed-l.sent))
		if size == 0 {
			l.owes = true
			return n, nil
		}
		r := request{kind: kindUp, number: l.number, data: b[n : n+size]}
		*scratch = r.append((*scratch)[:0])
		switch err := l.carrier.TrySendRaw(opcode.ProxyRequestCode, *scratch); {
		case errors.Is(err, engine.ErrSendBufferFull):
			l.owes = true
			l.askLocked()
			return n, nil
		case err != nil:
			return n, transport.ErrClosed
		}
		n += size
		l.sent += uint64(size)
	}
	return n, nil
}

// askLocked has roomy called when the carrier has room.
func (l *link) askLocked() {
	if !l.asked {
		l.asked = true
		l.carrier.OnRoom(l.roomy)
	}
}

// roomy: the carrier has room. On the loop.
func (l *link) roomy() {
	l.mu.Lock()
	l.asked = false
	writable := l.owes && !l.closed && l.sent < l.allowed
	l.owes = l.owes && !writable
	l.sayEndLocked()
	l.mu.Unlock()
	if writable && l.opened && !l.over {
		l.links.sink.Writable(l)
	}
}

// allow: the relay has room for more. On the loop, within an event: Writable has to wait.
func (l *link) allow(total uint64) {
	l.mu.Lock()
	if total > l.allowed && total-l.sent <= windowMost {
		l.allowed = total
	}
	owes := l.owes && !l.asked
	l.asked = l.asked || owes
	l.mu.Unlock()
	if owes {
		l.loop.Post(l.roomy)
	}
}

// CloseWrite implements transport.Link.
func (l *link) CloseWrite() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.endDue = true
	l.sayEndLocked()
}

// sayEndLocked tells the relay that nothing more comes, if that is due.
func (l *link) sayEndLocked() {
	if !l.endDue || l.said || l.asked {
		return
	}
	r := request{kind: kindEndUp, number: l.number}
	var buf [8]byte
	if err := l.carrier.TrySendRaw(opcode.ProxyRequestCode, r.append(buf[:0])); errors.Is(err, engine.ErrSendBufferFull) {
		l.askLocked()
		return
	}
	l.said = true
}

// Close implements transport.Link.
func (l *link) Close() { l.end(nil) }

// end ends the link because of err; nil: this side wants it. Any goroutine; the first call counts.
func (l *link) end(err error) {
	l.mu.Lock()
	first := !l.closed
	l.closed, l.endDue = true, true
	l.sayEndLocked()
	l.mu.Unlock()
	if !first {
		return
	}
	l.links.remove(l)
	l.loop.Post(func() {
		l.in = nil
		l.finish(err)
	})
}

// ended: the other end says that nothing more comes. On the loop, within an event.
func (l *link) ended(why Reason) {
	if l.ending {
		return
	}
	l.ending, l.why = true, io.EOF
	if why != None {
		l.why = &RefusedError{why}
	}
	l.post()
}

// receive takes bytes. On the loop, within an event of the carrier's, whose messages must not be mixed with this one's.
func (l *link) receive(b []byte) {
	if l.ending || l.over {
		return
	}
	l.in = append(l.in, b...)
	l.post()
}

func (l *link) post() {
	if !l.posted {
		l.posted = l.loop.Post(l.deliver)
	}
}

// handOver gives the engine what has come. On the loop.
func (l *link) handOver() {
	l.posted = false
	if in := l.in; len(in) > 0 && l.opened && !l.over {
		l.in, l.spare = l.spare[:0], nil
		l.links.sink.Bytes(l, in)
		if cap(in) <= keepLimit {
			l.spare = in[:0]
		}
	}
	if l.ending && !l.over {
		l.mu.Lock()
		l.closed, l.endDue = true, true
		l.sayEndLocked()
		l.mu.Unlock()
		l.links.remove(l)
		l.finish(l.why)
	}
}

// finish is the last word to the engine. On the loop.
func (l *link) finish(err error) {
	if l.over || !l.opened {
		l.over = true
		return
	}
	l.over = true
	l.links.sink.Closed(l, err)
}
