package proxy_test

import (
	"errors"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/proxy"
	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/engine/transport"
)

// When a relay dies, whoever it carried is told, the reservation moves to the next relay, the record says so, and the pair
// meets again there.
func TestFailOver(t *testing.T) {
	w := sim(t)
	first, second := w.relay(proxy.Limits{}), w.relay(proxy.Limits{})
	a := w.hiddenAs(plan{}, first, second)
	b := w.node(plan{})
	if got := a.proxy.Addrs(); len(got) != 1 || got[0] != a.through(first).Addr {
		t.Fatalf("reachable at %v", got)
	}
	p := w.dial(b, a.through(first))
	w.Crash(first.Network)
	began := w.Net().Now()
	w.Until("both ends to know", func() bool { return !p.Connected() && a.peer(b.ID()) == nil })
	w.Until("another reservation", func() bool { at := a.proxy.Addrs(); return len(at) == 1 && at[0] == a.through(second).Addr })
	if took := w.Net().Now() - began; took > 3*time.Second {
		t.Errorf("without a relay for %v", took)
	}
	if addrs := a.Record().Addrs; len(addrs) != 1 || addrs[0] != a.through(second).Addr {
		t.Errorf("the record names %v", addrs)
	}
	if q := w.dial(b, a.through(second)); !q.Connected() {
		t.Error("not connected")
	}
}

// Refusals are not the end: a relay without room is asked again, later and later, and its neighbour at once.
func TestRefusedReservation(t *testing.T) {
	w := sim(t)
	full, other := w.relay(proxy.Limits{Reservations: 1}), w.relay(proxy.Limits{})
	holder := w.hidden(full)
	none := w.node(plan{}) // relays for nobody
	a := w.hiddenAs(plan{}, none, full, other)
	if got := a.proxy.Addrs()[0]; got != a.through(other).Addr {
		t.Errorf("reachable at %v", got)
	}
	both := w.node(plan{proxy: proxy.Config{Relays: []engine.Target{full.at(), other.at()}, Reservations: 2}})
	w.Until("the one reservation there is", func() bool { return len(both.proxy.Addrs()) == 1 })
	w.Pass(time.Minute)
	before := full.proxy.Stats().Refused
	w.Pass(time.Minute)
	if again := full.proxy.Stats().Refused - before; again > 3 {
		t.Errorf("asked %d times in a minute", again)
	}
	holder.ConnMgr().Peers()(func(p *engine.PeerClient) bool { p.Close(); return false })
	w.Until("the room to be taken", func() bool {
		return len(both.proxy.Addrs()) == 2 || len(holder.proxy.Addrs()) == 1 && full.proxy.Stats().Reservations == 1
	})
}

// A node whose network has been away for long is reachable again soon after it is back, however often it has tried in vain.
func TestReservedAfterOutage(t *testing.T) {
	w := sim(t)
	r := w.relay(proxy.Limits{})
	a := w.hidden(r)
	w.cutOff(a)
	a.peer(r.ID()).Disconnect(engine.CodeTimeout, "silent for too long") // as keepalive does
	w.Pass(10 * time.Minute)
	if at := a.proxy.Addrs(); len(at) != 0 {
		t.Fatalf("after ten minutes without a network it is reachable at %v", at)
	}
	w.Net().Heal()
	back := w.Net().Now()
	w.Until("a reservation", func() bool { return len(a.proxy.Addrs()) == 1 })
	if took := w.Net().Now() - back; took > 45*time.Second { // a pause, and a dial that was under way
		t.Errorf("reachable again after %v", took)
	}
}

// Two reservations at once, at two relays, and the node is reached through either.
func TestTwoReservations(t *testing.T) {
	w := sim(t)
	r, s := w.relay(proxy.Limits{}), w.relay(proxy.Limits{})
	a := w.hiddenAs(plan{proxy: proxy.Config{Reservations: 2}}, r, s)
	if got := len(a.Record().Addrs); got != 2 {
		t.Errorf("the record has %d addresses", got)
	}
	w.dial(w.node(plan{}), a.through(r))
	w.dial(w.node(plan{}), a.through(s))
	if tags := a.ConnMgr().Protected(r.ID()) && a.ConnMgr().Protected(s.ID()); !tags {
		t.Error("relays may be evicted")
	}
}

// A peer that does not read stops its own circuit. Others, through the same relay and to the same node, go on.
func TestSlowReader(t *testing.T) {
	w := sim(t)
	const window = 64 << 10
	r := w.node(plan{proxy: proxy.Config{Serve: true, Limits: proxy.Limits{Window: window}}, engine: func(c *engine.Config) { c.SendBuffer = 64 << 10 }})
	slow, good, b := w.hidden(r), w.hidden(r), w.hidden(r)
	p, q := w.dial(b, slow.through(r)), w.dial(b, good.through(r))
	w.cutOff(slow)
	for range 50 {
		if err := p.TrySendRaw(opNote, make([]byte, 16<<10)); err != nil {
			t.Fatal(err)
		}
	}
	good.seen.quiet = true
	for range 200 {
		for range 3 {
			if err := q.TrySendRaw(opNote, make([]byte, 4<<10)); err != nil {
				t.Fatal(err)
			}
		}
		w.Pass(2 * time.Millisecond)
	}
	w.Until("the good one's bytes", func() bool { _, got := good.seen.got(); return got == 600*4<<10 })
	if waiting := r.proxy.Stats().Waiting; waiting == 0 || waiting > window+16<<10 {
		t.Errorf("%d bytes wait at the relay, want some and at most the window", waiting)
	}
	w.Net().Heal()
	w.Until("the slow one's bytes", func() bool { _, got := slow.seen.got(); return got == 50*16<<10 })
	if s := r.proxy.Stats(); s.Waiting != 0 || s.Violations != 0 {
		t.Errorf("%+v", s)
	}
}

// What cannot be configured is named, all of it.
func TestConfig(t *testing.T) {
	addr := func(s string) transport.Addr {
		a, err := transport.ParseAddr(s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for name, cfg := range map[string]proxy.Config{
		"a relay without an address":  {Relays: []engine.Target{{}}},
		"a relay without a port":      {Relays: []engine.Target{{Addr: addr("tcp://10.0.0.1:0")}}},
		"a relay behind a relay":      {Relays: []engine.Target{{Addr: addr("relay://10.0.0.1:1")}}},
		"less than no reservations":   {Reservations: -1},
		"a window that stalls":        {Limits: proxy.Limits{Window: 100}},
		"a window that bounds nobody": {Limits: proxy.Limits{Window: 1 << 30}},
		"a negative rate":             {Limits: proxy.Limits{Rate: -1}},
		"negative bytes":              {Limits: proxy.Limits{Bytes: -1}},
		"a negative lifetime":         {Limits: proxy.Limits{Lifetime: -1}},
	} {
		if c, err := proxy.New(cfg); err == nil || c != nil {
			t.Errorf("%s is accepted", name)
		}
	}
	p, err := proxy.New(proxy.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Transport().Start(nil, []transport.Addr{addr("relay://10.0.0.1:4001")}); !errors.Is(err, proxy.ErrListen) {
		t.Errorf("listening on a relay's address: %v", err)
	}
	w := &world{World: enginetest.Live(t)}
	r := w.relay(proxy.Limits{})
	a := w.hidden(r)
	lonely := w.node(plan{dumb: true}) // the transport without the component
	if _, err := w.tryDial(lonely, a.through(r)); !errors.Is(err, proxy.ErrNotAdded) {
		t.Errorf("dialling without the component: %v", err)
	}
}

// A network that stops in the middle of everything leaves nothing behind, at the relay or at the ends.
func TestShutdowns(t *testing.T) {
	worlds(t, func(w *world) {
		r := w.relay(proxy.Limits{})
		a, b, c := w.hidden(r), w.hidden(r), w.hidden(r)
		p, q := w.dial(b, a.through(r)), w.dial(c, a.through(r))
		w.Until("a to see both", func() bool { return a.peer(b.ID()) != nil && a.peer(c.ID()) != nil })
		fromB := a.peer(b.ID())
		end := func(n *node) {
			w.Do(func() {
				if err := n.Shutdown(w.Context()); err != nil {
					t.Errorf("shutdown: %v", err)
				}
			})
		}
		end(b)
		w.Until("one circuit less", func() bool { return r.proxy.Stats().Circuits == 1 && a.peer(b.ID()) == nil })
		var closed *engine.CloseError
		if !errors.As(fromB.CloseReason(), &closed) || closed.Code != engine.CodeShutdown || !closed.Remote {
			t.Errorf("b's goodbye: %v", fromB.CloseReason())
		}
		if p.Connected() || !q.Connected() {
			t.Errorf("connected: %v %v", p.Connected(), q.Connected())
		}
		end(r)
		w.Until("the rest to end", func() bool { return !q.Connected() && a.proxy.Stats().Links == 0 && c.proxy.Stats().Links == 0 })
		if s := r.proxy.Stats(); s.Circuits != 0 || s.Reservations != 0 {
			t.Errorf("the relay holds %+v", s)
		}
	})
}
