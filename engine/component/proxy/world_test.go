package proxy_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/proxy"
	"github.com/carrier-p2p/carrier/engine/lab"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/gnetio"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

func TestMain(m *testing.M) {
	lab.Helpers(helpers)
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*goWorker).run.func1"),
	)
}

// A world is where nodes and their relays live: simulated, in virtual time, or live, over loopback sockets.
type world struct {
	testing.TB
	sim   *simnet.Net // nil: live
	nodes []*node
}

// A node is one of them, with everything it has seen.
type node struct {
	*engine.Network
	proxy *proxy.Component
	seen  *witness
	host  *simnet.Host
}

const patience = 30 * time.Second

func worlds(t *testing.T, scenario func(w *world)) {
	t.Run("simnet", func(t *testing.T) { scenario(simWorld(t, simnet.Weather{Latency: 10 * time.Millisecond})) })
	t.Run("live", func(t *testing.T) {
		w := &world{TB: t}
		t.Cleanup(w.stop)
		scenario(w)
	})
}

func simWorld(t testing.TB, weather simnet.Weather) *world {
	w := &world{TB: t, sim: simnet.New(1, weather)}
	t.Cleanup(w.stop)
	return w
}

func (w *world) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, n := range w.nodes {
		w.do(func() {
			if err := n.Shutdown(ctx); err != nil {
				w.Errorf("shutdown: %v", err)
			}
		})
	}
	w.nodes = nil
}

// until drives the world until cond holds.
func (w *world) until(what string, cond func() bool) {
	w.Helper()
	if w.sim != nil {
		if !w.sim.RunUntil(cond, 20*time.Minute) {
			w.Fatalf("in vain: %s", what)
		}
		return
	}
	giveUp := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-giveUp:
			w.Fatalf("in vain: %s", what)
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
	clock := time.NewTicker(100 * time.Microsecond)
	defer clock.Stop()
	for {
		select {
		case <-done:
			return
		case <-clock.C:
			w.sim.Run(100 * time.Microsecond)
		}
	}
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
	i := len(w.nodes)
	id, err := identity.FromSeed(w.Context(), [32]byte{byte(i + 1), byte((i + 1) >> 8)}, identity.Puzzle{})
	if err != nil {
		w.Fatal(err)
	}
	n := &node{seen: &witness{}}
	if n.proxy, err = proxy.New(p.proxy); err != nil {
		w.Fatal(err)
	}
	cfg := engine.Config{Identity: id, Puzzle: &identity.Puzzle{}, WeakPuzzle: true, MoreTransports: []transport.Transport{n.proxy.Transport()}}
	if w.sim == nil {
		cfg.Transport = gnetio.New(gnetio.Config{})
		cfg.Listen = []transport.Addr{{Proto: transport.TCP, AddrPort: netip.MustParseAddrPort("127.0.0.1:0")}}
	} else {
		addr := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i + 1)})
		n.host = w.sim.Host(addr)
		cfg.Transport, cfg.Listen = n.host, []transport.Addr{{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(addr, 4001)}}
		var key [32]byte
		binary.LittleEndian.PutUint64(key[:], uint64(i))
		cfg.Rand = &dice{src: rand.NewChaCha8(key)}
	}
	if p.engine != nil {
		p.engine(&cfg)
	}
	if n.Network, err = engine.New(cfg); err != nil {
		w.Fatal(err)
	}
	if !p.dumb {
		if err := n.AddComponent(n.proxy); err != nil {
			w.Fatal(err)
		}
	}
	if err := n.AddComponent(n.seen); err != nil {
		w.Fatal(err)
	}
	if p.setup != nil {
		p.setup(n)
	}
	if err := n.Start(context.Background()); err != nil {
		w.Fatal(err)
	}
	w.nodes = append(w.nodes, n)
	return n
}

type dice struct {
	mu  sync.Mutex
	src *rand.ChaCha8
}

func (d *dice) Read(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.src.Read(b)
}

// at is how n is dialled directly, through how it is dialled through relay r.
func (n *node) at() engine.Target { return engine.Target{Addr: n.Network.Addrs()[0], ID: n.ID()} }

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
	w.until("the reservation", func() bool { return len(n.proxy.Addrs()) == max(1, p.proxy.Reservations) })
	return n
}

func (w *world) relay(l proxy.Limits) *node {
	w.Helper()
	return w.node(plan{proxy: proxy.Config{Serve: true, Limits: l}})
}

// tryDial dials and waits for the outcome.
func (w *world) tryDial(from *node, t engine.Target) (*engine.PeerClient, error) {
	w.Helper()
	var mu sync.Mutex
	var peer *engine.PeerClient
	var failed error
	done := false
	put := func(p *engine.PeerClient, err error) {
		mu.Lock()
		defer mu.Unlock()
		peer, failed, done = p, err, true
	}
	if err := from.DialAsync(t, put); err != nil {
		return nil, err
	}
	w.until("the dial to end", func() bool { mu.Lock(); defer mu.Unlock(); return done })
	return peer, failed
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
