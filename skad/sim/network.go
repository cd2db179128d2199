package sim

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/carrier-p2p/carrier/framing/invariant"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
	"github.com/carrier-p2p/carrier/skad/spread"
)

// A Network is a simulated overlay. See the package comment.
type Network struct {
	cfg       Config
	now       time.Duration
	rnd       *rand.Rand // of the network and the experiment; every core has its own
	delays    *latency
	notary    *notary
	queue     queue
	flights   []flight
	free      []uint32 // of flights
	parcels   []parcel
	empty     []uint32 // of parcels
	nodes     []*Node
	alarms    []alarm // of nodes
	hosts     hosts
	owned     atlas         // the adversary's nodes
	victims   []*Node       // whom the adversary is after; nil: everybody
	strays    []*Node       // nodes of one subnet that want into all tables
	restarted []*Node       // who is watched after a restart; nil: nobody
	settles   time.Duration // what the adversary has in mind takes so long before it can be judged
	errands   []func()
	spare     []uint32                            // of errands
	atHand    func(n *Node, a skad.Action)        // of the experiment: everything that is not to be sent; may be nil
	posted    func(from *Node, m *spread.Message) // of the experiment: every broadcast message sent; may be nil
	reaching  func(to *Node, m *spread.Message)   // of the experiment: every broadcast message that arrives; may be nil
	told      func(to *Node, a spread.Action)     // of the experiment: every broadcast delivered
	passing   func(to *Node, m *skad.Message)     // of the experiment: every arrival; may be nil
	trace     trace
	events    uint64
	foreseen  int    // see foresee
	bytes     uint64 // of messages, if counted
	counted   bool
	buf       []byte
}

// A Node is one place in the network: a core, and whoever stands in front of it.
type Node struct {
	contact *skad.Contact
	core    *skad.Core
	evil    Adversary // nil: honest
	index   uint32
	site    uint8
	calls   map[*Node]time.Duration // whom a node behind a router has been in touch with, and when last; nil: there is no router
	side    uint8                   // nodes of different sides do not hear each other
	down    bool
	stray   bool             // of one subnet, and not to be found by lookups
	late    bool             // nobody knows it in the beginning
	before  map[skad.ID]bool // whom it knew when it was restarted
	delay   time.Duration    // before everything it sends
	bornAt  time.Duration
	quest   *quest // the measured lookup under way

	cast   *spread.Core // nil: no broadcasts
	beatAt time.Duration
	warp   func(m *spread.Message) // what an adversary makes of the broadcasts it sends; may be nil
}

// ID returns the node's key in the overlay.
func (n *Node) ID() skad.ID { return n.contact.ID }

// A flight is a message under way.
type flight struct {
	from, to *Node
	message  skad.Message
	contacts []*skad.Contact // backs message.Contacts
}

// New makes a network of nodes that know nobody. Errors wrap ErrConfig or skad.ErrConfig.
func New(cfg Config) (*Network, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	w := &Network{cfg: cfg, rnd: rand.New(rand.NewPCG(cfg.Seed, 0)), hosts: hosts{others: map[netip.Addr]*Node{}}}
	w.delays = newLatency(w.rnd)
	w.delays.delays = cfg.Delays
	w.notary = &notary{key: [2]uint64{w.rnd.Uint64(), w.rnd.Uint64()}, gullible: cfg.Unsigned}
	w.trace.sum = sha256.New()
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
	core, err := skad.New(w.cfg.core(w.notary), c, rand.New(rand.NewPCG(w.cfg.Seed, uint64(n.index)+1)), w.now)
	if err != nil {
		return nil, err
	}
	n.core = core
	w.nodes = append(w.nodes, n)
	w.alarms = append(w.alarms, alarm{skad.Never, skad.Never})
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
func (w *Network) Events() uint64 { return w.events }

// TraceHash returns the SHA-256 of everything that has happened: every arrival and every deadline, with its time.
func (w *Network) TraceHash() string { return w.trace.hash() }

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
	w.queue.push(w.now+span, errand, i)
}

// run lets the network go on until stop says so, which is asked after every event, or until the given time, or until nothing is left to happen.
func (w *Network) run(ctx context.Context, until time.Duration, stop func() bool) error {
	for !stop() {
		if _, ok := w.queue.next(until); !ok {
			w.now = max(w.now, until)
			return nil
		}
		if w.events%progressEvery == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		if soon := w.queue.soon(ahead); len(soon) > 0 {
			w.foresee(soon)
		}
		w.step()
	}
	return nil
}

func never() bool { return false }

// step does what comes next.
func (w *Network) step() {
	e := w.queue.pop()
	if e.at < w.now {
		invariant.Bug("sim: bug: an event at %v after %v", e.at, w.now)
	}
	w.now = e.at
	w.events++
	switch e.kind {
	case arrival:
		w.arrive(e.what)
	case deadline:
		w.ring(e.what, e.at)
	case delivery:
		w.deliver(e.what)
	case beat:
		w.beat(w.nodes[e.what], e.at)
	case errand:
		f := w.errands[e.what]
		w.errands[e.what] = nil
		w.spare = append(w.spare, e.what)
		f()
	}
}

// An alarm says when a core wants to be told the time, and which event of the queue does it. They lie side by side, because most events find that the core wants to be told
// later: the answer has come before the time-out, and another time-out took its place.
type alarm struct {
	due time.Duration // the deadline of the core, skad.Never if there is none
	set time.Duration // the event in the queue, never after due; skad.Never if there is none
}

// ring tells a node the time, if the event is not one that was overtaken.
func (w *Network) ring(i uint32, at time.Duration) {
	a := &w.alarms[i]
	if a.set != at {
		return
	}
	if a.due > w.now {
		a.set = a.due
		if a.set != skad.Never {
			w.queue.push(a.set, deadline, i)
		}
		return
	}
	a.set, a.due = skad.Never, skad.Never
	n := w.nodes[i]
	if n.down {
		return
	}
	w.trace.add(w.now, i, i, 0, 0)
	n.core.Expire(w.now)
	w.settle(n)
}

// settle carries out what the core of n wants done, and sees to it that it is told the time when it wants to be. A deadline that moves away leaves its event where it is: looking again
// when it comes is cheaper than moving it with every message.
func (w *Network) settle(n *Node) {
	for {
		a, ok := n.core.Next()
		if !ok {
			break
		}
		if a.Kind == skad.ActionSend {
			w.send(n, a.To, &a.Message)
		} else if w.atHand != nil {
			w.atHand(n, a)
		}
	}
	a := &w.alarms[n.index]
	a.due = n.core.Deadline()
	if a.due < a.set {
		a.set = max(a.due, w.now)
		w.queue.push(a.set, deadline, n.index)
	}
}

// send puts a message on its way to the address of a contact. Nobody there, or somebody else: then it is lost, as a session would not have come about.
func (w *Network) send(from *Node, to *skad.Contact, m *skad.Message) {
	if w.counted {
		w.buf = m.Append(w.buf[:0])
		w.bytes += uint64(len(w.buf) + frameBytes)
	}
	dest := w.hosts.at(to.Addrs[0].Addr())
	if dest == nil || dest.contact.ID != to.ID || w.cfg.Loss > 0 && w.rnd.Float64() < w.cfg.Loss {
		return
	}
	if !w.connected(from, dest) {
		return
	}
	if dest.down && w.cfg.Resets {
		w.refuse(from, dest, to, m.Op)
		return
	}
	var i uint32
	if n := len(w.free); n > 0 {
		i, w.free = w.free[n-1], w.free[:n-1]
	} else {
		i = uint32(len(w.flights))
		w.flights = append(w.flights, flight{})
	}
	f := &w.flights[i]
	f.from, f.to, f.message = from, dest, *m
	f.contacts = append(f.contacts[:0], m.Contacts...)
	f.message.Contacts = f.contacts
	w.queue.push(w.now+from.delay+w.delays.oneWay(from.site, dest.site, w.rnd), arrival, i)
}

// sessionLife is how long two nodes stay connected that have nothing to say to each other: the engine keeps connections longer, unless it needs the room.
const sessionLife = 5 * time.Minute

// connected reports whether a message can go from one node to another, over a session that is there or by dialling. A node behind a router is not dialled: only who it has called reaches it.
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

// frameBytes is what a message costs beside its payload: a frame header, and a record header with its tag, which it seldom has to itself.
const frameBytes = 12 + 20

// arrive delivers a flight.
func (w *Network) arrive(i uint32) {
	f := w.flights[i] // a copy: what the receiver does may move the flights
	if f.to.down || f.to.side != f.from.side {
		w.land(i)
		return
	}
	w.trace.add(w.now, f.from.index, f.to.index, uint32(f.message.Op), f.message.Nonce)
	if w.passing != nil {
		w.passing(f.to, &f.message)
	}
	if f.to.quest != nil {
		f.to.quest.heard(w, f.from, &f.message)
	}
	if f.from.quest != nil {
		f.from.quest.asked(f.to, &f.message)
	}
	if f.to.evil == nil || !f.to.evil.receive(w, f.to, f.from, &f.message) {
		f.to.core.Receive(w.now, skad.Peer{Contact: f.from.contact, Reached: true}, &f.message)
		w.settle(f.to)
	}
	w.land(i)
}

// land frees a flight.
func (w *Network) land(i uint32) {
	f := &w.flights[i]
	clear(f.contacts)
	f.from, f.to, f.message = nil, nil, skad.Message{}
	w.free = append(w.free, i)
}

// A trace is the hash of what has happened.
type trace struct {
	sum hash.Hash
	buf []byte
}

func (t *trace) add(at time.Duration, from, to, op uint32, nonce uint64) {
	if len(t.buf) >= 4096 {
		t.sum.Write(t.buf)
		t.buf = t.buf[:0]
	}
	le := binary.LittleEndian
	t.buf = le.AppendUint64(t.buf, uint64(at))
	t.buf = le.AppendUint32(t.buf, from)
	t.buf = le.AppendUint32(t.buf, to)
	t.buf = le.AppendUint32(t.buf, op)
	t.buf = le.AppendUint64(t.buf, nonce)
}

func (t *trace) hash() string {
	t.sum.Write(t.buf)
	t.buf = t.buf[:0]
	return hex.EncodeToString(t.sum.Sum(nil))
}
