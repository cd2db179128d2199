package proxy_test

import (
	"sync"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/proxy"
	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/engine/lab"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

func TestMain(m *testing.M) {
	lab.Helpers(helpers)
	enginetest.VerifyMain(m)
}

// A world is where nodes and their relays live.
type world struct {
	*enginetest.World
	nodes []*node
}

// A node is one of them, with everything it has seen.
type node struct {
	*engine.Network
	proxy *proxy.Component
	seen  *witness
	host  *simnet.Host
}

func worlds(t *testing.T, scenario func(w *world)) {
	t.Run("simnet", func(t *testing.T) { scenario(simWorld(t, simnet.Weather{Latency: 10 * time.Millisecond})) })
	t.Run("live", func(t *testing.T) { scenario(&world{World: enginetest.Live(t)}) })
}

func simWorld(t testing.TB, weather simnet.Weather) *world {
	w := &world{World: enginetest.Sim(t, 1, weather)}
	w.Patience = 20 * time.Minute
	return w
}

// A plan is what is special about a node.
type plan struct {
	proxy  proxy.Config
	engine func(*engine.Config)
	setup  func(*node)
	dumb   bool // without the component
}

func (w *world) node(p plan) *node {
	w.Helper()
	n := &node{seen: &witness{}}
	var err error
	if n.proxy, err = proxy.New(p.proxy); err != nil {
		w.Fatal(err)
	}
	cfg := w.Config()
	cfg.MoreTransports = []transport.Transport{n.proxy.Transport()}
	if p.engine != nil {
		p.engine(&cfg)
	}
	components := []engine.ComponentInterface{n.proxy, n.seen}
	if p.dumb {
		components = components[1:]
	}
	n.Network = w.New(cfg, components...)
	n.host = w.Host(n.Network)
	if p.setup != nil {
		p.setup(n)
	}
	w.Start(n.Network)
	w.nodes = append(w.nodes, n)
	return n
}

// at is how n is dialled directly, through how it is dialled through relay r.
func (n *node) at() engine.Target { return n.Network.Target() }

func (n *node) through(r *node) engine.Target {
	return engine.Target{Addr: transport.Addr{Proto: transport.Relay, AddrPort: r.Network.Addrs()[0].AddrPort}, ID: n.ID()}
}

// hidden is a node that listens nowhere and keeps a reservation with each of relays.
func (w *world) hidden(relays ...*node) *node {
	w.Helper()
	return w.hiddenAs(plan{}, relays...)
}

func (w *world) hiddenAs(p plan, relays ...*node) *node {
	w.Helper()
	for _, r := range relays {
		p.proxy.Relays = append(p.proxy.Relays, r.at())
	}
	before := p.engine
	p.engine = func(c *engine.Config) {
		c.Listen = nil
		if before != nil {
			before(c)
		}
	}
	n := w.node(p)
	w.Until("the reservation", func() bool { return len(n.proxy.Addrs()) == max(1, p.proxy.Reservations) })
	return n
}

func (w *world) relay(l proxy.Limits) *node {
	w.Helper()
	return w.node(plan{proxy: proxy.Config{Serve: true, Limits: l}})
}

func (w *world) tryDial(from *node, t engine.Target) (*engine.PeerClient, error) {
	w.Helper()
	return w.TryDial(from.Network, t)
}

func (w *world) dial(from *node, t engine.Target) *engine.PeerClient {
	w.Helper()
	p, err := w.tryDial(from, t)
	if err != nil {
		w.Fatalf("dial %v: %v", t, err)
	}
	return p
}

const (
	opNote opcode.Opcode = 1000 + iota // a one-way message
	opAsk                              // a request, answered with opTold and the same payload
	opTold
)

// A witness writes down what it sees, relays aside.
type witness struct {
	engine.Component
	mu    sync.Mutex
	log   []comings
	notes []string
	bytes int
	quiet bool // only count
}

// comings are PeerConnect and PeerDisconnect in their order.
type comings struct {
	id   identity.ID
	what string
}

func (c *witness) Opcodes() []opcode.Opcode { return []opcode.Opcode{opNote, opAsk, opTold} }

func (c *witness) PeerConnect(p *engine.PeerClient) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log = append(c.log, comings{p.ID(), "up "})
}

func (c *witness) PeerDisconnect(p *engine.PeerClient) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log = append(c.log, comings{p.ID(), "down "})
}

func (c *witness) Receive(ctx *engine.ComponentContext) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes += len(ctx.Payload())
	if !c.quiet {
		c.notes = append(c.notes, string(ctx.Payload()))
	}
	if ctx.IsRequest() {
		return ctx.ReplyRaw(opTold, ctx.Payload())
	}
	return nil
}

// peer is the open peer with this ID, or nil.
func (n *node) peer(id identity.ID) *engine.PeerClient {
	p, _ := n.ConnMgr().Peer(id)
	return p
}

func (c *witness) got() (notes []string, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.notes...), c.bytes
}
