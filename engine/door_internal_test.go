package engine

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// One host has a whole /64 of IPv6: its addresses count together.
func TestHalfOpenOfOneHost(t *testing.T) {
	var d door
	d.init(PeerLimits{HalfOpenPerIP: 2}.withDefaults())
	at := func(s string) transport.Addr {
		return transport.Addr{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(netip.MustParseAddr(s), 1)}
	}
	for _, s := range []string{"2001:db8::1", "2001:db8::2", "192.0.2.1", "192.0.2.2", "192.0.2.2"} {
		if err := d.enter(at(s), false); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	var limit *LimitError
	for _, s := range []string{"2001:db8::3", "192.0.2.2"} {
		if err := d.enter(at(s), false); !errors.As(err, &limit) {
			t.Errorf("a third of %s: %v", s, err)
		}
	}
	d.greeted(at("2001:db8::2"), false)
	if err := d.enter(at("2001:db8::3"), false); err != nil {
		t.Errorf("after one has gone: %v", err)
	}
}

// Who joins a dial at the moment at which its only waiter gives up is not given up with it.
func TestJoinAsTheLastGivesUp(t *testing.T) {
	n, tr := onBench(t)
	target := Target{Addr: (&benchLink{}).Remote()}
	for range 2000 {
		w, d, err := n.dials.join(target, toConnect, time.Minute, func(*PeerClient, error) {})
		if err != nil {
			t.Fatal(err)
		}
		gone := make(chan struct{})
		go func() { n.dials.abandon(d, w); close(gone) }()
		_, joined, err := n.dials.join(target, toConnect, time.Minute, func(_ *PeerClient, err error) {
			if errors.Is(err, context.Canceled) {
				t.Error("the one who joined was given up, too")
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		<-gone
		joined.finish(nil, ErrClosed)
		tr.turns()
	}
	if n.dials.active != 0 || len(n.dials.byKey) != 0 {
		t.Errorf("%d dials under way, %d known", n.dials.active, len(n.dials.byKey))
	}
}

// A node that never ran tells its subscribers that it is over, and one with more addresses than a record holds starts.
func TestEventsEndWithoutAStart(t *testing.T) {
	n, _ := onBench(t)
	cfg := n.cfg
	cfg.Transport = &benchTransport{}
	for i := range 20 {
		cfg.Listen = append(cfg.Listen, transport.Addr{Proto: transport.TCP,
			AddrPort: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(i+1))})
	}
	many, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := many.Start(context.Background()); err != nil {
		t.Errorf("start: %v", err)
	}
	many.workers.stop()
	never, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	events := never.Events(context.Background())
	if err := never.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if _, open := <-events; open {
		t.Error("an event of a node that never ran")
	}
}
