package engine_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
)

// twoTransports gives a simulated node a second transport, which serves quic addresses, and listens on both.
func twoTransports(w *world) func(*engine.Config) {
	return func(c *engine.Config) {
		ip := c.Listen[0].Addr()
		c.MoreTransports = []transport.Transport{w.Net().Host(ip, simnet.Proto(transport.QUIC), simnet.Loops(3))}
		c.Listen = []transport.Addr{{Proto: transport.QUIC, AddrPort: netip.AddrPortFrom(ip, 0)}, c.Listen[0],
			{Proto: transport.QUIC, AddrPort: netip.AddrPortFrom(ip, 4001)}}
	}
}

// Addresses go to the transport that serves them, in both directions, and the bound ones keep the order of Listen.
func TestSeveralTransports(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{})
	c := &witness{}
	a := w.node(twoTransports(w), withWitness(c))
	addrs := a.Addrs()
	var protos []transport.Proto
	for _, at := range addrs {
		protos = append(protos, at.Proto)
		if at.Port() == 0 {
			t.Errorf("%v has no port", at)
		}
	}
	if want := []transport.Proto{transport.QUIC, transport.TCP, transport.QUIC}; !slices.Equal(protos, want) {
		t.Fatalf("bound %v, want protocols %v", addrs, want)
	}
	if addrs[2].Port() != 4001 {
		t.Errorf("bound %v where port 4001 was asked for", addrs[2])
	}
	if got := a.Record().Addrs; !slices.Equal(got, addrs) {
		t.Errorf("the record lists %v, want %v", got, addrs)
	}
	for i, at := range addrs {
		b := w.node(twoTransports(w), withWitness(&witness{}))
		p, err := w.TryDial(b, engine.Target{Addr: at, ID: a.ID()})
		if err != nil {
			t.Fatalf("dial %v: %v", at, err)
		}
		if p.RemoteAddr() != at {
			t.Errorf("dialled %v, connected to %v", at, p.RemoteAddr())
		}
		if err := p.TrySendRaw(opNote, []byte(at.String())); err != nil {
			t.Fatal(err)
		}
		w.Until("the note", func() bool { _, _, notes := c.count(); return notes == i+1 })
		q, ok := a.ConnMgr().Peer(b.ID())
		if !ok || q.LocalAddr().Proto != at.Proto {
			t.Fatalf("%v knows %v as %v", at, b.ID().Short(), q)
		}
		if i := q.Loop().Index(); i < 0 || i >= 5 || (i < 2) != (at.Proto == transport.TCP) {
			t.Errorf("a peer on %v is on loop %d; tcp has 0 and 1, quic 2 to 4", at, i)
		}
	}
}

// A peer that is connected over one transport is the peer, whichever address of it is dialled.
func TestDialOtherTransportOfPeer(t *testing.T) {
	w := simWorld(t, 2, simnet.Weather{})
	a, b := w.node(twoTransports(w)), w.node(twoTransports(w))
	first, err := w.TryDial(b, a.Target())
	if err != nil {
		t.Fatal(err)
	}
	again, err := w.TryDial(b, engine.Target{Addr: a.Addrs()[1], ID: a.ID()})
	if err != nil || again != first {
		t.Errorf("dialling the other address gives %v, %v; want the open peer", again, err)
	}
	// Without the ID the second connection is made and found to be the same pair's.
	third, err := w.TryDial(b, engine.Target{Addr: a.Addrs()[1]})
	if err != nil || third != first {
		t.Errorf("dialling without an ID gives %v, %v; want the open peer", third, err)
	}
}

func TestTransportsConfig(t *testing.T) {
	ip := netip.MustParseAddr("10.0.0.1")
	quic := transport.Addr{Proto: transport.QUIC, AddrPort: netip.AddrPortFrom(ip, 1)}
	for _, c := range []struct {
		name   string
		change func(w *world, c *engine.Config)
		want   []string
	}{
		{"listening on what nobody serves", func(w *world, c *engine.Config) { c.Listen = append(c.Listen, quic) },
			[]string{"address quic://10.0.0.1:1", "no transport serves this protocol: quic (there is tcp)"}},
		{"two for one protocol", func(w *world, c *engine.Config) {
			c.MoreTransports = []transport.Transport{w.Net().Host(ip)}
		}, []string{"tcp is served by two transports"}},
		{"one is missing", func(w *world, c *engine.Config) {
			c.MoreTransports = []transport.Transport{w.Net().Host(ip, simnet.Proto(transport.QUIC)), nil}
		}, []string{"MoreTransports[1] is missing"}},
		{"all at once", func(w *world, c *engine.Config) {
			c.MoreTransports = []transport.Transport{nil}
			c.Listen = []transport.Addr{quic}
		}, []string{"MoreTransports[0] is missing", "no transport serves"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := simWorld(t, 1, simnet.Weather{})
			cfg := w.config()
			c.change(w, &cfg)
			_, err := engine.New(cfg)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%v\nlacks %q", err, part)
				}
			}
		})
	}
}

func TestDialWhatNobodyServes(t *testing.T) {
	worlds(t, func(w *world) {
		a := w.node(nil)
		at := transport.Addr{Proto: transport.PrivateProto + 7, AddrPort: netip.MustParseAddrPort("127.0.0.1:1")}
		_, err := w.TryDial(a, engine.Target{Addr: at})
		if !errors.Is(err, engine.ErrNoTransport) || !strings.Contains(err.Error(), "proto-135 (there is "+a.Addrs()[0].Proto.String()+")") {
			w.Errorf("dialling %v: %v", at, err)
		}
	})
}

// If one transport cannot start, none has.
func TestStartAllOrNone(t *testing.T) {
	w := simWorld(t, 3, simnet.Weather{})
	cfg := w.config()
	twoTransports(w)(&cfg)
	cfg.Listen[2].AddrPort = netip.MustParseAddrPort("10.9.9.9:1") // not this machine
	n, err := engine.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Start(context.Background()); err == nil {
		t.Fatal("started on an address of another machine")
	}
	b := w.node(twoTransports(w)) // the same addresses
	if got := b.Addrs()[1].Port(); got != 4001 {
		t.Errorf("port %d", got)
	}
}

// Components see one clock: what is noted on one loop means the same on another.
func TestOneClock(t *testing.T) {
	w := simWorld(t, 4, simnet.Weather{})
	a := w.node(func(c *engine.Config) {
		twoTransports(w)(c)
		c.MoreTransports[0] = late{c.MoreTransports[0], w}
	})
	if now := a.Now(); now < time.Second {
		t.Fatalf("the network's time is %v: the second transport was to start a second later", now)
	}
	var seen []time.Duration
	record := &witness{}
	record.on = func(ctx *engine.ComponentContext) error { seen = append(seen, a.Now()-ctx.Now()); return nil }
	w.Do(func() {
		if err := a.AddComponent(record); err != nil {
			t.Error(err)
		}
	})
	for _, at := range a.Addrs()[:2] {
		b := w.node(twoTransports(w))
		p, err := w.TryDial(b, engine.Target{Addr: at})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.TrySendRaw(opNote, nil); err != nil {
			t.Fatal(err)
		}
		before := len(seen)
		w.Until("the note", func() bool { return len(seen) > before })
	}
	if len(seen) != 2 || seen[0] != 0 || seen[1] != 0 {
		t.Errorf("the network's clock and those of the loops differ by %v", seen)
	}
}

// late is a transport that takes a second to start.
type late struct {
	transport.Transport
	w *world
}

func (l late) Start(s transport.Sink, listen []transport.Addr) ([]transport.Addr, error) {
	l.w.Net().Run(time.Second)
	return l.Transport.Start(s, listen)
}
