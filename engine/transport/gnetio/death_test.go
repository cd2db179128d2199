package gnetio

import (
	"context"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/panjf2000/gnet/v2"
	reactor "github.com/panjf2000/gnet/v2/pkg/errors"
	"golang.org/x/sys/unix"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// waitUntil waits for what another goroutine does in its next few instructions.
func waitUntil(t testing.TB, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !cond(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal("still waiting")
		}
	}
}

// TestReactorDies: if the reactor ends by itself, every link is closed with a reason, the Sink is told once, dials fail,
// and Stop still cleans up.
func TestReactorDies(t *testing.T) {
	p := newProbe()
	tr, bound := start(t, Config{Loops: 2}, p, loopback())
	strangers(t, bound[0], 5)
	for range 5 {
		get(t, "a link", p.opened)
	}
	// What an accept that fails does: the loop's polling returns.
	kill := gnet.RunnableFunc(func(context.Context) error { return reactor.ErrEngineShutdown })
	if err := tr.loops.quietest().reactor.Execute(context.Background(), kill); err != nil {
		t.Fatal(err)
	}
	want(t, "Failed", get(t, "Failed", p.died), ErrReactor)
	for range 5 {
		want(t, "Closed", get(t, "an end", p.closed).err, ErrReactor)
	}
	tr.Dial(context.Background(), bound[0], nil)
	if err := get(t, "a failed dial", p.failed); err == nil {
		t.Error("a dial succeeded")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	tr.Dial(context.Background(), addrOf(ln.Addr().(*net.TCPAddr).AddrPort()), nil)
	want(t, "dial to a listener", get(t, "a failed dial", p.failed), ErrReactor)
	tr.Stop()
	if n := tr.links.Load(); n != 0 {
		t.Errorf("%d links are still counted", n)
	}
	for _, lp := range tr.Loops() {
		if n := lp.(*loop).links.Load(); n != 0 {
			t.Errorf("loop %d still counts %d links", lp.Index(), n)
		}
	}
	if n := len(p.died); n != 0 {
		t.Errorf("Failed was called %d times more", n)
	}
}

// TestReset: a reset is told as such, after the bytes that came before it; a write meanwhile says only that the link is
// closed.
func TestReset(t *testing.T) {
	p := newProbe()
	got := make(chan string, 100)
	p.bytes = func(_ transport.Link, b []byte) { got <- string(b) }
	_, bound := start(t, Config{Loops: 1}, p, loopback())
	for range 20 {
		c := strangers(t, bound[0], 1)[0]
		l := get(t, "a link", p.opened)
		c.Write([]byte("last words"))
		c.SetLinger(0)
		c.Close()
		for {
			if _, err := l.Write([]byte("x")); err != nil {
				want(t, "Write", err, transport.ErrClosed)
				break
			}
		}
		want(t, "Closed", get(t, "an end", p.closed).err, syscall.ECONNRESET)
		if len(got) != 1 || <-got != "last words" {
			t.Fatal("the reset came, and not the bytes before it")
		}
	}
}

// TestHalfReset: a reset that the reactor took for the end of the stream, since its poll saw the error before the rest, is
// told as a reset all the same, and an orderly end as an end.
func TestHalfReset(t *testing.T) {
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for linger, end := range map[int]error{0: syscall.ECONNRESET, -1: io.EOF} {
		p := newProbe()
		tr := New(Config{})
		tr.sink = p
		c := strangers(t, addrOf(ln.Addr().(*net.TCPAddr).AddrPort()), 1)[0]
		accepted, err := ln.AcceptTCP()
		if err != nil {
			t.Fatal(err)
		}
		defer accepted.Close()
		c.SetLinger(linger)
		c.Close()
		raw, err := accepted.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		err = raw.Control(func(fd uintptr) {
			if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1); n != 1 {
				t.Errorf("poll: %d, %v", n, err)
			}
			l := &link{lp: &loop{t: tr}, fd: int32(fd)}
			l.finish(syscallEOF())
		})
		if err != nil {
			t.Fatal(err)
		}
		want(t, "Closed", get(t, "an end", p.closed).err, end)
	}
}

// TestReason: what the reactor says of an end, and what Closed says.
func TestReason(t *testing.T) {
	tr := New(Config{})
	eof := &net.OpError{Op: "read", Err: syscall.Errno(0)}
	for _, c := range []struct {
		name              string
		err               error
		errno             syscall.Errno
		closing, stopping bool
		want              string
	}{
		{"local close", nil, 0, true, false, "<nil>"},
		{"local close of a reset link", syscall.ECONNRESET, syscall.EPIPE, true, false, "<nil>"},
		{"stop", nil, 0, false, true, "<nil>"},
		{"end", syscallEOF(), 0, false, false, "EOF"},
		{"end after a failed write", syscallEOF(), syscall.ECONNRESET, false, false, "write: connection reset by peer"},
		{"closed for a failed write", nil, syscall.ETIMEDOUT, false, false, "write: connection timed out"},
		{"closed for a failed write while stopping", nil, syscall.ETIMEDOUT, false, true, "write: connection timed out"},
		{"reset", syscall.ECONNRESET, syscall.EPIPE, false, false, "connection reset by peer"},
		{"other", eof, 0, false, false, eof.Error()},
		{"the reactor's own", nil, 0, false, false, ErrReactor.Error()},
	} {
		l := &link{lp: &loop{t: tr}}
		l.closing.Store(c.closing)
		tr.stopping.Store(c.stopping)
		err := l.reason(c.err, c.errno)
		if got := "<nil>"; err != nil {
			got = err.Error()
			if got != c.want {
				t.Errorf("%s: %q, want %q", c.name, got, c.want)
			}
		} else if got != c.want {
			t.Errorf("%s: nil, want %q", c.name, c.want)
		}
	}
}

// TestReactorLog: silent, but it has the last word.
func TestReactorLog(t *testing.T) {
	var g reactorLog
	g.Debugf("a %d", 1)
	g.Infof("b")
	g.Warnf("c")
	if s := g.String(); s != "no reason given" {
		t.Errorf("an empty log says %q", s)
	}
	g.Errorf("Accept() failed: %v", syscall.EMFILE)
	if s := g.String(); !strings.Contains(s, "too many open files") {
		t.Errorf("the log says %q", s)
	}
	g.Fatalf("%s", "done")
	if s := g.String(); s != "done" {
		t.Errorf("the log says %q", s)
	}
}

// syscallEOF is how the reactor reports an orderly end.
func syscallEOF() error { return os.NewSyscallError("read", io.EOF) }
