package overlay_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/discovery"
	"github.com/carrier-p2p/carrier/engine/component/overlay"
	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/gnetio"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
)

// TestMain fails when a goroutine is left behind; those of the reactor's dial pool, which is the process's, do not count.
func TestMain(m *testing.M) {
	enginetest.VerifyMain(m)
}

// A world is nodes of one overlay, simulated in virtual time or live on loopback.
type world struct {
	testing.TB
	sim   *simnet.Net // nil: live
	nodes []*node
}

// A node is one of them.
type node struct {
	*engine.Network
	disc *discovery.Component
	over *overlay.Component
	host *simnet.Host
	dead bool

	mu     sync.Mutex
	got    []overlay.Message
	full   bool
	poison string // what Deliver panics at
}

// patience bounds every wait, virtual or real.
const patience = 2 * time.Minute

func simWorld(t testing.TB, seed uint64) *world {
	w := &world{TB: t, sim: simnet.New(seed, simnet.Weather{Latency: 20 * time.Millisecond, Jitter: 20 * time.Millisecond})}
	t.Cleanup(w.stop)
	return w
}

func liveWorld(t testing.TB) *world {
	w := &world{TB: t}
	t.Cleanup(w.stop)
	return w
}

// worlds runs a scenario simulated and live.
func worlds(t *testing.T, scenario func(w *world, count int)) {
	t.Run("simnet", func(t *testing.T) { scenario(simWorld(t, 1), 30) })
	t.Run("live", func(t *testing.T) { scenario(liveWorld(t), 12) })
}

func (w *world) stop() {
	for _, n := range w.nodes {
		if !n.dead {
			w.do(func() { _ = n.Shutdown(context.Background()) })
		}
	}
}

// do makes a call that waits.
func (w *world) do(f func()) {
	if w.sim == nil {
		f()
		return
	}
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	for {
		select {
		case <-done:
			return
		default:
			w.sim.Run(100 * time.Microsecond)
		}
	}
}

func (w *world) until(what string, cond func() bool) {
	w.Helper()
	if w.sim != nil {
		if !w.sim.RunUntil(cond, patience) {
			w.Fatalf("waited %v of virtual time in vain: %s", patience, what)
		}
		return
	}
	giveUp, tick := time.After(patience), time.NewTicker(2*time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-giveUp:
			w.Fatalf("waited %v in vain: %s", patience, what)
		}
	}
}

// rest lets virtual time pass.
func (w *world) rest(d time.Duration) {
	if w.sim != nil {
		w.sim.Run(d)
	}
}

func key(t testing.TB, n int) *identity.Identity {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], uint64(n)+1)
	id, err := identity.FromSeed(t.Context(), seed, identity.Puzzle{})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// node starts a node that knows the first one. A hidden one listens nowhere and says that it only asks.
func (w *world) node(hidden bool) *node {
	w.Helper()
	i := len(w.nodes)
	n := &node{}
	ec := engine.Config{Identity: key(w, i), Puzzle: &identity.Puzzle{}, WeakPuzzle: true}
	listen := netip.MustParseAddrPort("127.0.0.1:0")
	if w.sim == nil {
		ec.Transport = gnetio.New(gnetio.Config{Loops: 1 + i%2})
		ec.HandshakeWorkers = 1
	} else {
		addr := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		listen = netip.AddrPortFrom(addr, 4001)
		n.host = w.sim.Host(addr, simnet.Loops(1+i%2))
		ec.Transport = n.host
		ec.Rand = rand.NewChaCha8([32]byte{byte(i), byte(i >> 8)})
	}
	if !hidden {
		ec.Listen = []transport.Addr{{Proto: transport.TCP, AddrPort: listen}}
	}
	var err error
	if n.Network, err = engine.New(ec); err != nil {
		w.Fatal(err)
	}
	if hidden {
		if err := n.Advertise(nil, identity.FlagClient); err != nil {
			w.Fatal(err)
		}
	}
	dc := discovery.Config{Overlay: skad.Config{Scope: skad.Private}}
	if i > 0 {
		first := w.nodes[0]
		dc.Bootstrap = []string{engine.Target{Addr: first.Addrs()[0], ID: first.ID()}.String()}
	}
	if n.disc, err = discovery.New(dc); err != nil {
		w.Fatal(err)
	}
	if n.over, err = overlay.New(overlay.Config{Discovery: n.disc, Deliver: n.deliver, FirstNumber: 1}); err != nil {
		w.Fatal(err)
	}
	for _, c := range []engine.ComponentInterface{n.disc, n.over} {
		if err := n.AddComponent(c); err != nil {
			w.Fatal(err)
		}
	}
	if err := n.Start(context.Background()); err != nil {
		w.Fatal(err)
	}
	w.nodes = append(w.nodes, n)
	if i > 0 {
		w.until("the node to join", n.disc.Joined)
	}
	return n
}

func (n *node) deliver(m overlay.Message) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.full {
		return false
	}
	if n.poison != "" && string(m.Payload) == n.poison {
		panic("test")
	}
	n.got = append(n.got, m)
	return true
}

func (n *node) messages() []overlay.Message {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]overlay.Message(nil), n.got...)
}

func (n *node) name() skad.ID { return skad.IDOf(n.ID()) }

// swarm starts count nodes and hidden ones among them.
func (w *world) swarm(count, hidden int) {
	w.Helper()
	for range count {
		w.node(false)
	}
	for range hidden {
		w.node(true)
	}
	w.rest(5 * time.Second)
}

// closest is the living node closest to k that is in tables.
func (w *world) closest(k skad.ID) (best *node) {
	for _, n := range w.nodes {
		if n.dead || n.Record().Flags&identity.FlagClient != 0 {
			continue
		}
		if best == nil || n.name().Xor(k).Compare(best.name().Xor(k)) < 0 {
			best = n
		}
	}
	return best
}

// route and send wait for the outcome.
func (w *world) route(from *node, k skad.ID, text string) error {
	return w.outcome(func(then func(error)) error { return from.over.RouteAsync(k, []byte(text), then) })
}

func (w *world) send(from, to *node, text string) error {
	return w.outcome(func(then func(error)) error { return from.over.SendToAsync(to.ID(), []byte(text), then) })
}

func (w *world) outcome(ask func(func(error)) error) error {
	w.Helper()
	done := make(chan error, 1)
	if err := ask(func(err error) { done <- err }); err != nil {
		return err
	}
	w.until("the outcome", func() bool { return len(done) == 1 })
	return <-done
}
