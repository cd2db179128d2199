package broadcast

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/skad"
	"github.com/carrier-p2p/carrier/skad/spread"
)

var (
	// ErrTooLarge says that a payload is above spread.PayloadLimit.
	ErrTooLarge = spread.ErrTooLarge

	// ErrRate says that the node has said as much as others will pass on for it; in a moment it may speak again.
	ErrRate = spread.ErrRate

	// ErrBusy says that too many own broadcasts wait already.
	ErrBusy = errors.New("broadcast: too many at once")
)

// A Config says what the component is to do. Zero means the written default.
type Config struct {
	// Deliver gets every message of others once, on the home loop, where it must not block. False says that there is no
	// room for it now: it is called again with the same message, and the messages behind it wait. nil: messages are
	// passed on and not delivered. See To for a channel.
	Deliver func(Message) bool

	// Validate is asked about every message before it is delivered or passed on, on the home loop; nil accepts. It must
	// be a quick function of the message alone and keep nothing of it; what it rejects it must reject on every node.
	Validate func(*Message) spread.Verdict

	// Table is where contacts come from, asked on the home loop only; discovery has one. nil: the connected peers, which
	// is right only for a network in which everybody is connected with nearly everybody.
	Table spread.Table

	// Connect reaches a contact of the Table that is not connected, and calls then on the home loop; discovery has one.
	// nil: the component dials itself.
	Connect func(to *skad.Contact, then func(*engine.PeerClient, error)) error

	// Blame is told, on the home loop, that a contact has broken a rule, so that it loses its place in the Table. Its
	// connection is ended by the component when it has done so often enough. nil: that alone.
	Blame func(who *skad.Contact, why skad.Reason)

	Scope skad.Scope // what addresses mean where there is no Table

	// FirstSeq is the number of the first own message: above every number that this identity has used before, or its
	// messages are taken for replays. 0: the time of Startup, in nanoseconds since 1970.
	FirstSeq uint64

	// Spread is the configuration of the machine: rates, delegates, rounds of repair. Its Signer, Verifier, Network,
	// FirstSeq, Linked and Validate are set by the component.
	Spread spread.Config

	Logger *slog.Logger // nil: silent
}

// A Message is one that was broadcast.
type Message struct {
	ID      spread.MessageID
	Origin  identity.ID        // who has signed it
	Key     identity.PublicKey // of the origin
	Seq     uint64             // rises with every message of the origin
	Hops    int                // it took to come here; 0: by repair
	From    identity.ID        // the peer that brought it
	Payload []byte             // may be kept, must not be changed; in Validate good for the call only
}

// A Component broadcasts for one Network. Make it with New.
type Component struct {
	engine.Component
	cfg Config

	// Fixed by Startup.
	net  *engine.Network
	loop engine.Loop
	task *engine.Task

	started atomic.Pointer[engine.Network] // net, for those who may ask too early

	inbox  inbox
	slots  chan struct{} // one for each own broadcast that waits
	asks   asks
	ledger ledger

	// Owned by the home loop.
	core    *spread.Core
	err     error  // why there is none
	work    *batch // being worked off
	idle    *batch // to be filled next
	peers   map[identity.ID]*peer
	linked  *linked // the table if Config names none
	dials   map[identity.ID]*dial
	waiting int // bytes that wait for dials
	failed  []failure
	room    []byte // one message, encoded
	ready   deliveries
	speakAt time.Duration // when the next own broadcast may go
	counts  counts
}

var _ engine.Subscriber = (*Component)(nil)

// New makes a Component, for one Network. Everything that is wrong with cfg is reported at once, wrapping
// spread.ErrConfig.
func New(cfg Config) (*Component, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if err := cfg.Spread.Check(); err != nil {
		return nil, fmt.Errorf("broadcast: %w", err)
	}
	c := &Component{
		cfg: cfg, slots: make(chan struct{}, asksLimit), idle: newBatch(),
		peers: map[identity.ID]*peer{}, dials: map[identity.ID]*dial{},
	}
	c.inbox.filling = newBatch()
	return c, nil
}

// Opcodes are what the component answers.
func (c *Component) Opcodes() []opcode.Opcode {
	return []opcode.Opcode{opcode.BroadcastCode, opcode.BroadcastHaveCode, opcode.BroadcastWantCode}
}

// Startup makes the task; the first turn makes the machine.
func (c *Component) Startup(n *engine.Network) {
	c.net, c.loop = n, n.HomeLoop()
	c.task = c.loop.NewTask("broadcast", c.turn)
	c.started.Store(n)
	c.task.Wake()
}

// start makes the machine; on the home loop.
func (c *Component) start() error {
	n := c.net
	self := skad.NewContact(*n.Record(), c.cfg.Scope)
	table := c.cfg.Table
	if table == nil {
		c.linked = &linked{self: self.ID}
		table = c.linked
	}
	var seed [32]byte
	if _, err := io.ReadFull(n.Rand(), seed[:]); err != nil {
		return fmt.Errorf("broadcast: randomness: %w", err)
	}
	sc := c.cfg.Spread
	sc.Signer, sc.Verifier, sc.Network, sc.FirstSeq = n, spread.Origins(n.Puzzle()), n.NetworkID(), c.cfg.FirstSeq
	if sc.FirstSeq == 0 {
		sc.FirstSeq = uint64(time.Now().UnixNano())
	}
	sc.Validate = c.validate
	if c.linked == nil { // else all of the table are
		sc.Linked = func(d *skad.Contact) bool { _, ok := n.ConnMgr().Peer(d.ID.Identity()); return ok }
	}
	core, err := spread.New(sc, self, table, rand.New(rand.NewChaCha8(seed)), c.loop.Now())
	if err != nil {
		return fmt.Errorf("broadcast: %w", err)
	}
	c.core = core
	return nil
}

// Cleanup ends the machine: own broadcasts that wait fail, and when the home loop has seen it nothing is delivered any
// more.
func (c *Component) Cleanup(*engine.Network) {
	c.loop.Post(c.task.Stop)
	c.end(engine.ErrClosed)
}

// PeerConnect tells the home loop of a peer.
func (c *Component) PeerConnect(p *engine.PeerClient) {
	if rec, ok := p.Record(); ok && c.cfg.Table == nil {
		c.inbox.put(item{kind: up, peer: p, contact: skad.NewContact(*rec, c.cfg.Scope)})
		c.task.Wake()
	}
}

// PeerDisconnect tells it that the peer has gone.
func (c *Component) PeerDisconnect(p *engine.PeerClient) {
	c.inbox.put(item{kind: down, peer: p})
	c.task.Wake()
}

// Receive reads a message and hands it to the home loop.
func (c *Component) Receive(ctx *engine.ComponentContext) error {
	if err := c.inbox.message(ctx.Client(), ctx.Opcode(), ctx.Payload()); err != nil {
		return &engine.Fault{Whose: engine.Peers, Fate: engine.Close, Code: engine.CodeProtocol, Err: err}
	}
	c.task.Wake()
	return engine.ErrIntercepted
}
