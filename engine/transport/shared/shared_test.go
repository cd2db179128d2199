package shared_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/gnetio"
	"github.com/carrier-p2p/carrier/engine/transport/shared"
)

func TestMain(m *testing.M) {
	enginetest.VerifyMain(m)
}

const patience = 30 * time.Second

// A recorder is a Sink that tells what it is told over channels.
type recorder struct {
	opened chan transport.Link
	failed chan error
	bytes  chan string
	closed chan transport.Link
	turns  chan transport.Loop
	tags   sync.Map
}

func newRecorder() *recorder {
	return &recorder{make(chan transport.Link, 100), make(chan error, 100), make(chan string, 100), make(chan transport.Link, 100),
		make(chan transport.Loop, 1000), sync.Map{}}
}

func (r *recorder) Opened(l transport.Link, tag any) {
	l.SetOwner(r)
	r.tags.Store(l, tag)
	r.opened <- l
}
func (r *recorder) DialFailed(_ any, err error)      { r.failed <- err }
func (r *recorder) Bytes(_ transport.Link, b []byte) { r.bytes <- string(b) }
func (r *recorder) Writable(transport.Link)          {}
func (r *recorder) Closed(l transport.Link, _ error) { r.closed <- l }
func (r *recorder) Turn(lp transport.Loop)           { r.turns <- lp }
func (r *recorder) Refused(transport.Addr, error)    {}
func (r *recorder) Failed(error)                     {}

func wait[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

// hub shares a fresh transport, and ends it with the test.
func hub(t *testing.T) *shared.Hub {
	h, err := shared.New(gnetio.New(gnetio.Config{Loops: 2}), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// echo listens on loopback and sends everything back.
func echo(t *testing.T) transport.Addr {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() { l.Close(); serving.Wait() })
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				b := make([]byte, 1024)
				for {
					n, err := c.Read(b)
					if err != nil {
						return
					}
					c.Write(b[:n])
				}
			})
		}
	})
	return transport.Addr{Proto: transport.TCP, AddrPort: netip.MustParseAddrPort(l.Addr().String())}
}

func start(t *testing.T, p *shared.Port) *recorder {
	t.Helper()
	r := newRecorder()
	if _, err := p.Start(r, nil); err != nil {
		t.Fatal(err)
	}
	return r
}

// Each Port hears of its own links only, with its own tags, owners and loops.
func TestPortsAreApart(t *testing.T) {
	h, to := hub(t), echo(t)
	pa, pb := h.Port(), h.Port()
	a, b := start(t, pa), start(t, pb)
	pa.Dial(t.Context(), to, "a's")
	la := wait(t, "a's link", a.opened)
	pb.Dial(t.Context(), to, "b's")
	lb := wait(t, "b's link", b.opened)
	for _, x := range []struct {
		name string
		r    *recorder
		l    transport.Link
		port *shared.Port
	}{{"a", a, la, pa}, {"b", b, lb, pb}} {
		if tag, _ := x.r.tags.Load(x.l); tag != x.name+"'s" {
			t.Errorf("%s got the tag %v", x.name, tag)
		}
		if x.l.Loop() != x.port.Loops()[x.l.Loop().Index()] {
			t.Errorf("%s's link is on a loop that is not its port's", x.name)
		}
		if x.l.Remote() != to {
			t.Errorf("%s's link leads to %v", x.name, x.l.Remote())
		}
		if _, err := x.l.Write([]byte(x.name)); err != nil {
			t.Error(err)
		}
		if got := wait(t, "the echo", x.r.bytes); got != x.name {
			t.Errorf("%s got %q", x.name, got)
		}
	}
	if err := pa.Stop(); err != nil {
		t.Error(err)
	}
	if got := wait(t, "a's end", a.closed); got != la {
		t.Error("another link has been closed")
	}
	if _, err := lb.Write([]byte("still")); err != nil {
		t.Errorf("b's link after a's Stop: %v", err)
	}
	if got := wait(t, "the echo", b.bytes); got != "still" {
		t.Errorf("b got %q", got)
	}
	if err := pb.Stop(); err != nil {
		t.Error(err)
	}
}

// A loop of a Port goes by the clock of the loop that it is a share of, whoever else has one.
func TestPortsShareAClock(t *testing.T) {
	h := hub(t)
	pa, pb := h.Port(), h.Port()
	start(t, pa)
	start(t, pb)
	host := func(p *shared.Port, i int) transport.Loop { return p.Loops()[i].(transport.Guest).Host() }
	if host(pa, 0) != host(pb, 0) || host(pa, 0) == host(pa, 1) || host(pa, 1).Index() != 1 {
		t.Error("the loops are not guests of those that they are shares of")
	}
}

// Wakes and alarms reach the Port that asked, and no other; wakes before the turn count once.
func TestTurns(t *testing.T) {
	h := hub(t)
	pa, pb := h.Port(), h.Port()
	a, b := start(t, pa), start(t, pb)
	loop := pa.Loops()[0]
	loop.Wake()
	if got := wait(t, "a turn", a.turns); got != loop {
		t.Errorf("turn of loop %d", got.Index())
	}
	// An alarm is set on the loop: in a turn.
	set := make(chan struct{})
	c := &alarm{recorder: newRecorder(), on: func(lp transport.Loop) {
		select {
		case <-set:
		default:
			lp.WakeAt(lp.Now() + time.Millisecond)
			close(set)
		}
	}}
	pc := h.Port()
	if _, err := pc.Start(c, nil); err != nil {
		t.Fatal(err)
	}
	pc.Loops()[1].Wake()
	wait(t, "the turn that sets the alarm", c.turns)
	if got := wait(t, "the alarm", c.turns); got.Index() != 1 {
		t.Errorf("the alarm of loop %d", got.Index())
	}
	if len(b.turns) != 0 {
		t.Error("a Port that asked for nothing had a turn")
	}
}

type alarm struct {
	*recorder
	on func(transport.Loop)
}

func (a *alarm) Turn(lp transport.Loop) {
	a.on(lp)
	a.recorder.Turn(lp)
}

// What cannot be is said: listening, dialling nobody, work after the end.
func TestRefusals(t *testing.T) {
	h := hub(t)
	p := h.Port()
	at := transport.Addr{Proto: transport.TCP, AddrPort: netip.MustParseAddrPort("127.0.0.1:0")}
	if _, err := p.Start(newRecorder(), []transport.Addr{at}); !errors.Is(err, shared.ErrListen) {
		t.Errorf("listening: %v", err)
	}
	r := start(t, p)
	nobody := echo(t)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	p.Dial(gone, nobody, nil)
	if err := wait(t, "the failure", r.failed); err == nil {
		t.Error("a dial without a context succeeded")
	}
	ran := make(chan struct{})
	if !p.Offload(func() { close(ran) }) {
		t.Error("no worker")
	}
	wait(t, "the task", ran)
}
