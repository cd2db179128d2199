package engine_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/gnetio"
	"github.com/carrier-p2p/carrier/engine/transport/quicio"
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

// A world is where a scenario runs: simulated, in virtual time and from one seed, or live, over loopback sockets. The same
// scenario runs in both.
type world struct {
	testing.TB
	sim   *simnet.Net // nil: live
	seed  uint64
	quic  bool // live, over QUIC
	udp   bool // live, over UDP
	nodes []*engine.Network
}

// patience bounds every wait: virtual time in a simulated world, real time in a live one.
const patience = 60 * time.Second

// worlds runs a scenario in every world.
func worlds(t *testing.T, scenario func(w *world)) {
	t.Run("simnet", func(t *testing.T) { scenario(simWorld(t, 1, simnet.Weather{})) })
	t.Run("live", func(t *testing.T) { scenario(liveWorld(t)) })
	t.Run("quic", func(t *testing.T) { scenario(quicWorld(t)) })
	t.Run("udp", func(t *testing.T) { scenario(udpWorld(t)) })
}

// streamed ends a scenario that is about streams where there are none; over UDP what it asks for is refused, which
// TestDatagramLimits shows.
func (w *world) streamed(what string) {
	w.Helper()
	if w.udp {
		w.Skip("over UDP there is no stream: " + what)
	}
}

func simWorld(t testing.TB, seed uint64, weather simnet.Weather) *world {
	w := &world{TB: t, sim: simnet.New(seed, weather), seed: seed}
	t.Cleanup(func() {
		w.stop()
		if t.Failed() {
			t.Logf("replay: seed %d, weather %+v", seed, weather)
		}
	})
	return w
}

func liveWorld(t testing.TB) *world {
	w := &world{TB: t}
	t.Cleanup(w.stop)
	return w
}

// quicWorld is a live world whose nodes know QUIC alone.
func quicWorld(t testing.TB) *world {
	w := liveWorld(t)
	w.quic = true
	return w
}

// udpWorld is a live world whose nodes know UDP alone. Loopback loses nothing that is read in time.
func udpWorld(t testing.TB) *world {
	w := liveWorld(t)
	w.udp = true
	return w
}

// stop shuts every node down.
func (w *world) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
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

// until drives the world until cond holds, and fails the test if it does not come true.
func (w *world) until(what string, cond func() bool) {
	w.Helper()
	if w.sim != nil {
		if !w.sim.RunUntil(cond, patience) {
			w.Fatalf("waited %v of virtual time in vain: %s (seed %d)", patience, what, w.seed)
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
			w.Fatalf("waited %v in vain: %s", patience, what)
		}
	}
}

// pass lets d of virtual time pass; in a live world it does nothing, so what depends on it must say so with until.
func (w *world) pass(d time.Duration) {
	if w.sim != nil {
		w.sim.Run(d)
	}
}

// do makes a call that waits.
func (w *world) do(f func()) {
	w.Helper()
	if w.sim == nil {
		f()
		return
	}
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	// Little by little, and virtual time not faster than real time: the caller's goroutine has to have its chances, or the
	// engine's time-outs pass while a busy machine has not run it yet.
	const step = 100 * time.Microsecond
	clock := time.NewTicker(step)
	defer clock.Stop()
	for {
		select {
		case <-done:
			return
		case <-clock.C:
			w.sim.Run(step)
		}
	}
}

// A seat is what a node needs before it exists: an identity and an address.
func (w *world) key(n int) *identity.Identity {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], uint64(n)+1)
	id, err := identity.FromSeed(context.Background(), seed, identity.Puzzle{})
	if err != nil {
		w.Fatal(err)
	}
	return id
}

// config is the configuration of the world's next node.
func (w *world) config() engine.Config {
	n := len(w.nodes)
	cfg := engine.Config{Identity: w.key(n), Puzzle: &identity.Puzzle{}, WeakPuzzle: true, Agent: fmt.Sprintf("node-%d", n)}
	if w.quic {
		cfg.Transport = quicio.New(quicio.Config{})
		cfg.Listen = []transport.Addr{{Proto: transport.QUIC, AddrPort: netip.MustParseAddrPort("127.0.0.1:0")}}
		return cfg
	}
	if w.udp {
		overUDP(&cfg)
		cfg.DialTimeout = 3 * time.Second // nobody refuses here
		return cfg
	}
	if w.sim == nil {
		cfg.Transport = gnetio.New(gnetio.Config{})
		cfg.Listen = []transport.Addr{{Proto: transport.TCP, AddrPort: netip.MustParseAddrPort("127.0.0.1:0")}}
		return cfg
	}
	addr := netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)})
	cfg.Transport = w.sim.Host(addr)
	cfg.Listen = []transport.Addr{{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(addr, 4001)}}
	cfg.Rand = newDice(w.seed, uint64(n))
	return cfg
}

// dice are randomness from a seed.
type dice struct {
	mu  sync.Mutex
	src *rand.ChaCha8
}

func newDice(seed, node uint64) *dice {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	binary.LittleEndian.PutUint64(key[8:], node)
	return &dice{src: rand.NewChaCha8(key)}
}

func (d *dice) Read(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.src.Read(b)
}

// node makes and starts a node. change may alter its configuration, setup may register messages and components.
func (w *world) node(change func(*engine.Config), setup ...func(*engine.Network)) *engine.Network {
	w.Helper()
	cfg := w.config()
	if change != nil {
		change(&cfg)
	}
	n, err := engine.New(cfg)
	if err != nil {
		w.Fatal(err)
	}
	for _, f := range setup {
		f(n)
	}
	if err := n.Start(context.Background()); err != nil {
		w.Fatal(err)
	}
	w.nodes = append(w.nodes, n)
	return n
}

// target is how to dial n.
func target(n *engine.Network) engine.Target { return engine.Target{Addr: n.Addrs()[0], ID: n.ID()} }

// dial connects a to b.
func (w *world) dial(a, b *engine.Network) *engine.PeerClient {
	w.Helper()
	p, err := w.tryDial(a, target(b))
	if err != nil {
		w.Fatalf("dial: %v", err)
	}
	return p
}

// tryDial dials and waits for the outcome.
func (w *world) tryDial(a *engine.Network, t engine.Target) (*engine.PeerClient, error) {
	w.Helper()
	r := w.startDial(a, t)
	w.until("the dial to end", r.done)
	return r.get()
}

// startDial dials and goes on.
func (w *world) startDial(a *engine.Network, t engine.Target) *dialResult {
	r := &dialResult{}
	if err := a.DialAsync(t, r.put); err != nil {
		r.put(nil, err)
	}
	return r
}

type dialResult struct {
	mu    sync.Mutex
	peer  *engine.PeerClient
	err   error
	times int
}

func (r *dialResult) put(p *engine.PeerClient, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.peer, r.err = p, err
	r.times++
}

func (r *dialResult) done() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.times > 0
}

func (r *dialResult) get() (*engine.PeerClient, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.peer, r.err
}

// The opcodes of the tests.
const (
	opNote opcode.Opcode = 1000 + iota // a one-way message
	opAsk                              // a request, answered with opTold and the same payload
	opTold
)

// A witness is a component that writes down everything it sees.
type witness struct {
	engine.Component
	mu    sync.Mutex
	ups   []*engine.PeerClient
	downs []*engine.PeerClient
	notes []string
	log   []string                                 // up, down and notes in their order
	on    func(ctx *engine.ComponentContext) error // called for each message, if set
}

func (c *witness) Opcodes() []opcode.Opcode { return []opcode.Opcode{opNote, opAsk, opTold} }

func (c *witness) PeerConnect(p *engine.PeerClient) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ups = append(c.ups, p)
	c.log = append(c.log, "up")
}

func (c *witness) PeerDisconnect(p *engine.PeerClient) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.downs = append(c.downs, p)
	c.log = append(c.log, "down")
}

func (c *witness) Receive(ctx *engine.ComponentContext) error {
	c.mu.Lock()
	c.notes = append(c.notes, string(ctx.Payload()))
	c.log = append(c.log, string(ctx.Payload()))
	on := c.on
	c.mu.Unlock()
	if on != nil {
		return on(ctx)
	}
	if ctx.Opcode() == opAsk {
		return ctx.ReplyRaw(opTold, ctx.Payload())
	}
	return nil
}

func (c *witness) count() (ups, downs, notes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.ups), len(c.downs), len(c.notes)
}

func (c *witness) seen() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.log...)
}

func (c *witness) peer(i int) *engine.PeerClient {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ups[i]
}

// withWitness adds c to a node.
func withWitness(c *witness) func(*engine.Network) {
	return func(n *engine.Network) {
		if err := n.AddComponent(c); err != nil {
			panic(err)
		}
	}
}
