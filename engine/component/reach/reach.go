package reach

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// A Component finds out whether its node can be dialled, and dials others back. Make it with New; it serves one Network. Its
// methods may be called from any goroutine.
type Component struct {
	engine.Component
	cfg    Config
	voters electorate
	meter  *meter
	asks   asks
	served served
	asked  atomic.Int64
	drops  struct{ malformed, unasked atomic.Int64 }
	shown  atomic.Pointer[Report]

	// Fixed by Startup.
	net  *engine.Network
	loop engine.Loop
	task *engine.Task // nil: it does not run

	// Owned by the home loop.
	over    bool
	judge   *judge
	addrs   []transport.Addr // that the node shows, of those that can be asked about
	marked  bool             // FlagClient in the record is this component's doing
	present [2]int           // peers at the beginning of this window and of the one before
	window  time.Duration    // when it ends
}

var _ engine.Subscriber = (*Component)(nil)

// New makes a Component. Everything that is wrong with cfg is reported at once, wrapping ErrConfig.
func New(cfg Config) (*Component, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Component{cfg: cfg, voters: electorate{scope: cfg.Scope, groups: map[netip.Prefix][]voter{}}, meter: newMeter()}
	c.asks.open = map[uint64]identity.ID{}
	c.shown.Store(&Report{Mode: cfg.Mode, Client: cfg.Mode == Client})
	return c, nil
}

// Opcodes are the question and its answer.
func (c *Component) Opcodes() []opcode.Opcode {
	return []opcode.Opcode{opcode.DialBackRequestCode, opcode.DialBackResponseCode}
}

// Startup begins to watch.
func (c *Component) Startup(n *engine.Network) {
	c.net, c.loop = n, n.HomeLoop()
	var seed [16]byte
	if _, err := io.ReadFull(n.Rand(), seed[:]); err != nil {
		n.Publish(engine.Event{Kind: engine.Reachability, Text: "cannot be found out without randomness", Err: err})
		return
	}
	rnd := rand.New(rand.NewPCG(binary.LittleEndian.Uint64(seed[:]), binary.LittleEndian.Uint64(seed[8:])))
	now := c.loop.Now()
	c.judge = newJudge(c.cfg.Voters, rnd, now)
	c.addrs, c.window = c.candidates(), now+lossWindow
	if c.cfg.Mode == Client {
		c.mark(true)
	}
	c.task = c.loop.NewTask("reach", c.turn)
	c.task.Wake()
}

// Cleanup ends it. The record stays as it is.
func (c *Component) Cleanup(*engine.Network) {
	if c.task == nil {
		return
	}
	_ = c.loop.Do(func() { c.over = true; c.task.Stop() }) // if the loop has ended, so has the task
}

// PeerConnect is called on the peer's loop.
func (c *Component) PeerConnect(p *engine.PeerClient) {
	if v, ok := c.voters.voterOf(p); ok && c.voters.add(v) && c.task != nil {
		c.task.Wake()
	}
}

// PeerDisconnect is called on the peer's loop.
func (c *Component) PeerDisconnect(p *engine.PeerClient) { c.voters.remove(p) }

// Receive takes a question or an answer, on the peer's loop.
func (c *Component) Receive(ctx *engine.ComponentContext) error {
	p := ctx.Client()
	if ctx.Opcode() == opcode.DialBackRequestCode {
		m, err := parseRequest(ctx.Payload())
		if err != nil {
			return c.malformed(err)
		}
		c.serve(p, m, ctx.Now())
		return engine.ErrIntercepted
	}
	m, err := parseResponse(ctx.Payload())
	if err != nil {
		return c.malformed(err)
	}
	if c.task == nil || !c.asks.take(m.nonce, p.ID()) {
		c.drops.unasked.Add(1)
		return engine.ErrIntercepted
	}
	c.loop.Post(func() {
		c.judge.answered(m.nonce, m.answer)
		c.task.Wake()
	})
	return engine.ErrIntercepted
}

// malformed ends the connection of a peer that sends what is no message: an honest one cannot.
func (c *Component) malformed(err error) error {
	c.drops.malformed.Add(1)
	return &engine.Fault{Whose: engine.Peers, Fate: engine.Close, Code: engine.CodeProtocol, Err: err}
}

// candidates are the addresses of the record that can be asked about.
func (c *Component) candidates() (out []transport.Addr) {
	for _, a := range c.net.Record().Addrs {
		if len(out) < candidateLimit && a.Proto == transport.TCP && c.cfg.Scope.Dialable(a.Addr()) {
			out = append(out, a)
		}
	}
	return out
}

// mark says in the record whether this node is a client. What somebody else has said there stays. On the home
// loop, or in Startup.
func (c *Component) mark(client bool) {
	has := c.net.Record().Flags&identity.FlagClient != 0
	if has == client || has && !c.marked {
		return
	}
	err := c.net.Readvertise(func(have *identity.Record) ([]transport.Addr, identity.Flags) {
		if client {
			return have.Addrs, have.Flags | identity.FlagClient
		}
		return have.Addrs, have.Flags &^ identity.FlagClient
	})
	if err != nil {
		c.net.Publish(engine.Event{Kind: engine.Reachability, Text: "the node record cannot say what the node is", Err: err})
		return
	}
	c.marked = client
}

// watch notices other addresses, and many lost peers.
func (c *Component) watch(now time.Duration) {
	if addrs := c.candidates(); !slices.Equal(addrs, c.addrs) {
		c.addrs = addrs
		c.judge.changed(now)
	}
	have, _ := c.net.ConnMgr().Count()
	switch most := max(c.present[0], c.present[1]); {
	case most >= lossLeast && 2*have <= most:
		c.judge.doubt(now)
		c.present, c.window = [2]int{have, have}, now+lossWindow
	case now >= c.window:
		c.present, c.window = [2]int{have, c.present[0]}, now+lossWindow
	}
}
