package engine

import (
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/opcode"
)

// A Stream is the ordered bytes between two peers as a net.Conn, carried in messages of opcode.BytesCode: one per pair,
// both directions. What is not read yet costs the sender credit, so a slow reader slows its writer down, with at most one
// receive window in memory. Other messages pass beside it.
//
// Close sends an empty message, which is the end of the stream for the other side; the connection stays. Methods may be
// called from any goroutine except a loop's.
type Stream struct {
	peer *PeerClient

	mu       sync.Mutex
	buf      []byte // received and not read
	at       int    // how much of buf has been read
	lent     int    // how much counts against the node's memory
	err      error  // what Read returns when buf is empty
	shut     bool   // Close has been called
	readable chan struct{}
	closed   chan struct{} // by Close

	tail  sync.Mutex // around what is queued, so that nothing is behind the end
	ended bool       // the end has been queued; under tail

	readBy  deadline
	writeBy deadline
}

var _ net.Conn = (*Stream)(nil)

// Stream returns the stream with this peer, opening it on this side if it is not. Bytes that come before anybody has
// called Stream are dropped: open it in PeerConnect, or before the peer is told to write. ErrClosed if the connection has
// ended, ErrBusy if the pair is moving to another (MoveTo): that one's PeerConnect is the place.
func (p *PeerClient) Stream() (*Stream, error) {
	if p.loop.here() {
		return p.openStream()
	}
	if p.net.onLoop() { // another one, which must not wait for this one
		return nil, ErrOnLoop
	}
	type result struct {
		s   *Stream
		err error
	}
	c := make(chan result, 1)
	if !p.loop.post(func() { s, err := p.openStream(); c <- result{s, err} }) {
		return nil, ErrClosed
	}
	select {
	case r := <-c:
		return r.s, r.err
	case <-p.loop.over:
		return nil, ErrClosed
	}
}

func (p *PeerClient) openStream() (*Stream, error) {
	if err := p.mayBind(); err != nil {
		return nil, err
	}
	if p.dg != nil {
		return nil, ErrUnreliable
	}
	in := p.inbound()
	if in.stream == nil {
		in.stream = &Stream{peer: p, readable: make(chan struct{}, 1), closed: make(chan struct{})}
		in.stream.readBy.init()
		in.stream.writeBy.init()
	}
	return in.stream, nil
}

// take adds what has come. On the loop. The bytes are consumed when they are read.
func (s *Stream) take(b []byte) {
	s.mu.Lock()
	var full error
	switch {
	case len(b) == 0:
		s.failLocked(io.EOF)
	case s.err == nil && !s.shut:
		if full = s.peer.net.bufs.Reserve(len(b)); full != nil {
			break
		}
		s.lent += len(b)
		if s.at > 0 && len(s.buf)+len(b) > cap(s.buf) { // what has been read makes room first
			s.buf, s.at = s.buf[:copy(s.buf, s.buf[s.at:])], 0
		}
		s.buf = append(s.buf, b...)
		s.peer.loop.held -= len(b)
	}
	s.mu.Unlock()
	if full != nil {
		s.peer.end(&Fault{Ours, Close, CodeLimit, full})
	}
	s.signal()
}

// giveBackLocked ends the counting of n bytes against the node's memory.
func (s *Stream) giveBackLocked(n int) {
	n = min(n, s.lent)
	s.lent -= n
	s.peer.net.bufs.Release(n)
}

func (s *Stream) signal() {
	select {
	case s.readable <- struct{}{}:
	default:
	}
}

func (s *Stream) failLocked(err error) {
	if s.err == nil {
		s.err = err
	}
}

// lost: the connection has ended. On the loop.
func (s *Stream) lost(err error) {
	s.mu.Lock()
	s.failLocked(err)
	s.giveBackLocked(s.lent) // what is left may never be read, and is no peer's any more
	s.mu.Unlock()
	s.signal()
}

// Read reads what has come, waiting for it until the read deadline: os.ErrDeadlineExceeded. io.EOF after the other side's
// Close.
func (s *Stream) Read(b []byte) (int, error) {
	if s.peer.net.onLoop() {
		return 0, ErrOnLoop
	}
	for {
		select {
		case <-s.readBy.passed():
			s.signal() // for another reader
			return 0, os.ErrDeadlineExceeded
		default:
		}
		s.mu.Lock()
		if n := copy(b, s.buf[s.at:]); n > 0 || len(b) == 0 {
			s.readLocked(n)
			s.mu.Unlock()
			return n, nil
		}
		err := s.err
		if s.shut {
			err = net.ErrClosed
		}
		s.mu.Unlock()
		if err != nil {
			s.signal() // for another reader
			return 0, err
		}
		select {
		case <-s.readable:
		case <-s.readBy.passed():
			return 0, os.ErrDeadlineExceeded
		}
	}
}

// readLocked gives the credit of n bytes back.
func (s *Stream) readLocked(n int) {
	s.giveBackLocked(n)
	s.at += n
	if s.at == len(s.buf) {
		s.buf, s.at = s.buf[:0], 0
		if cap(s.buf) > framing.FramePayloadLimit {
			s.buf = nil
		}
	}
	if n > 0 {
		p := s.peer
		p.loop.post(func() {
			p.consume(n)
			p.grant()
		})
	}
	if len(s.buf) > 0 {
		s.signal()
	}
}

// Write sends b, waiting for room until the write deadline: os.ErrDeadlineExceeded, and how much was sent. It may be read
// long after Write has returned.
func (s *Stream) Write(b []byte) (int, error) {
	sent := 0
	for sent < len(b) || len(b) == 0 {
		select {
		case <-s.closed:
			return sent, net.ErrClosed
		case <-s.writeBy.passed():
			return sent, os.ErrDeadlineExceeded
		default:
		}
		if len(b) == 0 {
			return 0, nil
		}
		part := b[sent:min(len(b), sent+framing.FramePayloadLimit)]
		if err := s.send(part); err != nil {
			return sent, err
		}
		sent += len(part)
	}
	return sent, nil
}

// send queues one message within the write deadline.
func (s *Stream) send(part []byte) error {
	err := s.queue(part)
	for err == ErrSendBufferFull {
		if s.peer.net.onLoop() {
			return ErrOnLoop
		}
		room := s.peer.room()
		if err = s.queue(part); err != ErrSendBufferFull {
			break
		}
		select {
		case <-room:
		case <-s.writeBy.passed():
			return os.ErrDeadlineExceeded
		case <-s.closed:
			return net.ErrClosed
		}
	}
	return err
}

// queue queues one message, if there is room and the end is not there yet.
func (s *Stream) queue(part []byte) error {
	s.tail.Lock()
	defer s.tail.Unlock()
	if s.ended {
		return net.ErrClosed
	}
	return s.peer.queue(laneBulk, true, opcode.BytesCode, 0, 0, part)
}

// Close ends this side of the stream: the other side reads io.EOF after what was written before. What comes from there is
// dropped from now on. It does not wait: Reads and Writes that do end with net.ErrClosed.
func (s *Stream) Close() error {
	s.mu.Lock()
	was := s.shut
	s.shut = true
	left := len(s.buf) - s.at
	s.readLocked(left)
	s.mu.Unlock()
	s.signal()
	if was {
		return nil
	}
	close(s.closed)
	p := s.peer
	s.tail.Lock()
	s.ended = true
	p.endStream()
	s.tail.Unlock()
	p.loop.post(func() {
		if p.in != nil && p.in.stream == s {
			p.in.stream = nil
		}
	})
	return nil
}

// endStream queues the end of the stream behind all that waits, however much that is. If there is no memory for it, it does so later:
// the other side waits for it.
func (p *PeerClient) endStream() {
	p.mu.Lock()
	if p.send.err != nil || !p.send.open {
		p.mu.Unlock()
		return
	}
	o := p.outboundLocked()
	err := o.lanes[laneBulk].Append(p.net.bufs, opcode.BytesCode, 0, 0, nil)
	if err == nil {
		o.queued += framing.FrameHeaderSize
	}
	start := err == nil && p.startLocked()
	p.mu.Unlock()
	switch {
	case start:
		p.loop.schedule(p)
	case err != nil:
		p.Loop().After(roomAgain, p.endStream)
	}
}

// LocalAddr and RemoteAddr are the ends of the connection.
func (s *Stream) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(s.peer.LocalAddr().AddrPort) }
func (s *Stream) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(s.peer.RemoteAddr().AddrPort) }

// SetDeadline sets both deadlines; the zero time means none.
func (s *Stream) SetDeadline(t time.Time) error {
	s.readBy.set(t)
	s.writeBy.set(t)
	return nil
}

// SetReadDeadline bounds Reads, those that wait now too.
func (s *Stream) SetReadDeadline(t time.Time) error { s.readBy.set(t); return nil }

// SetWriteDeadline bounds Writes, those that wait now too.
func (s *Stream) SetWriteDeadline(t time.Time) error { s.writeBy.set(t); return nil }

// A deadline closes a channel when its time comes.
type deadline struct {
	mu    sync.Mutex
	timer *time.Timer
	over  chan struct{}
}

func (d *deadline) init() { d.over = make(chan struct{}) }

func (d *deadline) passed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.over
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.over // the timer has fired or is about to
	}
	d.timer = nil
	select {
	case <-d.over:
		d.over = make(chan struct{})
	default:
	}
	if t.IsZero() {
		return
	}
	if in := time.Until(t); in > 0 {
		over := d.over
		d.timer = time.AfterFunc(in, func() { close(over) })
		return
	}
	close(d.over)
}
