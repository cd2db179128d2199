package gnetio

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// Path:   readable socket -> OnTraffic -> Sink.Bytes. Runs once per readable event, on the link's loop.
// Cost:   0 allocations, 0 copies: the Sink gets the loop's read buffer. TestReceiveAllocs holds this.
// Bounds: one read of at most Config.ReadBuffer per link and turn.
// Keeps:  nothing: whatever a handler leaves, gnet would copy into a buffer per connection.

// A handler is the reactor's face of a Transport: gnet calls it, on the loops unless said otherwise. What a connection is,
// its context tells: *link, *anchor, *dial until it is opened, or nil for one that was accepted just now or turned away.
type handler struct {
	t     *Transport
	ready sync.Once
}

// OnBoot is called before the loops exist.
func (h *handler) OnBoot(e gnet.Engine) gnet.Action {
	h.t.engine = e
	return gnet.None
}

// OnTick is called on a goroutine of its own as soon as the loops exist, the only sign that they do, and then never again.
func (h *handler) OnTick() (time.Duration, gnet.Action) {
	h.ready.Do(func() { close(h.t.ready) })
	return transport.Never, gnet.None
}

// OnShutdown is called on the reactor's main goroutine; Stop needs nothing of it.
func (h *handler) OnShutdown(gnet.Engine) {}

// OnOpen makes a link of a connection, or turns it away.
func (h *handler) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	t := h.t
	lp := t.loops.of(t, c.EventLoop())
	switch ctx := c.Context().(type) {
	case *anchor:
		if lp.attach(ctx.outer) {
			ctx.lp = lp
		}
		return nil, gnet.None
	case *dial:
		return nil, t.openDialled(lp, c, ctx)
	default:
		return nil, t.openAccepted(lp, c)
	}
}

// openAccepted makes a link of an accepted connection. Above the link limit it is closed at once: the descriptor table
// must never fill, since a failing accept ends the whole reactor.
func (t *Transport) openAccepted(lp *loop, c gnet.Conn) gnet.Action {
	if t.hidden || t.stopping.Load() {
		return gnet.Close
	}
	remote, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return gnet.Close // closed before it was opened
	}
	if !t.takeSlot() {
		t.sink.Refused(addrOf(remote.AddrPort()), ErrLinkLimit)
		return gnet.Close
	}
	lp.links.Add(1)
	if remote.Zone != "" {
		// gnet takes the zone's bytes back into a pool when the connection ends.
		remote = &net.TCPAddr{IP: remote.IP, Port: remote.Port, Zone: strings.Clone(remote.Zone)}
	}
	return t.open(lp, c, remote, nil)
}

// openDialled makes a link of a dialled connection, which has its slot already.
func (t *Transport) openDialled(lp *loop, c gnet.Conn, d *dial) gnet.Action {
	d.opened.Store(true)
	remote := d.conn.RemoteAddr().(*net.TCPAddr)
	if remote.Zone != "" {
		// gnet would give the zone's bytes to a pool of its own when the connection ends. They are not gnet's: they
		// belong to package net. So the connection keeps the address without it, and the link one of its own.
		named := *remote
		remote.Zone = ""
		remote = &named
	}
	return t.open(lp, c, remote, d.tag)
}

// open is the beginning of a link.
func (t *Transport) open(lp *loop, c gnet.Conn, remote *net.TCPAddr, tag any) gnet.Action {
	l := &link{conn: c, lp: lp, remote: remote, fd: int32(c.Fd())}
	c.SetContext(l)
	awaitAnswers(c.Fd())
	t.sink.Opened(l, tag)
	return l.action()
}

// action is what the reactor does after a call about l: closing from inside the handler is the safe way for gnet.
func (l *link) action() gnet.Action {
	if l.closing.Load() {
		return gnet.Close
	}
	return gnet.None
}

// OnTraffic hands over what was read, in place.
func (h *handler) OnTraffic(c gnet.Conn) gnet.Action {
	b, _ := c.Next(-1)
	switch ctx := c.Context().(type) {
	case *link:
		if len(b) > 0 && !ctx.closing.Load() {
			h.t.sink.Bytes(ctx, b)
		}
		return ctx.action()
	case *anchor:
		if ctx.lp != nil {
			ctx.lp.turn()
		}
	}
	return gnet.None
}

// OnClose is the end of a connection; the descriptor is closed after it.
func (h *handler) OnClose(c gnet.Conn, err error) gnet.Action {
	switch ctx := c.Context().(type) {
	case *link:
		ctx.finish(err)
	case *anchor:
		if ctx.lp == nil {
			closeFD(ctx.outer) // a surplus one; the others are closed by loop.end
		}
	}
	return gnet.None
}

// A reactorLog takes the place of gnet's logger, which writes to standard output and is one for the whole process. It is
// silent, and remembers the last error for the case that the reactor ends of it.
type reactorLog struct{ last atomic.Pointer[string] }

func (*reactorLog) Debugf(string, ...any) {}
func (*reactorLog) Infof(string, ...any)  {}
func (*reactorLog) Warnf(string, ...any)  {}

func (g *reactorLog) Errorf(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	g.last.Store(&s)
}

func (g *reactorLog) Fatalf(format string, args ...any) { g.Errorf(format, args...) }

func (g *reactorLog) String() string {
	if s := g.last.Load(); s != nil {
		return *s
	}
	return "no reason given"
}
