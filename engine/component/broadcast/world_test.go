package broadcast_test

import (
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/broadcast"
	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/skad"
	"github.com/carrier-p2p/carrier/skad/spread"
)

func TestMain(m *testing.M) { enginetest.VerifyMain(m) }

// A world is nodes on a simulated network.
type world struct {
	*enginetest.World
	nodes []*node // those that have ended too
}

// A node is one of them. What it got is written by its home loop, which runs while the test drives the world.
type node struct {
	*engine.Network
	cast *broadcast.Component
	got  []broadcast.Message
	full bool // the application has no room
}

var weather = simnet.Weather{Latency: 20 * time.Millisecond, Jitter: 20 * time.Millisecond}

func newWorld(t testing.TB, seed uint64) *world {
	return &world{World: enginetest.Sim(t, seed, weather)}
}

// node starts a node that broadcasts; change may alter its configuration.
func (w *world) node(change func(*node, *broadcast.Config)) *node {
	w.Helper()
	n := &node{}
	cfg := broadcast.Config{Deliver: n.deliver}
	if change != nil {
		change(n, &cfg)
	}
	return w.caster(n, w.Config(), cfg)
}

// caster starts n with the component.
func (w *world) caster(n *node, ec engine.Config, cfg broadcast.Config) *node {
	w.Helper()
	cfg.Scope, cfg.FirstSeq = skad.Private, max(cfg.FirstSeq, 1)
	var err error
	if n.cast, err = broadcast.New(cfg); err != nil {
		w.Fatal(err)
	}
	return w.start(n, ec, n.cast)
}

// liar starts a node that speaks for itself: it has no broadcast, but hears what is sent to it.
func (w *world) liar() *liar {
	w.Helper()
	cfg := w.Config()
	l := &liar{node: &node{}, id: cfg.Identity}
	w.start(l.node, cfg, l)
	return l
}

// start starts n with one component.
func (w *world) start(n *node, cfg engine.Config, c engine.ComponentInterface) *node {
	w.Helper()
	n.Network = w.Start(w.New(cfg, c))
	w.nodes = append(w.nodes, n)
	return n
}

func (n *node) deliver(m broadcast.Message) bool {
	if n.full {
		return false
	}
	n.got = append(n.got, m)
	return true
}

func (n *node) record() *skad.Contact { return skad.NewContact(*n.Record(), skad.Private) }

// mesh is a world of n nodes that are all connected.
func mesh(t testing.TB, seed uint64, n int, change func(*node, *broadcast.Config)) *world {
	w := newWorld(t, seed)
	w.mesh(n, change)
	return w
}

// mesh starts n nodes and connects everybody with everybody.
func (w *world) mesh(n int, change func(*node, *broadcast.Config)) {
	w.Helper()
	for range n {
		w.node(change)
	}
	w.connect(w.nodes...)
}

func (w *world) connect(nodes ...*node) {
	w.Helper()
	for i, a := range nodes {
		for _, b := range nodes[:i] {
			if err := a.DialAsync(b.Target(), func(*engine.PeerClient, error) {}); err != nil {
				w.Fatal(err)
			}
		}
	}
	w.Until("everybody to be connected", func() bool {
		for _, a := range nodes {
			if all, _ := a.ConnMgr().Count(); all < len(nodes)-1 {
				return false
			}
		}
		return true
	})
	w.Pass(time.Second)
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
	w.Until("the broadcast to be on its way", func() bool { return done })
	if err != nil {
		w.Fatalf("broadcast: %v", err)
	}
	return id
}

// reached counts the living nodes, the origin aside, that have got exactly want.
func (w *world) reached(origin *node, want ...string) (n int) {
	for _, x := range w.nodes {
		if x == origin || !w.Alive(x.Network) || x.cast == nil || len(x.got) != len(want) {
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
		if w.Alive(x.Network) && x.cast != nil {
			n++
		}
	}
	return n
}
