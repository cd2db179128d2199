package discovery_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/discovery"
	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/skad"
)

// TestMain fails when a goroutine is left behind; those of the reactor's dial pool, which is the process's, do not count,
// nor does the writer of a simulated node that was killed: its process would have taken it along.
func TestMain(m *testing.M) {
	enginetest.VerifyMain(m,
		goleak.IgnoreAnyFunction("github.com/carrier-p2p/carrier/engine/component/discovery.(*Component).openStore.func2"),
	)
}

// A world is nodes of one overlay, simulated or live.
type world struct {
	*enginetest.World
	nodes []*node // those that have ended too
}

// A node is one of them.
type node struct {
	*engine.Network
	*discovery.Component
}

// worlds runs a scenario simulated and live.
func worlds(t *testing.T, scenario func(w *world, count int)) {
	t.Run("simnet", func(t *testing.T) { simulate(t, 1, func(w *world) { scenario(w, 40) }) })
	t.Run("live", func(t *testing.T) { scenario(worldOf(enginetest.Live(t)), 20) })
}

// weather is a night on the Internet.
var weather = simnet.Weather{Latency: 20 * time.Millisecond, Jitter: 20 * time.Millisecond}

func simWorld(t testing.TB, seed uint64) *world { return worldOf(enginetest.Sim(t, seed, weather)) }

// simulate runs a scenario in a simulated world where calls that wait take no real time.
func simulate(t *testing.T, seed uint64, scenario func(w *world)) {
	enginetest.Simulate(t, seed, weather, func(w *enginetest.World) { scenario(worldOf(w)) })
}

func worldOf(w *enginetest.World) *world {
	w.Patience = 2 * time.Minute
	return &world{World: w}
}

// A setting changes how a node is made.
type setting struct {
	disc   func(*discovery.Config)
	engine func(*engine.Config)
	more   []engine.ComponentInterface
	again  *node // whose identity and address it has; nil: new ones
}

// node starts a node that knows the first one.
func (w *world) node(x setting) *node {
	w.Helper()
	loops := simnet.Loops(1 + len(w.nodes)%2)
	var ec engine.Config
	if x.again != nil {
		ec = w.Again(x.again.Network, loops)
	} else {
		ec = w.Config(loops)
	}
	if x.engine != nil {
		x.engine(&ec)
	}
	cfg := discovery.Config{Overlay: skad.Config{Scope: skad.Private}}
	if len(w.nodes) > 0 {
		cfg.Bootstrap = []string{w.nodes[0].Target().String()}
	}
	if x.disc != nil {
		x.disc(&cfg)
	}
	c, err := discovery.New(cfg)
	if err != nil {
		w.Fatal(err)
	}
	n := &node{w.Start(w.New(ec, append(x.more, c)...)), c}
	w.nodes = append(w.nodes, n)
	return n
}

// ambiguous names of the two embedded types.
func (n *node) Stats() discovery.Stats { return n.Component.Stats() }

// swarm starts count nodes, one after the other once the one before has joined, and waits until all have.
func (w *world) swarm(count int, x setting) {
	w.Helper()
	for range count {
		n := w.node(x)
		if len(w.nodes) > 1 {
			w.Until("the node to join", n.Joined)
		}
	}
	w.Until("the first node to join", w.nodes[0].Joined)
}

// alive are the nodes that are.
func (w *world) alive() (list []*node) {
	for _, n := range w.nodes {
		if w.Alive(n.Network) {
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
	type outcome struct {
		result *skad.Result
		err    error
	}
	ended := make(chan outcome, 1)
	if err := n.Lookup(k, opt, func(r *skad.Result, err error) { ended <- outcome{r, err} }); err != nil {
		w.Fatal(err)
	}
	w.Until("the lookup to end", func() bool { return len(ended) > 0 })
	o := <-ended
	if o.err != nil {
		w.Fatal(o.err)
	}
	return o.result
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
