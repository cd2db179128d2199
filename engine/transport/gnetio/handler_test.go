package gnetio

import (
	"testing"

	"github.com/panjf2000/gnet/v2"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// fakeConn is a connection of the reactor's with something to read.
type fakeConn struct {
	gnet.Conn
	ctx any
	in  []byte
}

func (c *fakeConn) Context() any             { return c.ctx }
func (c *fakeConn) Next(int) ([]byte, error) { b := c.in; c.in = nil; return b, nil }

// fakeReactor is a loop of the reactor's that counts what it closes.
type fakeReactor struct {
	gnet.EventLoop
	closed int
}

func (r *fakeReactor) Close(gnet.Conn) error { r.closed++; return nil }

// TestOnTraffic: what a handler does with a readable link, by what has been asked of the link before and during it.
func TestOnTraffic(t *testing.T) {
	for _, c := range []struct {
		name          string
		before, while bool // Close is called before, while the Sink has the bytes
		in            string
		calls         int
		action        gnet.Action
	}{
		{"bytes", false, false, "abc", 1, gnet.None},
		{"nothing", false, false, "", 0, gnet.None},
		{"closed before", true, false, "abc", 0, gnet.Close},
		{"closed by the sink", false, true, "abc", 1, gnet.Close},
	} {
		p := newProbe()
		calls := 0
		p.bytes = func(l transport.Link, b []byte) {
			calls++
			if c.while {
				l.Close()
			}
		}
		tr := New(Config{})
		tr.sink = p
		l := &link{lp: newLoop(tr, nil, 0)}
		if c.before {
			l.Close()
		}
		conn := &fakeConn{ctx: l, in: []byte(c.in)}
		if action := (&handler{t: tr}).OnTraffic(conn); action != c.action || calls != c.calls {
			t.Errorf("%s: %d calls, action %v; want %d, %v", c.name, calls, action, c.calls, c.action)
		}
		if conn.in != nil {
			t.Errorf("%s: bytes were left for the reactor to copy", c.name)
		}
	}
}

// TestPosted: what a loop does for a link that asked for it.
func TestPosted(t *testing.T) {
	for _, c := range []struct {
		name     string
		l        func(*link)
		writable int
		closes   int
	}{
		{"nothing to do", func(*link) {}, 0, 0},
		{"room", func(l *link) { l.blocked, l.room = true, true }, 1, 0},
		{"close", func(l *link) { l.closing.Store(true) }, 0, 1},
		{"close and room", func(l *link) { l.blocked, l.room = true, true; l.closing.Store(true) }, 0, 1},
		{"broken", func(l *link) { l.errno = 1 }, 0, 1},
		{"broken with room", func(l *link) { l.errno, l.blocked, l.room = 1, true, true }, 0, 1},
		{"gone", func(l *link) { l.gone, l.room = true, true; l.closing.Store(true) }, 0, 0},
	} {
		p := newProbe()
		writable := 0
		p.room = func(transport.Link) { writable++ }
		tr := New(Config{})
		tr.sink = p
		r := new(fakeReactor)
		l := &link{lp: newLoop(tr, r, 0)}
		c.l(l)
		l.posted()
		l.posted() // posted twice before the loop came to it
		closes := c.closes * 2
		if writable != c.writable || r.closed != closes {
			t.Errorf("%s: %d times Writable, %d closes; want %d, %d", c.name, writable, r.closed, c.writable, closes)
		}
	}
}

// TestClosedByWritable: a Close inside Writable closes at once.
func TestClosedByWritable(t *testing.T) {
	p := newProbe()
	p.room = func(l transport.Link) { l.Close() }
	tr := New(Config{})
	tr.sink = p
	r := new(fakeReactor)
	l := &link{lp: newLoop(tr, r, 0), blocked: true, room: true}
	l.posted()
	if r.closed != 1 {
		t.Errorf("%d closes, want 1", r.closed)
	}
}
