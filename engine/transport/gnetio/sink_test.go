package gnetio

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// A probe is a Sink that sends what it is told into channels, deep enough for any test here to read late.
type probe struct {
	opened  chan opening
	failed  chan error // DialFailed
	closed  chan ending
	died    chan error // Failed
	refused chan error
	turns   chan transport.Loop
	bytes   func(transport.Link, []byte) // may be nil
	room    func(transport.Link)         // may be nil
	turn    func(transport.Loop)         // in place of turns, may be nil
	once    sync.Once
}

type opening struct {
	transport.Link
	tag any
}

type ending struct {
	transport.Link
	err error
}

const deep = 8192

func newProbe() *probe {
	return &probe{
		opened:  make(chan opening, deep),
		failed:  make(chan error, deep),
		closed:  make(chan ending, deep),
		died:    make(chan error, deep),
		refused: make(chan error, deep),
		turns:   make(chan transport.Loop, deep),
	}
}

func (p *probe) Opened(l transport.Link, tag any)    { p.opened <- opening{l, tag} }
func (p *probe) DialFailed(_ any, err error)         { p.failed <- err }
func (p *probe) Closed(l transport.Link, err error)  { p.closed <- ending{l, err} }
func (p *probe) Failed(err error)                    { p.died <- err }
func (p *probe) Refused(_ transport.Addr, err error) { p.refused <- err }
func (p *probe) Bytes(l transport.Link, b []byte) {
	if p.bytes != nil {
		p.bytes(l, b)
	}
}
func (p *probe) Writable(l transport.Link) {
	if p.room != nil {
		p.room(l)
	}
}
func (p *probe) Turn(lp transport.Loop) {
	if p.turn != nil {
		p.turn(lp)
		return
	}
	p.turns <- lp
}

// get takes the next value, or ends the test.
func get[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("still waiting: %s", what)
		panic("unreachable")
	}
}

// start starts a transport for a test, which stops it.
func start(t testing.TB, cfg Config, sink transport.Sink, listen ...transport.Addr) (*Transport, []transport.Addr) {
	t.Helper()
	tr := New(cfg)
	bound, err := tr.Start(sink, listen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tr.Stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
	return tr, bound
}

// strangers opens n connections from plain sockets, closed at the end of the test.
func strangers(t testing.TB, to transport.Addr, n int) []*net.TCPConn {
	t.Helper()
	conns := make([]*net.TCPConn, n)
	for i := range conns {
		c, err := net.Dial("tcp", to.AddrPort.String())
		if err != nil {
			t.Fatal(err)
		}
		conns[i] = c.(*net.TCPConn)
		t.Cleanup(func() { c.Close() })
	}
	return conns
}

// connect dials from a to b and returns both ends.
func connect(t testing.TB, a *Transport, pa, pb *probe, to transport.Addr) (la, lb *link) {
	t.Helper()
	a.Dial(context.Background(), to, t)
	oa := get(t, "the dialled end", pa.opened)
	ob := get(t, "the accepted end", pb.opened)
	return oa.Link.(*link), ob.Link.(*link)
}

// want holds that err is target.
func want(t testing.TB, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: %v, want %v", what, err, target)
	}
}
