package overlay_test

import (
	"sync"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/discovery"
	"github.com/carrier-p2p/carrier/engine/component/overlay"
	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
)

func TestMain(m *testing.M) { enginetest.VerifyMain(m) }

// A world is nodes of one overlay, simulated or live.
type world struct {
	*enginetest.World
	nodes []*node // those that have ended too
}

// A node is one of them.
type node struct {
	*engine.Network
	disc *discovery.Component
	over *overlay.Component

	mu     sync.Mutex
	got    []overlay.Message
	full   bool
	poison string // what Deliver panics at
}

var weather = simnet.Weather{Latency: 20 * time.Millisecond, Jitter: 20 * time.Millisecond}

func simWorld(t testing.TB, seed uint64) *world { return worldOf(enginetest.Sim(t, seed, weather)) }

func liveWorld(t testing.TB) *world { return worldOf(enginetest.Live(t)) }

func worldOf(w *enginetest.World) *world {
	w.Patience = 2 * time.Minute
	return &world{World: w}
}

// worlds runs a scenario simulated and live.
func worlds(t *testing.T, scenario func(w *world, count int)) {
	t.Run("simnet", func(t *testing.T) { scenario(simWorld(t, 1), 30) })
	t.Run("live", func(t *testing.T) { scenario(liveWorld(t), 12) })
}

// key is the identity of node i, from 0.
func (w *world) key(i int) *identity.Identity { return w.Key(i + 1) }

// node starts a node that knows the first one. A hidden one listens nowhere and says that it only asks.
func (w *world) node(hidden bool) *node {
	w.Helper()
	n := &node{}
	dc := discovery.Config{Overlay: skad.Config{Scope: skad.Private}}
	if len(w.nodes) > 0 {
		dc.Bootstrap = []string{w.nodes[0].Target().String()}
	}
	var err error
	if n.disc, err = discovery.New(dc); err != nil {
		w.Fatal(err)
	}
	if n.over, err = overlay.New(overlay.Config{Discovery: n.disc, Deliver: n.deliver, FirstNumber: 1}); err != nil {
		w.Fatal(err)
	}
	cfg := w.Config(simnet.Loops(1 + len(w.nodes)%2))
	if hidden {
		cfg.Listen = nil
	}
	n.Network = w.New(cfg, n.disc, n.over)
	if hidden {
		if err := n.Advertise(nil, identity.FlagClient); err != nil {
			w.Fatal(err)
		}
	}
	w.Start(n.Network)
	w.nodes = append(w.nodes, n)
	if len(w.nodes) > 1 {
		w.Until("the node to join", n.disc.Joined)
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
	w.Pass(5 * time.Second)
}

// closest is the living node closest to k that is in tables.
func (w *world) closest(k skad.ID) (best *node) {
	for _, n := range w.nodes {
		if !w.Alive(n.Network) || n.Record().Flags&identity.FlagClient != 0 {
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
	w.Until("the outcome", func() bool { return len(done) == 1 })
	return <-done
}
