package engine_test

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// A probed is the outcome of a probe.
type probed struct {
	mu    sync.Mutex
	err   error
	times int
}

func (r *probed) put(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err, r.times = err, r.times+1
}

func (r *probed) get() (times int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.times, r.err
}

// probe waits for the outcome of a probe, which comes once.
func (w *world) probe(from *engine.Network, t engine.Target, timeout time.Duration) error {
	w.Helper()
	var r probed
	if err := from.Probe(t, timeout, r.put); err != nil {
		return err
	}
	w.Until("the probe to end", func() bool { times, _ := r.get(); return times > 0 })
	w.Pass(time.Minute)
	times, err := r.get()
	if times != 1 {
		w.Errorf("the probe ended %d times", times)
	}
	return err
}

// Whoever answers proves who it is, and that is all: nobody becomes a peer, whether the two are connected or not.
func TestProbe(t *testing.T) {
	worlds(t, func(w *world) {
		w.patient()
		wa, wb := &witness{}, &witness{}
		add := func(c *witness) func(*engine.Network) {
			return func(n *engine.Network) {
				if err := n.AddComponent(c); err != nil {
					w.Fatal(err)
				}
			}
		}
		a, b := w.node(nil, add(wa)), w.node(nil, add(wb))
		if err := w.probe(a, target(b), 10*time.Second); err != nil {
			w.Errorf("strangers: %v", err)
		}
		w.Until("b to have forgotten it", func() bool { return b.Stats().HalfOpen == 0 })
		for _, c := range []*witness{wa, wb} {
			if ups, downs, _ := c.count(); ups+downs != 0 {
				w.Errorf("a component saw %d peers come and %d go", ups, downs)
			}
		}
		p := w.dial(a, b)
		for _, x := range []struct{ from, to *engine.Network }{{a, b}, {b, a}} {
			if err := w.probe(x.from, target(x.to), 10*time.Second); err != nil {
				w.Errorf("peers: %v", err)
			}
		}
		w.Until("both to have forgotten it", func() bool { return a.Stats().HalfOpen+b.Stats().HalfOpen == 0 })
		if have, ok := a.ConnMgr().Peer(b.ID()); !ok || have != p || !p.Connected() {
			w.Error("the pair has lost its connection")
		}
		for _, n := range []*engine.Network{a, b} {
			if s := n.Stats(); s.Opened != 1 || s.Closed+s.HandshakesFailed+s.FaultsPeers+s.FaultsOurs+s.Duplicates != 0 {
				w.Errorf("%+v", s)
			}
		}
	})
}

// It says why nobody, or somebody else, has answered.
func TestProbeInVain(t *testing.T) {
	worlds(t, func(w *world) {
		w.patient()
		a, b := w.node(nil), w.node(nil)
		other := w.node(func(c *engine.Config) { c.NetworkID = "another" })
		wrong, relay, nameless, nowhere := target(b), target(b), target(b), target(b)
		wrong.ID[0]++
		relay.Addr.Proto = transport.Relay
		nameless.ID = identity.ID{}
		nowhere.Addr = transport.Addr{}
		for _, x := range []struct {
			name string
			to   engine.Target
			want error
		}{
			{"another id", wrong, engine.ErrPeerMismatch},
			{"another network", target(other), nil},
			{"a relay", relay, engine.ErrNoTransport},
			{"no id", nameless, engine.ErrNeedsID},
			{"myself", target(a), engine.ErrSelfDial},
			{"no address", nowhere, nil},
		} {
			if err := w.probe(a, x.to, 10*time.Second); err == nil || !errors.Is(err, x.want) && x.want != nil {
				w.Errorf("%s: %v, want %v", x.name, err, x.want)
			}
		}
		if w.Net() != nil {
			at := w.Net().Now()
			w.Net().Partition([]netip.Addr{b.Addrs()[0].Addr()})
			var r probed
			if err := a.Probe(target(b), 3*time.Second, r.put); err != nil {
				w.Fatal(err)
			}
			w.Until("the probe to end", func() bool { times, _ := r.get(); return times > 0 })
			if _, err := r.get(); !errors.Is(err, engine.ErrDialTimeout) || w.Net().Now()-at > 3100*time.Millisecond {
				w.Errorf("nobody there: %v after %v", err, w.Net().Now()-at)
			}
		}
		if s := a.Stats(); s.Peers+s.HalfOpen != 0 {
			w.Errorf("%+v", s)
		}
	})
}

// A probe needs no room at a node that is full, and pushes nobody out. A dial of the same node meanwhile is a dial.
func TestProbeOfAFullNode(t *testing.T) {
	worlds(t, func(w *world) {
		full := w.node(func(c *engine.Config) { c.Peers.All, c.Peers.Inbound = 1, 1 })
		guest := w.dial(w.node(nil), full)
		a := w.node(nil)
		if err := w.probe(a, target(full), 10*time.Second); err != nil {
			w.Error(err)
		}
		if !guest.Connected() || full.Stats().ClosedFor[engine.CodeEvicted] != 0 {
			w.Error("the probe has cost a peer its place")
		}
		b := w.node(nil)
		var r probed
		if err := a.Probe(target(b), 10*time.Second, r.put); err != nil {
			w.Fatal(err)
		}
		if p := w.dial(a, b); !p.Connected() {
			w.Error("the dial became a probe")
		}
		w.Until("the probe to end", func() bool { times, _ := r.get(); return times > 0 })
		if _, err := r.get(); err != nil {
			w.Errorf("the probe beside a dial: %v", err)
		}
	})
}

// Shutdown ends probes that are under way; afterwards there are no new ones.
func TestProbeAtTheEnd(t *testing.T) {
	w := liveWorld(t)
	a, b := w.node(nil), w.node(nil)
	var r probed
	if err := a.Probe(target(b), time.Hour, r.put); err != nil {
		t.Fatal(err)
	}
	if err := a.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if times, err := r.get(); times > 1 || times == 1 && err != nil && !errors.Is(err, engine.ErrClosed) {
		t.Errorf("%v, %d times", err, times)
	}
	if err := a.Probe(target(b), time.Hour, r.put); !errors.Is(err, engine.ErrNotStarted) {
		t.Errorf("after the end: %v", err)
	}
}
