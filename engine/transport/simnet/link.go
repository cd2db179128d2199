package simnet

import (
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/internal/invariant"
)

// What ends links and dials, besides io.EOF and transport.ErrClosed. Each wraps what a socket would report, so that
// errors.Is(err, syscall.ECONNRESET) and net.Error's Timeout work as they do there.
var (
	ErrReset   = fmt.Errorf("simnet: %w", syscall.ECONNRESET)
	ErrTimeout = fmt.Errorf("simnet: %w", syscall.ETIMEDOUT)
	ErrRefused = fmt.Errorf("simnet: %w", syscall.ECONNREFUSED)
)

// A Link is one end of a connection. The other end is a Link too.
//
//	idle ──Opened──▶ open ──Close──▶ closing ──▶ closed   by Close, Stop or the other side's end
//	                   └───────────────────────▶ dead     by a reset, a time-out or the host's crash
type Link struct {
	host   *Host // fixed, as all down to remote
	loop   *Loop
	peer   *Link
	number uint64
	local  transport.Addr
	remote transport.Addr

	owner any // the loop's

	// Under the Net's lock.
	state    linkState
	index    int     // in host.links plus one; 0: not there
	closing  pending // the end of the link, once it is sure
	closeErr error
	out      pipe
}

type linkState uint8

const (
	linkIdle    linkState = iota // the accepting end, before the other side's word has come
	linkOpen                     // Opened was called
	linkClosing                  // Close was called, Closed was not
	linkClosed                   // ended in order: what comes still is swallowed
	linkDead                     // ended at once: what comes is answered with a reset
)

var _ transport.Link = (*Link)(nil)

func newLink(h *Host, local, remote transport.Addr) *Link {
	h.net.linkSeq++
	l := &Link{host: h, loop: h.chooseLoop(), number: h.net.linkSeq, local: local, remote: remote}
	l.closing.owner = l
	l.out.from = l
	l.out.next.owner = &l.out
	l.out.room.owner = &l.out
	return l
}

// Loop implements transport.Link.
func (l *Link) Loop() transport.Loop { return l.loop }

// Local implements transport.Link.
func (l *Link) Local() transport.Addr { return l.local }

// Remote implements transport.Link.
func (l *Link) Remote() transport.Addr { return l.remote }

// SetOwner implements transport.Link.
func (l *Link) SetOwner(owner any) {
	l.loop.mustBeCurrent("Link.SetOwner")
	l.owner = owner
}

// Owner implements transport.Link.
func (l *Link) Owner() any {
	l.loop.mustBeCurrent("Link.Owner")
	return l.owner
}

// String returns both ends, for messages.
func (l *Link) String() string { return fmt.Sprintf("link %d %v -> %v", l.number, l.local, l.remote) }

// Write implements transport.Link. It takes what fits into the send buffer.
func (l *Link) Write(b []byte) (int, error) {
	n := l.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.tick()
	p := &l.out
	if l.state != linkOpen || p.fin {
		return 0, transport.ErrClosed
	}
	if p.blocked {
		invariant.Bug("simnet: bug: %v: Write after a short Write and before Writable", l)
	}
	taken := min(len(b), p.free(now))
	p.send(now, b[:taken])
	if taken < len(b) {
		p.blocked = true
		p.unblock(now)
	}
	return taken, nil
}

// CloseWrite implements transport.Link.
func (l *Link) CloseWrite() {
	n := l.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if l.state == linkOpen {
		l.out.end(n.tick())
	}
}

// Close implements transport.Link. It takes effect at a later event of the same instant.
func (l *Link) Close() {
	n := l.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if l.state != linkOpen {
		return
	}
	l.state, l.closeErr = linkClosing, nil
	n.schedule(&l.closing, n.tick())
}

// SetQueueLimit implements transport.Link: at most about size bytes wait for the line, which shows on lines with a Rate.
func (l *Link) SetQueueLimit(size int) {
	n := l.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	l.out.queueLimit = max(size, 0)
	n.queue.stop(&l.out.room)
	l.out.unblock(n.tick())
}

// fire ends the link, as Close or a broken connection has ordered.
func (l *Link) runs(*Net, *pending) *Host { return l.host }

func (l *Link) fire(n *Net, _ *pending) {
	err := l.closeErr
	if err == nil {
		l.shut()
	} else {
		l.die()
	}
	l.closed(n, err)
}

// closed leaves word that the link has ended.
func (l *Link) closed(n *Net, err error) {
	l.release()
	n.call.kind, n.call.host, n.call.loop, n.call.link, n.call.err = Closed, l.host, l.loop, l, err
}

// shut ends the link in order: what was written still leaves.
func (l *Link) shut() {
	l.host.net.queue.stop(&l.closing)
	l.host.net.queue.stop(&l.out.room)
	l.state = linkClosed
	l.out.end(l.host.net.time())
}

// die ends the link at once.
func (l *Link) die() {
	l.host.net.queue.stop(&l.closing)
	l.host.net.queue.stop(&l.out.room)
	l.state = linkDead
	l.out.drop()
}

// ended is the other side's orderly end. It ends this side too: the contract has no half of a link.
func (l *Link) ended(n *Net) {
	if l.state != linkOpen {
		return // its own Close is under way, or over
	}
	l.shut()
	l.closed(n, io.EOF)
}

// breakAt orders the end of an open link, with err.
func (l *Link) breakAt(at time.Duration, err error) {
	if l.state != linkOpen {
		return
	}
	l.closeErr = err
	l.host.net.schedule(&l.closing, at)
}

// hold and release keep host.links: the links that a Stop or a Crash would concern.
func (l *Link) hold() {
	l.host.links = append(l.host.links, l)
	l.index = len(l.host.links)
}

func (l *Link) release() {
	if l.index == 0 || l.state < linkClosed || !l.out.done {
		return
	}
	links := l.host.links
	last := links[len(links)-1]
	links[l.index-1], last.index = last, l.index
	links[len(links)-1] = nil
	l.host.links = links[:len(links)-1]
	l.index = 0
}
