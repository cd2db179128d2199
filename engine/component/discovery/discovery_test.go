package discovery_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/discovery"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/skad"
)

// Nodes that know one of them find each other: every table leads every lookup to exactly the nodes closest to its key,
// and every node is found and connected to by its ID.
func TestSwarm(t *testing.T) {
	worlds(t, func(w *world, count int) {
		w.swarm(count, setting{})
		for i, n := range w.nodes {
			k := randomKey(uint64(i))
			r := w.lookup(n, k, skad.LookupOptions{})
			if want := w.nearest(k, n, 16); !slices.Equal(ids(r.Closest), want) {
				t.Errorf("node %d found %v, want %v (%+v)", i, ids(r.Closest), want, *r)
			}
		}
		for i, n := range w.nodes {
			other := w.nodes[(i+count/2)%count]
			var p *engine.PeerClient
			var err error
			w.Do(func() { p, err = n.FindPeer(context.Background(), other.ID()) })
			if err != nil || p.ID() != other.ID() {
				t.Errorf("node %d looking for %v: %v", i, other.ID(), err)
			}
		}
		for _, n := range w.nodes {
			if s := n.Stats(); s.Core.Bans != 0 || s.Malformed+s.Unasked+s.Flood+s.Overrun != 0 {
				t.Errorf("honest nodes were blamed: %v", describe(n))
			}
		}
	})
}

// A map is an address map that thinks one address worth a try. The home loop asks it, and whoever looks for a peer.
type aMap struct {
	engine.Component
	mu    sync.Mutex
	only  []transport.Addr
	asked []transport.Addr
}

func (m *aMap) Order(addrs []transport.Addr) []transport.Addr {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = append(m.asked, addrs...)
	return m.only
}

// Where there is an address map it says what is dialled, and what is not.
func TestAddressMap(t *testing.T) {
	w := simWorld(t, 1)
	w.swarm(3, setting{})
	good := w.nodes[2]
	asker := &aMap{}
	n := w.node(setting{more: []engine.ComponentInterface{asker}, disc: func(c *discovery.Config) {
		c.Bootstrap, c.Client = nil, true // a client is not dialled by the others, as a new server is
	}})
	w.Dial(n.Network, w.nodes[0].Network) // it cannot join by itself: the map refuses
	w.Until("it knows whom it has dialled", func() bool { return n.View().Len() > 0 })
	var err error
	w.Do(func() { _, err = n.FindPeer(context.Background(), good.ID()) })
	if err == nil || errors.Is(err, discovery.ErrNotFound) {
		t.Fatalf("no address was worth a try: %v", err)
	}
	asker.mu.Lock()
	asker.only = good.Addrs()
	asker.mu.Unlock()
	var p *engine.PeerClient
	w.Do(func() { p, err = n.FindPeer(context.Background(), good.ID()) })
	asker.mu.Lock()
	defer asker.mu.Unlock()
	if err != nil || p.ID() != good.ID() || !slices.Contains(asker.asked, good.Addrs()[0]) {
		t.Errorf("%v; the map was asked about %v", err, asker.asked)
	}
}

// The connections that are dialled for the overlay are bounded; lookups are exact all the same, with dials where there is no
// connection any more. Members of the table are protected from eviction, and nobody else is.
func TestConnectionsAreBounded(t *testing.T) {
	w := simWorld(t, 8)
	const most = 6
	w.swarm(30, setting{disc: func(c *discovery.Config) { c.Connections = most }})
	w.Pass(5 * time.Minute)
	closed := int64(0)
	for i, n := range w.nodes {
		s := n.Stats()
		closed += s.Closed
		if s.Kept > most+2 { // two may be in use
			t.Errorf("node %d keeps %d connections, limit %d", i, s.Kept, most)
		}
		in := map[skad.ID]bool{}
		for _, c := range n.View().Closest(n.View().Self(), skad.CountLimit, nil) {
			in[c.ID] = true
		}
		for _, other := range w.nodes {
			if got, want := n.ConnMgr().Protected(other.ID()), in[skad.IDOf(other.ID())]; got && !want {
				t.Errorf("node %d protects a stranger", i)
			}
		}
	}
	if closed == 0 {
		t.Error("nothing was closed: the test shows nothing")
	}
	for i := range 30 {
		n, k := w.nodes[i], randomKey(uint64(i))
		if r := w.lookup(n, k, skad.LookupOptions{}); !slices.Equal(ids(r.Closest), w.nearest(k, n, 16)) {
			t.Errorf("node %d found %v", i, ids(r.Closest))
		}
	}
}

// A function runs on the home loop with the core; actions that are not discovery's own reach who asked for them.
func TestDo(t *testing.T) {
	w := simWorld(t, 8)
	var got []skad.ActionKind
	n := w.node(setting{})
	n.OnAction(func(_ time.Duration, a *skad.Action) { got = append(got, a.Kind) })
	ran := false
	if err := n.Do(func(now time.Duration, core *skad.Core) {
		ran = true
		if _, err := core.Route(now, core.Self().ID, []byte("to myself"), 1); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	w.Pass(time.Second)
	if !ran || !slices.Contains(got, skad.ActionDeliver) {
		t.Errorf("ran %v, actions %v", ran, got)
	}
	w.Stop(n.Network)
	if err := n.Do(func(time.Duration, *skad.Core) {}); !errors.Is(err, discovery.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
	if _, err := n.Closest(t.Context(), randomKey(1), skad.LookupOptions{}); !errors.Is(err, discovery.ErrClosed) {
		t.Errorf("a lookup after the end: %v", err)
	}
}

// Everything that is wrong with a configuration is said at once.
func TestBadConfig(t *testing.T) {
	_, err := discovery.New(discovery.Config{Bootstrap: []string{"nonsense", "tcp://host"}, Dials: -1, Connections: -1, Idle: -1, SaveEvery: -1, StoreFile: "x", Store: &memory{}})
	if !errors.Is(err, discovery.ErrConfig) {
		t.Fatal(err)
	}
	for _, part := range []string{"nonsense", "tcp://host", "Dials", "Connections", "Idle", "SaveEvery", "Store"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("nothing about %s in %v", part, err)
		}
	}
	if _, err := discovery.New(discovery.Config{Overlay: skad.Config{K: -1}}); !errors.Is(err, discovery.ErrConfig) || !errors.Is(err, skad.ErrConfig) {
		t.Errorf("a bad core: %v", err)
	}
	if _, err := discovery.New(discovery.Config{Bootstrap: []string{"tcp://bootstrap.example:4001", "tcp://10.0.0.1:1"}}); err != nil {
		t.Errorf("good addresses: %v", err)
	}
}

// Nodes that are killed, whose sockets the system closes without a goodbye, are out of all tables within ten seconds, long
// before their turn to be pinged.
func TestKilledAreForgotten(t *testing.T) {
	w := simWorld(t, 7)
	w.swarm(24, setting{})
	w.Pass(5 * time.Minute)
	killed := w.nodes[5:9]
	connected := func(n, x *node) bool { _, ok := n.ConnMgr().Peer(x.ID()); return ok }
	var pairs [][2]*node
	for _, x := range killed {
		for _, n := range w.nodes {
			if !slices.Contains(killed, n) && connected(n, x) {
				pairs = append(pairs, [2]*node{n, x})
			}
		}
	}
	for _, x := range killed {
		w.Kill(x.Network)
	}
	w.Pass(10 * time.Second) // most within one; longer where the witness was killed as well
	for _, p := range pairs {
		n, x := p[0], p[1]
		if n.View().Closest(skad.IDOf(x.ID()), 1, nil)[0].ID == skad.IDOf(x.ID()) {
			t.Errorf("%v still has %v, which was killed", n.ID().Short(), x.ID().Short())
		}
		if got := n.View().Len(); got < 19 {
			t.Errorf("%v has %d of the 19 others in its table", n.ID().Short(), got)
		}
	}
	if len(pairs) < 60 {
		t.Errorf("only %d of 80 pairs were connected", len(pairs))
	}
}

// A node that says goodbye was told to go by somebody who wanted its place, or will come back: it is not called at once.
func TestGoodbyeIsNoDeath(t *testing.T) {
	w := simWorld(t, 8)
	w.swarm(8, setting{})
	w.Pass(5 * time.Minute)
	a, b := w.nodes[2], w.nodes[3]
	p, ok := a.ConnMgr().Peer(b.ID())
	if !ok {
		t.Fatal("not connected")
	}
	dials := a.Stats().Dials + b.Stats().Dials
	p.Disconnect(engine.CodeNone, "")
	w.Pass(2 * time.Second)
	if _, ok := a.ConnMgr().Peer(b.ID()); ok || a.Stats().Dials+b.Stats().Dials != dials {
		t.Error("dialled again")
	}
}

// Whoever begins with two nodes on one machine is told that their addresses do not count on the Internet, which is the default.
func TestScopeWarning(t *testing.T) {
	for _, x := range []struct {
		scope  skad.Scope
		target string
		warned bool
	}{
		{skad.Public, "tcp://127.0.0.1:4001", true}, {skad.Public, "tcp://192.168.1.7:4001", true}, {skad.Public, "tcp://25.1.2.3:4001", false},
		{skad.Private, "tcp://127.0.0.1:4001", false},
	} {
		w := simWorld(t, 3)
		var log bytes.Buffer
		n := w.node(setting{disc: func(c *discovery.Config) {
			c.Overlay.Scope, c.Bootstrap, c.Logger = x.scope, []string{x.target}, slog.New(slog.NewTextHandler(&log, nil))
		}})
		w.Stop(n.Network)
		if got := strings.Contains(log.String(), "skad.Private"); got != x.warned {
			t.Errorf("%v with scope %d: the log says %q", x.target, x.scope, &log)
		}
	}
}
