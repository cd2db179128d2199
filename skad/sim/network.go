package sim

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
	"github.com/carrier-p2p/carrier/skad/spread"
)

// A Network is a simulated overlay. See the package comment.
type Network struct {
	cfg       Config
	now       time.Duration
	rnd       *rand.Rand // of the network and the experiment; every core has its own
	dice      uint64     // of what befalls messages, see luck
	delays    *latency
	notary    *notary
	shards    []*shard
	apart     bool          // the shards are at work, each for itself
	busy      bool          // the last window was worth sharing
	casting   bool          // there are broadcasts
	soonest   time.Duration // of what is between the shards; skad.Never if there is nothing
	queue     queue         // of errands
	parcels   []parcel
	empty     []uint32 // of parcels
	nodes     []*Node
	hosts     hosts
	owned     atlas         // the adversary's nodes
	victims   []*Node       // whom the adversary is after; nil: everybody
	strays    []*Node       // nodes of one subnet that want into all tables
	restarted []*Node       // who is watched after a restart; nil: nobody
	settles   time.Duration // what the adversary has in mind takes so long before it can be judged
	errands   []func()
	spare     []uint32                                       // of errands
	hands     []hand                                         // for atHand, of the window that has passed
	atHand    func(at time.Duration, n *Node, a skad.Action) // of the experiment: everything that is not to be sent, and when it was; may be nil
	posted    func(from *Node, m *spread.Message)            // of the experiment: every broadcast message sent; may be nil
	reaching  func(to *Node, m *spread.Message)              // of the experiment: every broadcast message that arrives; may be nil
	told      func(to *Node, a spread.Action)                // of the experiment: every broadcast delivered
	passing   func(to *Node, m *skad.Message)                // of the experiment: every arrival; may be nil
	planned   uint64                                         // errands ever
	called    uint64                                         // errands that have been run
	counted   bool                                           // the shards count the bytes of messages
}

// A Node is one place in the network: a core, and whoever stands in front of it.
type Node struct {
	// What every message looks at, in one cache line if the allocator is kind.
	contact *skad.Contact
	core    *skad.Core
	shard   *shard
	history uint64    // the hash of what it has seen
	evil    Adversary // nil: honest
	index   uint32
	seat    uint32 // in its shard
	decided uint32 // how many events it has brought about
	site    uint8
	side    uint8 // nodes of different sides do not hear each other
	down    bool

	calls  map[*Node]time.Duration // whom a node behind a router has been in touch with, and when last; nil: there is no router
	stray  bool                    // of one subnet, and not to be found by lookups
	late   bool                    // nobody knows it in the beginning
	before map[skad.ID]bool        // whom it knew when it was restarted
	delay  time.Duration           // before everything it sends
	bornAt time.Duration
	quest  *quest // the measured lookup under way

	cast   *spread.Core // nil: no broadcasts
	beatAt time.Duration
	warp   func(m *spread.Message) // what an adversary makes of the broadcasts it sends; may be nil
}

// ID returns the node's key in the overlay.
func (n *Node) ID() skad.ID { return n.contact.ID }

// New makes a network of nodes that know nobody. Errors wrap ErrConfig or skad.ErrConfig.
func New(cfg Config) (*Network, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	w := &Network{cfg: cfg, soonest: skad.Never, rnd: rand.New(rand.NewPCG(cfg.Seed, 0)), hosts: hosts{others: map[netip.Addr]*Node{}}}
	w.delays = newLatency(w.rnd)
	w.delays.delays = cfg.Delays
	w.delays.shortest = w.delays.least()
	w.dice = w.rnd.Uint64()
	w.divide()
	w.notary = &notary{key: [2]uint64{w.rnd.Uint64(), w.rnd.Uint64()}, gullible: cfg.Unsigned}
	clients, homes := int(cfg.Clients*float64(cfg.Nodes)), int(cfg.Homes*float64(cfg.Nodes))
	for i := range cfg.Nodes {
		flags := identity.Flags(0)
		if i >= cfg.Nodes-clients {
			flags = identity.FlagClient
		}
		n, err := w.add(flags)
		if err != nil {
			return nil, err
		}
		if i < cfg.Nodes-clients && i >= cfg.Nodes-clients-homes {
			n.calls = map[*Node]time.Duration{}
		}
	}
	w.corrupt()
	return w, nil
}

// add makes a node at an address of its own.
func (w *Network) add(flags identity.Flags) (*Node, error) {
	at := homeAddr(uint32(len(w.nodes)))
	return w.place(w.notary.contact(w.rnd, at, flags))
}

// place makes the node of a contact.
func (w *Network) place(c *skad.Contact) (*Node, error) {
	n := &Node{contact: c, index: uint32(len(w.nodes)), site: uint8(w.rnd.Uint32()), bornAt: w.now}
	n.shard = w.shardAt(n.site)
	core, err := skad.New(w.cfg.core(w.notary), c, rand.New(rand.NewPCG(w.cfg.Seed, uint64(n.index)+1)), w.now)
	if err != nil {
		return nil, err
	}
	n.core = core
	w.nodes = append(w.nodes, n)
	n.shard.seat(n)
	w.hosts.put(c.Addrs[0].Addr(), n)
	return n, nil
}

// corrupt gives the adversary its share of the nodes.
func (w *Network) corrupt() {
	for _, i := range w.rnd.Perm(len(w.nodes))[:int(w.cfg.Share*float64(len(w.nodes)))] {
		w.nodes[i].evil = w.cfg.Adversary
	}
	w.owned = newAtlas(w.nodes, func(n *Node) bool { return n.evil != nil && !n.contact.Client() })
	if w.cfg.Adversary != nil {
		w.cfg.Adversary.begin(w)
	}
}

// Fill gives every node the table it would have in a network that has been still for long. Then Config.Dead of them leave.
func (w *Network) Fill() {
	known := newAtlas(w.nodes, func(n *Node) bool { return !n.contact.Client() && !n.down && !n.late && n.calls == nil })
	for _, n := range w.nodes {
		known.fill(n, w.cfg.K, w.cfg.Siblings*w.cfg.Eta, w.rnd)
		if !w.cfg.Still {
			n.core.Season(w.now)
		}
		w.settle(n)
	}
	for _, i := range w.rnd.Perm(len(w.nodes))[:int(w.cfg.Dead*float64(len(w.nodes)))] {
		w.nodes[i].down = true
	}
	if w.cfg.Resets {
		w.breakSessions()
	}
}

// honest reports whether n is up, a server and nobody's tool: those that lookups are judged by.
func honest(n *Node) bool { return n.evil == nil && !n.down && !n.contact.Client() && n.calls == nil }

// Now returns the virtual time.
func (w *Network) Now() time.Duration { return w.now }

// Events returns how many events there have been.
func (w *Network) Events() uint64 {
	return w.called + w.happened()
}

// after calls f when the span is over.
func (w *Network) after(span time.Duration, f func()) {
	var i uint32
	if n := len(w.spare); n > 0 {
		i, w.spare = w.spare[n-1], w.spare[:n-1]
		w.errands[i] = f
	} else {
		i = uint32(len(w.errands))
		w.errands = append(w.errands, f)
	}
	w.queue.push(w.now+span, w.planned, errand, i)
	w.planned++
}

// settle carries out what the core of n wants done, of which it was told something from outside.
func (w *Network) settle(n *Node) {
	n.shard.now = w.now
	n.shard.settle(n)
}

// send puts a message on its way that no core has thought of.
func (w *Network) send(from *Node, to *skad.Contact, m *skad.Message) {
	from.shard.now = w.now
	from.shard.send(from, to, m)
}

// sessionLife is how long two nodes stay connected that have nothing to say to each other: the engine keeps
// connections longer, unless it needs the room.
const sessionLife = 5 * time.Minute

// connected reports whether a message can go from one node to another, over a session that is there or by
// dialling. A node behind a router is not dialled: only who it has called reaches it.
func (w *Network) connected(from, to *Node) bool {
	if from.calls != nil {
		from.calls[to] = w.now
	}
	if to.calls == nil {
		return true
	}
	last, known := to.calls[from]
	if !known || w.now-last > sessionLife {
		delete(to.calls, from)
		return false
	}
	to.calls[from] = w.now
	return true
}
