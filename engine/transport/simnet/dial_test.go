package simnet_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
)

// TestDial: the dialler is told after a round trip, the other end half a trip later; the ends agree about their names.
func TestDial(t *testing.T) {
	n := simnet.New(1, simnet.Weather{Latency: 10 * time.Millisecond})
	a, b := newNode(t, n, ipA), newNode(t, n, ipB)
	n.SetPath(ipB, ipA, simnet.Weather{Latency: 5 * time.Millisecond})
	ea, eb := a.connect(b)
	if ea.openedAt != 15*time.Millisecond || eb.openedAt != 25*time.Millisecond {
		t.Errorf("opened at %v and %v, want 15ms and 25ms", ea.openedAt, eb.openedAt)
	}
	if ea.tag != "connect" || eb.tag != nil {
		t.Errorf("tags %v and %v", ea.tag, eb.tag)
	}
	if ea.Remote() != tcp(ipB, port) || eb.Local() != tcp(ipB, port) || ea.Local() != eb.Remote() || ea.Local().Addr() != ipA {
		t.Errorf("ends %v, %v", ea.Link, eb.Link)
	}
}

// TestDialLoss: a lost request is sent again after a second.
func TestDialLoss(t *testing.T) {
	late := 0
	for seed := range uint64(200) {
		n := simnet.New(seed, simnet.Weather{Loss: 0.2})
		ea, _ := newNode(t, n, ipA).connect(newNode(t, n, ipB))
		switch over := ea.openedAt - 2*time.Millisecond; {
		case over >= time.Second && over%time.Second == 0:
			late++
		case over != 0:
			t.Errorf("seed %d: opened after %v", seed, ea.openedAt)
		}
	}
	if late < 50 || late > 100 { // 1-0.8² of 200 is 72, and five standard deviations are 34
		t.Errorf("%d of 200 dials were late", late)
	}
}

// TestDialFails: every way for a dial to fail, when, and with what.
func TestDialFails(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name string
		ctx  context.Context
		to   transport.Addr
		at   time.Duration
		want error
	}{
		{"no host", t.Context(), tcp(nobody, port), 2 * time.Millisecond, simnet.ErrRefused},
		{"no listener", t.Context(), tcp(ipB, port+1), 2 * time.Millisecond, simnet.ErrRefused},
		{"silence", t.Context(), tcp(gone, port), 127 * time.Second, simnet.ErrTimeout},
		{"udp", t.Context(), transport.Addr{Proto: transport.UDP, AddrPort: netip.AddrPortFrom(ipB, port)}, time.Microsecond, simnet.ErrProto},
		{"no address", t.Context(), transport.Addr{}, time.Microsecond, simnet.ErrProto},
		{"context over", over, tcp(ipB, port), time.Microsecond, context.Canceled},
	} {
		n := simnet.New(1, simnet.Weather{})
		n.Host(gone).Vanish()
		a, b := newNode(t, n, ipA), newNode(t, n, ipB)
		a.Dial(c.ctx, c.to, c.name)
		if len(a.log) != 0 {
			t.Errorf("%s: told inside Dial", c.name)
		}
		n.Quiesce(time.Hour)
		if len(a.fails) != 1 || !errors.Is(a.fails[0], c.want) || n.Now() != c.at {
			t.Errorf("%s: %v at %v, want %v at %v", c.name, a.fails, n.Now(), c.want, c.at)
		}
		if len(a.links)+len(b.links) != 0 {
			t.Errorf("%s: a link all the same", c.name)
		}
	}
}

// TestDialContext: the end of the context is seen within 50 ms, and is nothing to an open link.
func TestDialContext(t *testing.T) {
	n := simnet.New(1, simnet.Weather{})
	n.Host(gone).Vanish()
	a, b := newNode(t, n, ipA), newNode(t, n, ipB)
	ctx, cancel := context.WithCancel(t.Context())
	a.Dial(ctx, tcp(gone, port), "silent")
	a.Dial(ctx, tcp(ipB, port), "open")
	n.Run(10 * time.Second)
	if len(a.links) != 1 || len(b.links) != 1 || len(a.fails) != 0 {
		t.Fatalf("%d and %d links, %v", len(a.links), len(b.links), a.fails)
	}
	cancel()
	n.Run(50 * time.Millisecond)
	if len(a.fails) != 1 || !errors.Is(a.fails[0], context.Canceled) {
		t.Errorf("50ms after the context ended: %v", a.fails)
	}
	if a.links[0].closed || n.Quiesce(0) != true {
		t.Error("the open link is closed, or something of the dial is left")
	}
}

// TestDialsEndInAnyOrder: dials that end out of order each have their one outcome.
func TestDialsEndInAnyOrder(t *testing.T) {
	n := simnet.New(1, simnet.Weather{})
	n.Host(gone).Vanish()
	a := newNode(t, n, ipA)
	var cancels []context.CancelFunc
	for i := range 6 {
		ctx, cancel := context.WithCancel(t.Context())
		cancels = append(cancels, cancel)
		a.Dial(ctx, tcp(gone, port), i)
	}
	for _, i := range []int{2, 0, 5, 3} {
		cancels[i]()
		n.Run(50 * time.Millisecond)
	}
	if len(a.fails) != 4 {
		t.Errorf("%d dials failed, want the 4 cancelled", len(a.fails))
	}
	if err := a.Stop(); err != nil {
		t.Error(err)
	}
	cancels[1]()
	cancels[4]()
	if len(a.fails) != 6 || !errors.Is(a.fails[4], transport.ErrClosed) || !errors.Is(a.fails[5], transport.ErrClosed) || n.Step() {
		t.Errorf("%v, want the last two ended by Stop", a.fails)
	}
}

// TestDialListenerGoes: a listener that stops before the dialler's first word leaves the dialler with a reset link.
func TestDialListenerGoes(t *testing.T) {
	n := simnet.New(1, simnet.Weather{})
	a, b := newNode(t, n, ipA), newNode(t, n, ipB)
	a.Dial(t.Context(), tcp(ipB, port), 1)
	n.RunUntil(func() bool { return len(a.links) == 1 }, time.Minute)
	a.links[0].write([]byte("hello"))
	if err := b.Stop(); err != nil {
		t.Fatal(err)
	}
	n.Quiesce(time.Minute)
	if ea := a.links[0]; ea.err != simnet.ErrReset || len(b.links) != 0 {
		t.Errorf("closed with %v, %d links at the other side", ea.err, len(b.links))
	}
}

// TestStart: what can be listened on, and that a failed Start leaves nothing bound.
func TestStart(t *testing.T) {
	any4, any6 := netip.IPv4Unspecified(), netip.IPv6Unspecified()
	mapped := netip.AddrFrom16(ipA.As16())
	for _, c := range []struct {
		name   string
		listen []transport.Addr
		want   []transport.Addr
		err    error
	}{
		{"nothing", nil, nil, nil},
		{"own", []transport.Addr{tcp(ipA, 1)}, []transport.Addr{tcp(ipA, 1)}, nil},
		{"mapped", []transport.Addr{tcp(mapped, 1)}, []transport.Addr{tcp(ipA, 1)}, nil},
		{"all", []transport.Addr{tcp(any4, 1), tcp(any6, 2)}, []transport.Addr{tcp(any4, 1), tcp(any6, 2)}, nil},
		{"free ports", []transport.Addr{tcp(ipA, 0), tcp(any4, 0)}, []transport.Addr{tcp(ipA, 32768), tcp(any4, 32769)}, nil},
		{"another's", []transport.Addr{tcp(ipA, 1), tcp(ipB, 1)}, nil, syscall.EADDRNOTAVAIL},
		{"twice", []transport.Addr{tcp(ipA, 1), tcp(any4, 1)}, nil, syscall.EADDRINUSE},
		{"taken", []transport.Addr{tcp(ipA, 1), tcp(ipA, port)}, nil, syscall.EADDRINUSE},
		{"udp", []transport.Addr{{Proto: transport.UDP, AddrPort: netip.AddrPortFrom(ipA, 1)}}, nil, simnet.ErrProto},
	} {
		n := simnet.New(1, simnet.Weather{})
		newNode(t, n, ipA)
		nd := &node{Host: n.Host(ipA), t: t, net: n}
		bound, err := nd.Start(nd, c.listen)
		if !errors.Is(err, c.err) || !slices.Equal(bound, c.want) {
			t.Errorf("%s: bound %v, %v; want %v, %v", c.name, bound, err, c.want, c.err)
		}
		if c.err == nil {
			continue
		}
		if _, err := nd.Start(nd, []transport.Addr{tcp(ipA, 1)}); err != nil {
			t.Errorf("%s: the failed Start kept a port: %v", c.name, err)
		}
	}
}

// TestSeveralAtOneAddress: hosts at one address are told apart by their ports, and one's end frees only its own.
func TestSeveralAtOneAddress(t *testing.T) {
	n := simnet.New(1, simnet.Weather{})
	c := newNode(t, n, ipC)
	var all []*node
	for i := range uint16(3) {
		nd := &node{Host: n.Host(ipA), t: t, net: n}
		if _, err := nd.Start(nd, []transport.Addr{tcp(netip.IPv4Unspecified(), 100+i)}); err != nil {
			t.Fatal(err)
		}
		all = append(all, nd)
	}
	all[1].Crash()
	for i, nd := range all {
		c.Dial(t.Context(), tcp(ipA, 100+uint16(i)), i)
		n.Quiesce(time.Minute)
		if want := map[bool]int{true: 1, false: 0}[i != 1]; len(nd.links) != want {
			t.Errorf("host %d has %d links, want %d", i, len(nd.links), want)
		}
	}
	if len(c.fails) != 1 {
		t.Errorf("failed dials: %v, want one", c.fails)
	}
}

// TestPortsOfAFailedStart: a host that could not start has no say over the ports it asked for.
func TestPortsOfAFailedStart(t *testing.T) {
	n := simnet.New(1, simnet.Weather{})
	c, first := newNode(t, n, ipC), &node{Host: n.Host(ipA), t: t, net: n}
	if _, err := first.Start(first, []transport.Addr{tcp(ipA, port), tcp(ipB, port)}); err == nil {
		t.Fatal("started at another's address")
	}
	second := newNode(t, n, ipA)
	if _, err := first.Start(first, nil); err != nil {
		t.Fatal(err)
	}
	if err := first.Stop(); err != nil {
		t.Error(err)
	}
	c.connect(second)
}

// TestHostAddress: a host has the address of one machine.
func TestHostAddress(t *testing.T) {
	n := simnet.New(1, simnet.Weather{})
	for _, a := range []netip.Addr{{}, netip.IPv4Unspecified(), netip.MustParseAddr("224.0.0.1")} {
		if caught(func() { n.Host(a) }) == nil {
			t.Errorf("a host at %v", a)
		}
	}
	for name, f := range map[string]func(){"no loops": func() { simnet.Loops(0) }, "no buffer": func() { simnet.SendBuffer(0) }} {
		if caught(f) == nil {
			t.Errorf("%s: taken", name)
		}
	}
	mapped := netip.AddrFrom16(ipA.As16())
	if got := n.Host(mapped).Addr(); got != ipA {
		t.Errorf("host at %v, want %v", got, ipA)
	}
}
