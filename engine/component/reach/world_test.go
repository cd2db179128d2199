package reach_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/reach"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// TestMain fails when a goroutine is left behind; those of the reactor's dial pool, which is the process's, do not count.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*goWorker).run.func1"),
	)
}

// A world is nodes on a simulated network, in virtual time and from one seed.
type world struct {
	testing.TB
	sim    *simnet.Net
	nodes  []*node
	closed map[netip.AddrPort]bool // lets nothing in
}

// A node is one of them. Its component is nil for one that knows nothing of the matter.
type node struct {
	*engine.Network
	*reach.Component
	events <-chan engine.Event
}

const patience = time.Hour

func newWorld(t testing.TB) *world {
	w := &world{TB: t, sim: simnet.New(1, simnet.Weather{Latency: 20 * time.Millisecond}), closed: map[netip.AddrPort]bool{}}
	w.sim.Intercept(func(_, to transport.Addr, b []byte) []byte {
		if w.closed[to.AddrPort] {
			return nil
		}
		return b
	})
	t.Cleanup(func() {
		for _, n := range w.nodes {
			w.do(func() {
				if err := n.Shutdown(context.Background()); err != nil {
					t.Error(err)
				}
			})
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
	if !w.sim.RunUntil(cond, patience) {
		w.Fatalf("waited %v of virtual time in vain: %s", patience, what)
	}
}

func (w *world) bare(ip string, components ...engine.ComponentInterface) *node {
	w.Helper()
	i := len(w.nodes)
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], uint64(i)+1)
	id, err := identity.FromSeed(w.Context(), seed, identity.Puzzle{})
	if err != nil {
		w.Fatal(err)
	}
	addr := netip.MustParseAddr(ip)
	n, err := engine.New(engine.Config{
		Transport: w.sim.Host(addr), Identity: id, Puzzle: &identity.Puzzle{}, WeakPuzzle: true, Rand: rand.NewChaCha8(seed),
		Listen: []transport.Addr{at(ip)},
	})
	if err != nil {
		w.Fatal(err)
	}
	for _, c := range components {
		if err := n.AddComponent(c); err != nil {
			w.Fatal(err)
		}
	}
	out := &node{Network: n, events: n.Events(w.Context())}
	if err := n.Start(w.Context()); err != nil {
		w.Fatal(err)
	}
	w.nodes = append(w.nodes, out)
	return out
}

// node starts a node that finds out, and answers others.
func (w *world) node(ip string, cfg reach.Config, more ...engine.ComponentInterface) *node {
	w.Helper()
	c, err := reach.New(cfg)
	if err != nil {
		w.Fatal(err)
	}
	n := w.bare(ip, append(more, c)...)
	n.Component = c
	return n
}

// Stats of the component, not of the engine.
func (n *node) Stats() reach.Stats { return n.Component.Stats() }

func (n *node) client() bool { return n.Record().Flags&identity.FlagClient != 0 }

func (n *node) verdict() reach.Verdict { return n.Reachability().Verdict }

// texts are the events about reachability so far.
func (n *node) texts() (out []string) {
	for {
		select {
		case e := <-n.events:
			if e.Kind == engine.Reachability {
				out = append(out, e.Text)
			}
		default:
			return out
		}
	}
}

// dial connects from to to.
func (w *world) dial(from, to *node) *engine.PeerClient {
	w.Helper()
	var p *engine.PeerClient
	var err error
	w.do(func() {
		p, err = from.Dial(context.Background(), engine.Target{Addr: to.Addrs()[0], ID: to.ID()}.String())
	})
	if err != nil {
		w.Fatal(err)
	}
	return p
}

func at(ip string) transport.Addr {
	return transport.Addr{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(netip.MustParseAddr(ip), 4001)}
}

// networks starts honest nodes, each in a network of its own, and has n dial them.
func (w *world) networks(n *node, ips ...string) (out []*node) {
	w.Helper()
	for _, ip := range ips {
		v := w.node(ip, reach.Config{})
		w.dial(n, v)
		out = append(out, v)
	}
	return out
}

// A liar answers every question at once, and dials nobody.
type liar struct {
	engine.Component
	says  reach.Answer
	asked int
}

func (*liar) Opcodes() []opcode.Opcode { return []opcode.Opcode{opcode.DialBackRequestCode} }

func (l *liar) Receive(ctx *engine.ComponentContext) error {
	l.asked++
	return ctx.Client().TrySendRaw(opcode.DialBackResponseCode, append(append([]byte(nil), ctx.Payload()[:8]...), byte(l.says)))
}
