package unixtransport

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
)

const (
	readBuffer = 64 << 10
	sendBuffer = 256 << 10 // what waits to be written; twice that at most
)

// A link is one connection.
type link struct {
	t             *Transport // fixed, as are the next three
	conn          *net.UnixConn
	local, remote transport.Addr

	owner any  // the loop's
	over  bool // the loop's: Closed has been called

	closing atomic.Bool
	taken   chan struct{} // the loop has taken what was read

	mu      sync.Mutex    // guards what follows
	pending []byte        // waits to be written
	writing bool          // there is a goroutine that does
	full    bool          // a Write was short
	ended   bool          // nothing more may be written
	done    chan struct{} // closed when the last byte has been
}

var _ transport.Link = (*link)(nil)

func (l *link) Loop() transport.Loop   { return l.t.loop }
func (l *link) Local() transport.Addr  { return l.local }
func (l *link) Remote() transport.Addr { return l.remote }
func (l *link) SetQueueLimit(int)      {} // a hint, not taken
func (l *link) SetOwner(owner any)     { l.owner = owner }
func (l *link) Owner() any             { return l.owner }

// run makes a link and is its reader. false: the transport has been stopped.
func (t *Transport) run(conn net.Conn, local, remote transport.Addr, tag any) bool {
	l := &link{t: t, conn: conn.(*net.UnixConn), local: local, remote: remote, taken: make(chan struct{}), done: make(chan struct{})}
	t.mu.Lock()
	open := t.running
	if open {
		t.links[l] = struct{}{}
	}
	t.mu.Unlock()
	if !open {
		_ = conn.Close()
		return false
	}
	t.loop.Post(func() { t.sink.Opened(l, tag) })
	err := l.read()
	l.CloseWrite()                        // before Closed: whoever is told of that finds no room any more
	t.loop.Post(func() { l.closed(err) }) // io.EOF is what the contract calls an orderly end, too
	_ = l.conn.SetWriteDeadline(time.Now().Add(lingerTimeout))
	<-l.done
	_ = l.conn.Close()
	t.mu.Lock()
	delete(t.links, l)
	t.mu.Unlock()
	return true
}

// read hands over what comes until nothing more does. After Close it only waits for the other side's end.
func (l *link) read() error {
	buf := make([]byte, readBuffer)
	for {
		n, err := l.conn.Read(buf)
		if err != nil {
			return err
		}
		if l.closing.Load() {
			continue
		}
		l.t.loop.Post(func() {
			if !l.over && !l.closing.Load() {
				l.t.sink.Bytes(l, buf[:n])
			}
			l.taken <- struct{}{}
		})
		<-l.taken
	}
}

// closed makes the last call, once. On the loop.
func (l *link) closed(err error) {
	if l.over {
		return
	}
	l.over = true
	if l.closing.Load() { // whatever the reader has met since then
		err = nil
	}
	l.t.sink.Closed(l, err)
}

// Close implements transport.Link. The loop makes the call; the reader ends when the other side has, or gives up.
func (l *link) Close() {
	if l.closing.Swap(true) {
		return
	}
	l.CloseWrite()
	l.t.loop.Post(func() { l.closed(nil) })
	_ = l.conn.SetReadDeadline(time.Now().Add(lingerTimeout))
}

// Write implements transport.Link: it takes what there is room for.
func (l *link) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return 0, transport.ErrClosed
	}
	n := min(len(b), sendBuffer-len(l.pending))
	l.pending = append(l.pending, b[:n]...)
	l.full = n < len(b)
	if len(l.pending) > 0 && !l.writing {
		l.writing = true
		l.t.work.Go(l.write)
	}
	return n, nil
}

// write writes what is pending until nothing is.
func (l *link) write() {
	for {
		l.mu.Lock()
		b := l.pending
		l.pending = nil
		if len(b) == 0 {
			l.writing = false
			if l.ended {
				l.finish()
			}
			l.mu.Unlock()
			return
		}
		if l.full {
			l.full = false
			l.t.loop.Post(func() {
				if !l.over && !l.closing.Load() {
					l.t.sink.Writable(l)
				}
			})
		}
		l.mu.Unlock()
		if _, err := l.conn.Write(b); err != nil { // the reader learns why
			l.mu.Lock()
			l.ended, l.pending = true, nil
			l.mu.Unlock()
		}
	}
}

// CloseWrite implements transport.Link.
func (l *link) CloseWrite() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	if !l.writing {
		l.finish()
	}
}

// finish ends our direction. Under mu; nothing is pending.
func (l *link) finish() {
	select {
	case <-l.done:
	default:
		_ = l.conn.CloseWrite()
		close(l.done)
	}
}
