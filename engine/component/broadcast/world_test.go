package broadcast_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/broadcast"
	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
	"github.com/carrier-p2p/carrier/skad/spread"
)

// TestMain fails when a goroutine is left behind; those of the reactor's dial pool, which is the process's, do not count.
func TestMain(m *testing.M) {
	enginetest.VerifyMain(m)
}

// A world is nodes on a simulated network, in virtual time and from one seed.
type world struct {
	testing.TB
	sim   *simnet.Net
	nodes []*node
}

// A node is one of them. What it got is written by its home loop, which runs while the test drives the world.
type node struct {
	*engine.Network
	host *simnet.Host
	cast *broadcast.Component
	got  []broadcast.Message
	full bool // the application has no room
	dead bool
}

func newWorld(t testing.TB, seed uint64) *world {
	w := &world{TB: t, sim: simnet.New(seed, simnet.Weather{Latency: 20 * time.Millisecond, Jitter: 20 * time.Millisecond})}
	t.Cleanup(func() {
		for _, n := range w.nodes {
			if !n.dead {
				w.do(func() { _ = n.Shutdown(context.Background()) })
			}
		}
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	return w
}

// do makes a call that waits.
func (w *world) do(f func()) {
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
	if !w.sim.RunUntil(cond, time.Minute) {
		w.Fatalf("waited a minute of virtual time in vain: %s", what)
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

// node starts a node that broadcasts; change may alter its configuration.
func (w *world) node(change func(*node, *broadcast.Config)) *node {
	w.Helper()
	n := &node{}
	cfg := broadcast.Config{Scope: skad.Private, FirstSeq: 1, Deliver: n.deliver}
	if change != nil {
		change(n, &cfg)
	}
	var err error
	if n.cast, err = broadcast.New(cfg); err != nil {
		w.Fatal(err)
	}
	w.start(n, n.cast)
	return n
}

// liar starts a node that speaks for itself: it has no broadcast, but hears what is sent to it.
func (w *world) liar() *liar {
	w.Helper()
	l := &liar{node: &node{}, id: key(w, len(w.nodes))}
	w.start(l.node, l)
	return l
}

// start starts n with one component.
func (w *world) start(n *node, c engine.ComponentInterface) {
	w.Helper()
	i := len(w.nodes)
	addr := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
	n.host = w.sim.Host(addr)
	var seed [32]byte
	seed[0], seed[1] = byte(i), byte(i>>8)
	binary.LittleEndian.PutUint64(seed[8:], uint64(w.sim.Now())) // a node that starts again draws other numbers
	e, err := engine.New(engine.Config{
		Transport: n.host, Identity: key(w, i), Puzzle: &identity.Puzzle{}, WeakPuzzle: true, Rand: rand.NewChaCha8(seed),
		Listen: []transport.Addr{{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(addr, 4001)}},
	})
	if err != nil {
		w.Fatal(err)
	}
	n.Network = e
	if err := e.AddComponent(c); err != nil {
		w.Fatal(err)
	}
	if err := e.Start(context.Background()); err != nil {
		w.Fatal(err)
	}
	w.nodes = append(w.nodes, n)
}

func (n *node) deliver(m broadcast.Message) bool {
	if n.full {
		return false
	}
	n.got = append(n.got, m)
	return true
}

func (n *node) record() *skad.Contact { return skad.NewContact(*n.Record(), skad.Private) }

// mesh starts n nodes and connects everybody with everybody.
func mesh(t testing.TB, seed uint64, n int, change func(*node, *broadcast.Config)) *world {
	w := newWorld(t, seed)
	for range n {
		w.node(change)
	}
	w.connect(w.nodes...)
	return w
}

func (w *world) connect(nodes ...*node) {
	w.Helper()
	for i, a := range nodes {
		for _, b := range nodes[:i] {
			if err := a.DialAsync(engine.Target{Addr: b.Addrs()[0], ID: b.ID()}, func(*engine.PeerClient, error) {}); err != nil {
				w.Fatal(err)
			}
		}
	}
	w.until("everybody to be connected", func() bool {
		for _, a := range nodes {
			if all, _ := a.ConnMgr().Count(); all < len(nodes)-1 {
				return false
			}
		}
		return true
	})
	w.sim.Run(time.Second)
}

// say broadcasts from a.
func (w *world) say(a *node, text string) spread.MessageID {
	w.Helper()
	var id spread.MessageID
	var err error
	done := false
	if e := a.cast.BroadcastAsync([]byte(text), func(i spread.MessageID, e error) { id, err, done = i, e, true }); e != nil {
		w.Fatal(e)
	}
	w.until("the broadcast to be on its way", func() bool { return done })
	if err != nil {
		w.Fatalf("broadcast: %v", err)
	}
	return id
}

// reached counts the living nodes, the origin aside, that have got exactly want.
func (w *world) reached(origin *node, want ...string) (n int) {
	for _, x := range w.nodes {
		if x == origin || x.dead || x.cast == nil || len(x.got) != len(want) {
			continue
		}
		same := true
		for i, m := range x.got {
			same = same && string(m.Payload) == want[i] && m.Origin == origin.ID()
		}
		if same {
			n++
		}
	}
	return n
}

func (w *world) living() (n int) {
	for _, x := range w.nodes {
		if !x.dead && x.cast != nil {
			n++
		}
	}
	return n
}
