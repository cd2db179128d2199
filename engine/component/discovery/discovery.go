package discovery

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/skad"
)

// A Component is a node's place in the overlay. Make it with New; it serves one Network. Its methods may be called from
// any goroutine unless they say otherwise.
type Component struct {
	engine.Component
	cfg   Config
	ready chan struct{} // closed when joined
	onAct []func(now time.Duration, a *skad.Action)

	// Fixed by Startup.
	net      *engine.Network
	loop     engine.Loop
	task     *engine.Task
	verifier *verifier
	local    []local // by loop
	stop     context.CancelFunc
	stopped  context.Context
	resolves sync.WaitGroup

	inbox  inbox
	writer *writer // nil: nothing is kept
	view   atomic.Pointer[skad.View]
	drops  drops

	// Owned by the home loop.
	core      *skad.Core
	action    skad.Action // that is being carried out; a local one would be garbage each time
	over      bool
	record    *identity.Record // what core.Self was made of
	work      *batch           // being worked off
	idle      *batch           // to be filled next
	sessions  map[skad.ID]*session
	all       []*session // the same, in no order
	told      int        // of all: those from here on know whether the node is a client or a server
	ours      []*session // of these, dialled for the overlay; in no order
	crowded   bool       // there may be too many of ours
	idlers    []*session // of ours, to be ended; may hold some that have ended, or been used
	dials     map[skad.ID]*dial
	dialling  int             // of these, under way
	parcelled int             // bytes that wait for dials
	waiting   []*dial         // the others, in their order; may hold some that have ended
	dialled   []*skad.Contact // whose dials have begun, to tell the core
	failures  []failure       // likewise, in the order of their times
	lookups   map[skad.LookupID]*query
	queries   []*query // wait for their turn
	seeds     map[skad.ID]bool
	seedAt    time.Duration
	seedAfter time.Duration
	found     bool // by others, before we had joined
	sweepAt   time.Duration
	saveAt    time.Duration
	settleAt  time.Duration
	settled   int                  // of settleAfter
	guarded   map[identity.ID]bool // members that are protected
	guardedBy *skad.View           // the table they were taken from
	joined    bool
	room      []byte // one message, encoded
	counts    Stats

	mu    sync.Mutex
	shown Stats // under mu
}

var _ engine.Subscriber = (*Component)(nil)

// New makes a Component. Everything that is wrong with cfg is reported at once, wrapping ErrConfig or skad.ErrConfig.
func New(cfg Config) (*Component, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	probe := cfg.Overlay
	probe.Verifier = &verifier{}
	if _, err := skad.New(probe, skad.NewContact(identity.Record{}, probe.Scope), rand.New(rand.NewPCG(0, 0)), 0); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return &Component{
		cfg: cfg, ready: make(chan struct{}), idle: &batch{}, inbox: inbox{filling: &batch{}, closed: true},
		sessions: map[skad.ID]*session{}, dials: map[skad.ID]*dial{}, lookups: map[skad.LookupID]*query{},
		seeds: map[skad.ID]bool{}, guarded: map[identity.ID]bool{}, seedAfter: seedFirst, settleAt: skad.Never,
	}, nil
}

// OnAction has f called, on the home loop, with each ActionDeliver, ActionRouted, ActionBlame and ActionReady of the core:
// for components that use the core through Do. f must not keep what the action says is lent, nor call the core: it asks
// for a turn of its own with Do. Call it before Startup: in New or in an earlier component's Startup.
func (c *Component) OnAction(f func(now time.Duration, a *skad.Action)) { c.onAct = append(c.onAct, f) }

// Opcodes are the messages of the core that peers send.
func (c *Component) Opcodes() []opcode.Opcode {
	return []opcode.Opcode{opcode.PongCode, opcode.LookupNodeRequestCode, opcode.LookupNodeResponseCode,
		opcode.RouteCode, opcode.RouteAckCode, opcode.RecordCode}
}

// Startup makes the core and begins to join.
func (c *Component) Startup(n *engine.Network) {
	c.net, c.loop = n, n.HomeLoop()
	c.cfg.Connections = max(1, min(c.cfg.Connections, n.PeerLimits().All/connectionsShare))
	c.verifier = newVerifier(n.Puzzle())
	c.local = make([]local, len(n.Loops()))
	for i := range c.local {
		c.local[i].sessions = map[*engine.PeerClient]*session{}
	}
	c.stopped, c.stop = context.WithCancel(context.Background())
	cfg := c.cfg.Overlay
	cfg.Verifier = c.verifier
	if c.cfg.Client {
		if err := n.Readvertise(func(have *identity.Record) ([]transport.Addr, identity.Flags) {
			return have.Addrs, have.Flags | identity.FlagClient
		}); err != nil {
			c.cfg.Logger.Error("discovery: cannot say that this node is a client", "err", err)
		}
	}
	c.record = n.Record()
	var seed [16]byte
	_, err := io.ReadFull(n.Rand(), seed[:])
	rnd := rand.New(rand.NewPCG(binary.LittleEndian.Uint64(seed[:]), binary.LittleEndian.Uint64(seed[8:])))
	if err == nil {
		c.core, err = skad.New(cfg, skad.NewContact(*c.record, cfg.Scope), rnd, c.loop.Now())
	}
	if err != nil { // New has checked the configuration: only the randomness of the system is left
		c.cfg.Logger.Error("discovery cannot run", "err", err)
		return
	}
	c.warnOfScope()
	c.openStore()
	c.view.Store(c.core.View())
	c.task = c.loop.NewTask("discovery", c.turn)
	c.inbox.open()
	c.task.Wake()
}

// Cleanup ends everything that waits. It is called while the loops still run.
func (c *Component) Cleanup(*engine.Network) {
	if c.task == nil {
		return
	}
	c.stop()
	var last []Entry
	end := func() { last = c.end() }
	if err := c.loop.Do(end); err != nil { // the loop has ended already
		end()
	}
	c.resolves.Wait() // after end, when no more begin
	c.closeStore(last)
}

// end tells everybody who waits, and returns what is to be kept. On the home loop.
func (c *Component) end() (last []Entry) {
	c.inbox.close()
	for i := c.nextItem(); i != nil; i = c.nextItem() {
		if i.kind == asked { // taken in, so it is done: somebody may wait for what comes of it
			i.do(c.loop.Now(), c.core)
		}
	}
	c.over = true
	c.task.Stop()
	for _, q := range c.queries {
		q.end(nil, ErrClosed)
	}
	for _, q := range c.lookups {
		q.end(nil, ErrClosed)
	}
	clear(c.lookups)
	c.queries = nil
	for _, d := range c.dials {
		for _, f := range d.then {
			f(nil, ErrClosed)
		}
	}
	clear(c.dials)
	for id := range c.guarded {
		c.net.ConnMgr().Unprotect(id, guardTag)
	}
	if c.writer != nil {
		last = c.batch(c.loop.Now())
	}
	return last
}

// View is the table as it was a moment ago: immutable, for any goroutine, without a lock. It is nil before Startup.
func (c *Component) View() *skad.View { return c.view.Load() }

// Joined reports whether the node has joined: a node of the overlay has answered, and the neighbourhood is known.
func (c *Component) Joined() bool {
	select {
	case <-c.ready:
		return true
	default:
		return false
	}
}

// Wait waits until the node has joined, or ctx ends. Not on a loop.
func (c *Component) Wait(ctx context.Context) error {
	select {
	case <-c.ready:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("discovery: not joined: %w", context.Cause(ctx))
	}
}

// Do has f run on the home loop with the core. f may call the core's methods, except Next, and must keep nothing that it
// lends; the actions that follow are carried out after it has returned. Errors are ErrBusy and ErrClosed.
func (c *Component) Do(f func(now time.Duration, core *skad.Core)) error {
	err := c.inbox.do(f)
	if err == nil {
		c.task.Wake()
	}
	return err
}

// Connected returns the contact of the open session with a node, whether it is in the table or not. On the home loop only.
func (c *Component) Connected(id skad.ID) (*skad.Contact, bool) {
	s := c.sessions[id]
	if s == nil {
		return nil, false
	}
	return s.contact, true
}

// A Table is the core's table for code that runs on the home loop and asks often, such as the broadcast. Its methods are those
// of skad.Core.
type Table struct{ of *Component }

// Table returns the table for use on the home loop only.
func (c *Component) Table() Table { return Table{c} }

// Closest appends the n contacts closest to key.
func (t Table) Closest(key skad.ID, n int, dst []*skad.Contact) []*skad.Contact {
	if t.of.core == nil {
		return dst
	}
	return t.of.core.Closest(key, n, dst)
}

// Sharing appends the contacts that share exactly prefix bits with the node's own ID.
func (t Table) Sharing(prefix int, dst []*skad.Contact) []*skad.Contact {
	if t.of.core == nil {
		return dst
	}
	return t.of.core.Sharing(prefix, dst)
}
