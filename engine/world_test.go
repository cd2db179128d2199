package engine_test

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/datagram"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

func TestMain(m *testing.M) { enginetest.VerifyMain(m) }

// A world is where a scenario runs, with what the tests of the engine itself ask for besides: every transport, and nodes whose
// configuration is changed.
type world struct {
	*enginetest.World
	quic  bool // over QUIC
	udp   bool // over UDP, or datagrams of a simulated network
	opts  []simnet.HostOption
	nodes []*engine.Network // those that node has made
}

// patience bounds every wait: virtual time in a simulated world, real time in a live one.
const patience = time.Minute

// worlds runs a scenario in every world.
func worlds(t *testing.T, scenario func(w *world)) {
	t.Run("simnet", func(t *testing.T) { simulate(t, 1, simnet.Weather{}, scenario) })
	t.Run("simnet-udp", func(t *testing.T) {
		simulate(t, 1, simnet.Weather{}, func(w *world) {
			w.udp, w.opts = true, []simnet.HostOption{simnet.Datagrams(datagram.Config{})}
			scenario(w)
		})
	})
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

// patient ends a live scenario over UDP that waits for time-outs, as nobody refuses there: it has run over simulated datagrams.
func (w *world) patient() {
	w.Helper()
	if w.udp && w.Net() == nil {
		w.Skip("over UDP nobody refuses")
	}
}

func simWorld(t testing.TB, seed uint64, weather simnet.Weather) *world {
	return &world{World: enginetest.Sim(t, seed, weather)}
}

// simulate runs a scenario in a simulated world where calls that wait take no real time.
func simulate(t *testing.T, seed uint64, weather simnet.Weather, scenario func(w *world)) {
	enginetest.Simulate(t, seed, weather, func(w *enginetest.World) { scenario(&world{World: w}) })
}

func liveWorld(t testing.TB) *world { return &world{World: enginetest.Live(t)} }

func quicWorld(t testing.TB) *world {
	return &world{World: enginetest.Over(t, transport.QUIC), quic: true}
}

func udpWorld(t testing.TB) *world {
	return &world{World: enginetest.Over(t, transport.UDP), udp: true}
}

// key is the identity of node number n, from 0.
func (w *world) key(n int) *identity.Identity { return w.Key(n + 1) }

// config is the configuration of the world's next node.
func (w *world) config() engine.Config { return w.ConfigOf(len(w.nodes)+1, w.opts...) }

// node makes and starts a node. change may alter its configuration, setup may register messages and components.
func (w *world) node(change func(*engine.Config), setup ...func(*engine.Network)) *engine.Network {
	w.Helper()
	cfg := w.config()
	if change != nil {
		change(&cfg)
	}
	n := w.New(cfg)
	for _, f := range setup {
		f(n)
	}
	w.nodes = append(w.nodes, w.Start(n))
	return n
}

// target is how to dial n.
func target(n *engine.Network) engine.Target { return n.Target() }

// dial connects a to b, which may not know of it yet.
func (w *world) dial(a, b *engine.Network) *engine.PeerClient {
	w.Helper()
	p, err := w.TryDial(a, target(b))
	if err != nil {
		w.Fatalf("dial: %v", err)
	}
	return p
}

// startDial dials and goes on.
func (w *world) startDial(a *engine.Network, t engine.Target) *dialResult {
	r := &dialResult{}
	if err := a.DialAsync(t, r.put); err != nil {
		r.put(nil, err)
	}
	return r
}

// newDice is randomness for one goroutine.
func newDice(seed, stream uint64) *rand.ChaCha8 {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	binary.LittleEndian.PutUint64(key[8:], stream)
	return rand.NewChaCha8(key)
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
