package quicio

import (
	"context"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/postloop"
)

// A link is one connection with its one stream. Its reader is the goroutine of run, which lives until nothing is left of the
// connection.
//
//	open ──Close────────▶ closing: nothing more is handed over; what was written goes, then our end (FIN)
//	open ──their end────▶ the same, for the other side has closed, or will take what is still written and then close
//	     ──anything else▶ gone
type link struct {
	t      *Transport // fixed, as all down to the functions
	loop   *postloop.Loop
	conn   *quic.Conn
	stream *quic.Stream
	local  transport.Addr
	remote transport.Addr
	key    [32]byte

	deliverFunc, writableFunc, unreliableFunc func() // kept, so that posting them costs nothing

	// Owned by the loop.
	owner any
	over  bool // Closed has been called

	closing atomic.Bool // Close has been called

	chunk []byte        // what was read: the reader's, but the loop's between Post and taken
	lent  bool          // by the transport's mem; as chunk
	taken chan struct{} // holds one token: the loop is done with chunk

	datagram      []byte // the same for datagrams
	datagramTaken chan struct{}

	out    writer
	outbox outbox
}

var (
	_ transport.ProvenLink     = (*link)(nil)
	_ transport.UnreliableLink = (*link)(nil)
	_ transport.Keeper         = (*link)(nil)
)

// newLink makes the link of a connection whose stream is there. It fails when the transport has been stopped.
func (t *Transport) newLink(conn *quic.Conn, stream *quic.Stream, local, remote transport.Addr) (*link, error) {
	state := conn.ConnectionState()
	key, err := keyOf(&state.TLS)
	if err != nil {
		return nil, err
	}
	l := &link{
		t: t, loop: t.loopFor(), conn: conn, stream: stream, local: local, remote: remote, key: key,
		taken: make(chan struct{}, 1), datagramTaken: make(chan struct{}, 1),
	}
	l.taken <- struct{}{}
	l.deliverFunc, l.writableFunc, l.unreliableFunc = l.deliver, l.writable, l.deliverUnreliable
	l.out.init(l)
	l.outbox.init(l, state.SupportsDatagrams.Remote)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.phase != running {
		return nil, transport.ErrClosed
	}
	t.open[l] = struct{}{}
	return l, nil
}

func (l *link) Loop() transport.Loop   { return l.loop }
func (l *link) Local() transport.Addr  { return l.local }
func (l *link) Remote() transport.Addr { return l.remote }
func (l *link) PeerKey() [32]byte      { return l.key }
func (l *link) SetOwner(owner any)     { l.owner = owner }
func (l *link) Owner() any             { return l.owner }

// SetQueueLimit does nothing: what is not sent waits in the link, not in the kernel, and there is little of it.
func (l *link) SetQueueLimit(int) {}

// Write implements transport.Link.
func (l *link) Write(b []byte) (int, error) { return l.out.write(b) }

// Kept implements transport.Keeper. Datagrams do not count: they leave when the path has room, or are lost.
func (l *link) Kept() int { return l.out.kept() }

// CloseWrite ends our direction, after what was written.
func (l *link) CloseWrite() { l.out.end() }

// Close implements transport.Link.
func (l *link) Close() {
	if l.closing.Swap(true) {
		return
	}
	l.out.end() // before Closed: whoever is told of that finds no room any more
	l.loop.Post(func() { l.closed(nil) })
	_ = l.stream.SetReadDeadline(time.Now().Add(lingerTimeout)) // the other side may have no end
}

// closed makes the last call about the link, once. On the loop.
func (l *link) closed(err error) {
	if !l.over {
		l.over = true
		if l.closing.Load() {
			err = nil // our end may have been answered, and so heard of by the reader, before Close has come to say so
		}
		l.t.sink.Closed(l, err)
	}
}

// run tells the Sink of the link, reads it to its end, and sees to it that nothing is left.
func (l *link) run(tag any) {
	l.loop.Post(func() { l.t.sink.Opened(l, tag) })
	if l.t.unreliable != nil {
		l.t.running.Go(l.readUnreliable)
	}
	err := l.read()
	eof := errors.Is(err, io.EOF)
	first := l.out.hasEnded() // we had said that nothing more comes, before the other side did
	l.out.end()
	l.loop.Post(func() { l.closed(l.reason(err)) })
	l.outbox.end()
	if !errors.Is(err, os.ErrDeadlineExceeded) { // it has had its time
		l.linger(eof, first)
	}
	_ = l.conn.CloseWithError(codeNone, "")
	t := l.t
	t.mu.Lock()
	delete(t.open, l)
	t.mu.Unlock()
}

// reason is what ended a link that was not closed here.
func (l *link) reason(err error) error {
	var closed *quic.ApplicationError
	if errors.As(err, &closed) && closed.Remote && closed.ErrorCode == codeNone {
		return io.EOF // the other side has waited for our end and given up
	}
	return err
}

// linger keeps the connection until what was written has arrived. The side that ended first hears the other's end, which
// says that all has arrived there, and closes the connection. The other waits for that. If both have ended at the same
// moment each hears the other's end without knowing of its own: so there is a grace, in which quic-go sends again what was
// lost. A side that has heard the end and whose own words are not wanted any more has nothing to wait for.
func (l *link) linger(eof, first bool) {
	gone := l.conn.Context().Done()
	timer := time.NewTimer(lingerTimeout)
	defer timer.Stop()
	select {
	case <-l.out.done:
	case <-gone:
	case <-timer.C:
		return
	}
	if eof && l.out.hasFailed() {
		return
	}
	if eof && first {
		timer.Reset(min(lingerTimeout, graceRTTs*l.conn.ConnectionStats().SmoothedRTT+time.Millisecond))
	}
	select {
	case <-gone:
	case <-timer.C:
	}
}

// read hands the stream to the loop until it ends. It waits without a buffer, and takes one when something has arrived and the
// loop is done with what came before. What comes after Close is dropped.
func (l *link) read() error {
	var first [1]byte
	discarded, size := 0, smallRead
	for {
		_, _ = l.stream.Peek(first[:]) // the error comes from Read, too
		<-l.taken
		buf := l.chunkRoom(size)
		n, err := l.stream.Read(buf)
		l.chunk = l.chunk[:n]
		switch {
		case n == len(buf):
			size = largeRead
		case n <= smallRead:
			size = smallRead
		}
		if l.closing.Load() {
			if discarded += n; discarded > discardLimit {
				l.stream.CancelRead(0)
			}
		}
		l.loop.Post(l.deliverFunc)
		if err != nil {
			<-l.taken
			return err
		}
	}
}

// chunkRoom makes chunk ready to be read into.
func (l *link) chunkRoom(size int) []byte {
	var err error
	if l.chunk, err = l.t.mem.Grow(nil, size); err != nil {
		l.chunk = make([]byte, 0, smallRead)
	}
	l.lent = err == nil
	return l.chunk[:cap(l.chunk)]
}

// deliver hands over what was read. On the loop.
func (l *link) deliver() {
	if len(l.chunk) > 0 && !l.over && !l.closing.Load() {
		l.t.sink.Bytes(l, l.chunk)
	}
	if l.lent {
		l.t.mem.Put(l.chunk)
	}
	l.chunk = nil
	l.taken <- struct{}{}
}

// writable tells the Sink that there is room. On the loop.
func (l *link) writable() {
	if !l.over && !l.closing.Load() {
		l.t.sink.Writable(l)
	}
}

// readUnreliable hands datagrams to the loop until the connection ends.
func (l *link) readUnreliable() {
	for {
		b, err := l.conn.ReceiveDatagram(context.Background())
		if err != nil {
			return
		}
		l.datagram = b
		l.loop.Post(l.unreliableFunc)
		<-l.datagramTaken
	}
}

// deliverUnreliable is deliver for a datagram. On the loop.
func (l *link) deliverUnreliable() {
	if !l.over && !l.closing.Load() {
		l.t.unreliable.Unreliable(l, l.datagram)
	}
	l.datagramTaken <- struct{}{}
}
