package overlay

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/skad"
)

var (
	// ErrConfig is wrapped by what New says about a Config.
	ErrConfig = errors.New("overlay: bad config")

	// ErrTooLarge says that a payload is above PayloadLimit.
	ErrTooLarge = errors.New("overlay: payload too large")

	// ErrBusy says that too many own messages are under way already.
	ErrBusy = errors.New("overlay: too many at once")

	// ErrUnreachable says that nobody took a message over, or that its receiver has said nothing, for as long as was waited.
	ErrUnreachable = errors.New("overlay: not reached")
)

// Discovery is what the component stands on: component/discovery.
type Discovery interface {
	// Do has f run on the home loop with the core. OnAction has f called there with what the core delivers.
	Do(f func(now time.Duration, core *skad.Core)) error
	OnAction(f func(now time.Duration, a *skad.Action))

	// View is the table, for any goroutine; nil before the start.
	View() *skad.View

	// Connected returns the contact of the open session with a node; on the home loop only. Connect opens one.
	Connected(id skad.ID) (*skad.Contact, bool)
	Connect(to *skad.Contact, then func(*engine.PeerClient, error)) error

	// Lookup looks up a key and calls then on the home loop.
	Lookup(key skad.ID, opt skad.LookupOptions, then func(*skad.Result, error)) error
}

// A Config says what the component is to do. Zero means the written default.
type Config struct {
	Discovery Discovery // needed; add it to the network first

	// Deliver gets the messages for keys to which this node is the closest, and those for this node, on the home loop,
	// where it must not block. False says that there is no room: a message for this node is then sent again, any other is
	// lost. nil: the node passes messages on and receives none. See To for a channel.
	Deliver func(Message) bool

	Copies     int // of each message, over distinct first hops; CopiesDefault, at most skad.RouteCopyLimit
	Neighbours int // connections kept with the closest nodes; NeighboursDefault, negative for none

	// FirstNumber is the number of the first own message: above every one that this identity has used before. 0: the time
	// of Startup, in nanoseconds since 1970.
	FirstNumber uint64
}

// A Message is one that came over the overlay. Its origin has signed it.
type Message struct {
	Origin  identity.ID
	Key     identity.PublicKey // of the origin
	To      skad.ID            // the key; for messages of SendTo the node's own ID
	Direct  bool               // by SendTo
	Number  uint64             // rises with every message of the origin
	Payload []byte             // may be kept
}

// To returns a Config.Deliver that sends into a channel and says when it is full.
func To(ch chan<- Message) func(Message) bool {
	return func(m Message) bool {
		select {
		case ch <- m:
			return true
		default:
			return false
		}
	}
}

// KeyOf returns the key of a name: its BLAKE2b-256. Everybody who hashes the same name reaches the same node.
func KeyOf(name string) skad.ID { return skad.IDOf(identity.Hash([]byte(name))) }

// A Component carries messages for one Network. Make it with New. Its methods may be called from any goroutine.
type Component struct {
	engine.Component
	cfg Config

	// Fixed by Startup.
	net      *engine.Network
	loop     engine.Loop
	task     *engine.Task
	domain   string
	self     skad.ID
	solution [32]byte

	started atomic.Pointer[engine.Network] // net, for those who may ask too early
	closed  chan struct{}                  // by Cleanup

	ledger ledger

	// Owned by the home loop.
	over       bool
	arrivals   arrivals
	number     uint64           // of the next own message
	sends      map[uint64]*send // by number
	routes     map[uint64]*send // by the number that the core gave them
	asks       map[skad.ID][]*recordAsk
	seen       marks
	lookAt     time.Duration // when the neighbours are looked at
	view       *skad.View    // as it was then
	neighbours []identity.ID
	room       []byte
}

// New makes a Component. Everything that is wrong with cfg is reported at once, wrapping ErrConfig.
func New(cfg Config) (*Component, error) {
	var problems []error
	bad := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("%w: "+format, append([]any{ErrConfig}, args...)...))
	}
	if cfg.Discovery == nil {
		bad("no Discovery")
	}
	if cfg.Copies == 0 {
		cfg.Copies = CopiesDefault
	}
	if cfg.Copies < 1 || cfg.Copies > skad.RouteCopyLimit {
		bad("Copies is %d, must be 1 to %d", cfg.Copies, skad.RouteCopyLimit)
	}
	if cfg.Neighbours == 0 {
		cfg.Neighbours = NeighboursDefault
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	c := &Component{
		cfg: cfg, sends: map[uint64]*send{}, routes: map[uint64]*send{}, asks: map[skad.ID][]*recordAsk{},
		closed: make(chan struct{}),
	}
	cfg.Discovery.OnAction(c.acted)
	return c, nil
}

// Opcodes: none. What is routed comes by way of discovery.
func (c *Component) Opcodes() []opcode.Opcode { return []opcode.Opcode{} }

// Startup begins.
func (c *Component) Startup(n *engine.Network) {
	rec := n.Record()
	c.net, c.loop, c.domain = n, n.HomeLoop(), domainPrefix+n.NetworkID()
	c.self, c.solution = skad.IDOf(n.ID()), rec.Solution
	c.number = c.cfg.FirstNumber
	if c.number == 0 {
		c.number = uint64(time.Now().UnixNano())
	}
	c.task = c.loop.NewTask("overlay", c.turn)
	c.started.Store(n)
	c.task.Wake()
}

// Cleanup ends what waits.
func (c *Component) Cleanup(*engine.Network) {
	close(c.closed)
	c.loop.Post(func() {
		c.over = true
		c.task.Stop()
		for _, s := range c.sends {
			c.end(s, engine.ErrClosed)
		}
		for _, list := range c.asks {
			for _, a := range list {
				a.then(nil, engine.ErrClosed)
			}
		}
		clear(c.asks)
		for _, id := range c.neighbours {
			c.net.ConnMgr().Unprotect(id, protectTag)
		}
	})
}

// turn takes what has arrived, a little at a time, then looks after messages that wait for too long, and after the
// neighbours.
func (c *Component) turn() {
	until := c.loop.Now() + turnBudget
	defer func() { // also if the application's code panics: the rest has to be done
		if len(c.arrivals.list) > 0 {
			c.task.Wake()
		}
	}()
	for c.loop.Now() < until {
		m, ok := c.arrivals.take()
		if !ok {
			break
		}
		c.arrived(&m)
	}
	c.tend(c.loop.Now())
}

// tend does what time demands.
func (c *Component) tend(now time.Duration) {
	if c.lookAt <= now {
		c.lookAt = now + neighboursEvery
		c.look()
	}
	next := c.lookAt
	for _, number := range slices.Sorted(maps.Keys(c.sends)) { // in an order that a simulation repeats
		s := c.sends[number]
		switch {
		case s.until <= now:
			c.end(s, ErrUnreachable)
			continue
		case s.againAt <= now:
			c.again(now, s)
		}
		next = min(next, s.againAt, s.until)
	}
	c.task.WakeAt(next)
}

// look connects with the neighbours, and keeps those connections from being evicted.
func (c *Component) look() {
	v := c.cfg.Discovery.View()
	if v == nil || c.cfg.Neighbours < 0 {
		return
	}
	list := v.Siblings()
	list = list[:min(len(list), c.cfg.Neighbours)]
	if v != c.view {
		c.view = v
		c.protect(list)
	}
	for _, d := range list {
		if _, ok := c.net.ConnMgr().Peer(d.ID.Identity()); !ok {
			_ = c.cfg.Discovery.Connect(d, func(*engine.PeerClient, error) {}) // whoever is dead leaves the table
		}
	}
}

// protectTag marks the neighbours for the ConnMgr.
const protectTag = "neighbour"

// protect makes list the neighbours.
func (c *Component) protect(list []*skad.Contact) {
	mgr := c.net.ConnMgr()
	old := c.neighbours
	c.neighbours = nil
	for _, d := range list {
		id := d.ID.Identity()
		c.neighbours = append(c.neighbours, id)
		mgr.Protect(id, protectTag)
	}
	for _, id := range old {
		if !slices.Contains(c.neighbours, id) {
			mgr.Unprotect(id, protectTag)
		}
	}
	c.ledger.set(func(s *Stats) { s.Neighbours = len(list) })
}
