package discovery_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/discovery"
	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/gnetio"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
)

// TestMain fails when a goroutine is left behind; those of the reactor's dial pool, which is the process's, do not count,
// nor does the writer of a simulated node that was killed: its process would have taken it along.
func TestMain(m *testing.M) {
	enginetest.VerifyMain(m,
		goleak.IgnoreAnyFunction("github.com/carrier-p2p/carrier/engine/component/discovery.(*Component).openStore.func2"),
	)
}

// A world is nodes on a simulated network in virtual time and from one seed, or live on loopback.
type world struct {
	testing.TB
	sim   *simnet.Net // nil: live
	nodes []*node

	plains int
}

// A node is one of them.
type node struct {
	*engine.Network
	*discovery.Component
	host *simnet.Host
	dead bool
}

// patience bounds every wait, virtual or real.
const patience = 2 * time.Minute

func simWorld(t testing.TB, seed uint64) *world {
	w := &world{TB: t, sim: simnet.New(seed, simnet.Weather{Latency: 20 * time.Millisecond, Jitter: 20 * time.Millisecond})}
	t.Cleanup(func() {
		w.stop()
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	return w
}

func liveWorld(t testing.TB) *world {
	w := &world{TB: t}
	t.Cleanup(w.stop)
	return w
}

func (w *world) stop() {
	for _, n := range w.nodes {
		w.end(n)
	}
	w.nodes = nil
}

// end shuts a node down in order.
func (w *world) end(n *node) {
	if n.dead {
		return
	}
	n.dead = true
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	w.do(func() {
		if err := n.Shutdown(ctx); err != nil {
			w.Errorf("shutdown: %v", err)
		}
	})
}

// crash ends a node without a word. Only in a simulation.
func (w *world) crash(n *node) {
	n.dead = true
	n.host.Vanish()
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

// until lets time pass until cond holds.
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

func key(t testing.TB, n int) *identity.Identity {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], uint64(n)+1)
	id, err := identity.FromSeed(context.Background(), seed, identity.Puzzle{})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// A setting changes how a node is made.
type setting struct {
	disc   func(*discovery.Config)
	engine func(*engine.Config)
	more   []engine.ComponentInterface
	number int // of the identity and the address; 0: the next
}

// node starts a node that knows the first one.
func (w *world) node(x setting) *node {
	w.Helper()
	i := len(w.nodes)
	if x.number > 0 {
		i = x.number
	}
	n := &node{}
	ec := engine.Config{Identity: key(w, i), Puzzle: &identity.Puzzle{}, WeakPuzzle: true}
	if w.sim == nil {
		ec.Transport = gnetio.New(gnetio.Config{Loops: 1 + i%2})
		ec.Listen = []transport.Addr{{Proto: transport.TCP, AddrPort: netip.MustParseAddrPort("127.0.0.1:0")}}
		ec.HandshakeWorkers = 1
	} else {
		addr := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		n.host = w.sim.Host(addr, simnet.Loops(1+i%2))
		ec.Transport = n.host
		ec.Listen = []transport.Addr{{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(addr, 4001)}}
		var seed [32]byte
		seed[0], seed[1] = byte(i), byte(i>>8)
		ec.Rand = rand.NewChaCha8(seed)
	}
	if x.engine != nil {
		x.engine(&ec)
	}
	e, err := engine.New(ec)
	if err != nil {
		w.Fatal(err)
	}
	cfg := discovery.Config{Overlay: skad.Config{Scope: skad.Private}}
	if len(w.nodes) > 0 {
		cfg.Bootstrap = []string{target(w.nodes[0])}
	}
	if x.disc != nil {
		x.disc(&cfg)
	}
	if n.Component, err = discovery.New(cfg); err != nil {
		w.Fatal(err)
	}
	n.Network = e
	for _, c := range append(x.more, n.Component) {
		if err := e.AddComponent(c); err != nil {
			w.Fatal(err)
		}
	}
	if err := e.Start(context.Background()); err != nil {
		w.Fatal(err)
	}
	w.nodes = append(w.nodes, n)
	return n
}

// plain starts a simulated node that is none of the overlay, with these components: an adversary, or a measuring device.
func (w *world) plain(components ...engine.ComponentInterface) *engine.Network {
	w.Helper()
	w.plains++
	i := 2000 + w.plains
	addr := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
	var seed [32]byte
	seed[0], seed[1] = byte(i), byte(i>>8)
	e, err := engine.New(engine.Config{Identity: key(w, i), Puzzle: &identity.Puzzle{}, WeakPuzzle: true, Transport: w.sim.Host(addr),
		Listen: []transport.Addr{{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(addr, 4001)}}, Rand: rand.NewChaCha8(seed)})
	if err != nil {
		w.Fatal(err)
	}
	for _, c := range components {
		if err := e.AddComponent(c); err != nil {
			w.Fatal(err)
		}
	}
	if err := e.Start(context.Background()); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { w.do(func() { _ = e.Shutdown(context.Background()) }) })
	return e
}

// ambiguous names of the two embedded types.
func (n *node) Stats() discovery.Stats { return n.Component.Stats() }

func target(n *node) string { return engine.Target{Addr: n.Addrs()[0], ID: n.ID()}.String() }

// swarm starts count nodes, one after the other once the one before has joined, and waits until all have.
func (w *world) swarm(count int, x setting) {
	w.Helper()
	for range count {
		n := w.node(x)
		if len(w.nodes) > 1 {
			w.until("the node to join", n.Joined)
		}
	}
	w.until("the first node to join", w.nodes[0].Joined)
}

// alive are the nodes that are.
func (w *world) alive() (list []*node) {
	for _, n := range w.nodes {
		if !n.dead {
			list = append(list, n)
		}
	}
	return list
}

// nearest returns the IDs of the count nodes closest to key, asker excluded, as they are in truth.
func (w *world) nearest(k skad.ID, asker *node, count int) (ids []skad.ID) {
	for _, n := range w.alive() {
		if n != asker {
			ids = append(ids, skad.IDOf(n.ID()))
		}
	}
	slices.SortFunc(ids, func(a, b skad.ID) int { return a.Xor(k).Compare(b.Xor(k)) })
	return ids[:min(len(ids), count)]
}

// lookup waits for a lookup.
func (w *world) lookup(n *node, k skad.ID, opt skad.LookupOptions) *skad.Result {
	w.Helper()
	var r *skad.Result
	var err error
	done := make(chan struct{})
	if e := n.Lookup(k, opt, func(got *skad.Result, e error) { r, err = got, e; close(done) }); e != nil {
		w.Fatal(e)
	}
	w.until("the lookup to end", func() bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	})
	if err != nil {
		w.Fatal(err)
	}
	return r
}

func ids(list []*skad.Contact) (out []skad.ID) {
	for _, c := range list {
		out = append(out, c.ID)
	}
	return out
}

func randomKey(n uint64) (k skad.ID) {
	rnd := rand.New(rand.NewPCG(n, 1))
	for i := range k {
		k[i] = rnd.Uint64()
	}
	return k
}

func describe(n *node) string { return fmt.Sprintf("%v: %+v", n.ID().Short(), n.Stats()) }
