package sim

import (
	"time"

	"github.com/carrier-p2p/carrier/internal/invariant"
	"github.com/carrier-p2p/carrier/skad"
)

// A shard is the nodes of some sites, and what will happen to them. While the shards are apart each belongs
// to one worker, which touches nothing of the others: what it has for their nodes waits in out until the
// window is over.
type shard struct {
	w        *Network
	number   int
	now      time.Duration
	doing    uint64 // the tie of the event that is happening
	queue    queue
	flights  []flight
	free     []uint32 // of flights
	nodes    []*Node  // by seat
	alarms   []alarm  // by seat
	in, out  [][]crossing
	soonest  time.Duration // of out; skad.Never if there is nothing
	hands    []hand
	events   uint64
	bytes    uint64 // of messages, if counted
	foreseen int    // see foresee
	buf      []byte
}

// A flight is a message under way.
type flight struct {
	from, to *Node
	message  skad.Message
	contacts []*skad.Contact // backs message.Contacts
}

// A crossing is a flight from a node of one shard to one of another, with its arrival.
type crossing struct {
	flight
	at  time.Duration
	tie uint64
}

// A hand is an action of a core that the experiment has yet to be told of.
type hand struct {
	at     time.Duration
	tie    uint64 // of the event
	node   *Node
	action skad.Action
}

// An alarm says when a core wants to be told the time, and which event of the queue does it. They lie side by
// side, because most events find that the core wants to be told later: the answer has come before the
// time-out, and another time-out took its place.
type alarm struct {
	due time.Duration // the deadline of the core, skad.Never if there is none
	set time.Duration // the event in the queue, never after due; skad.Never if there is none
}

// tie numbers what n brings about: it decides which of two events of one instant is first, and what luck a
// message has. No two events have the same one, and it does not depend on who else does what in the meantime.
func (n *Node) tie() uint64 {
	n.decided++
	return uint64(n.index)<<32 | uint64(n.decided)
}

// luck is the randomness of a message.
func (w *Network) luck(tie uint64) uint64 { return mix(w.dice ^ mix(tie)) }

// fraction makes a number of 0 to 1, without 1, of luck.
func fraction(luck uint64) float64 { return float64(luck>>11) / (1 << 53) }

// lost reports whether a message with that luck does not arrive.
func (w *Network) lost(luck uint64) bool { return w.cfg.Loss > 0 && fraction(mix(luck)) < w.cfg.Loss }

// divide makes the shards, one for each worker.
func (w *Network) divide() {
	for i := range w.cfg.Workers {
		w.shards = append(w.shards, &shard{w: w, number: i, soonest: skad.Never, in: make([][]crossing, w.cfg.Workers), out: make([][]crossing, w.cfg.Workers)})
	}
}

// shardAt returns the shard of a site. All nodes of a site share one: who is nearest to each other need not
// wait for the end of a window.
func (w *Network) shardAt(site uint8) *shard { return w.shards[int(site)%len(w.shards)] }

// seat takes a node in.
func (s *shard) seat(n *Node) {
	n.seat = uint32(len(s.nodes))
	s.nodes = append(s.nodes, n)
	s.alarms = append(s.alarms, alarm{skad.Never, skad.Never})
}

// step does what comes next in this shard.
func (s *shard) step() {
	e := s.queue.pop()
	if e.at < s.now {
		invariant.Bug("sim: bug: an event at %v after %v", e.at, s.now)
	}
	s.now, s.doing = e.at, e.tie
	s.events++
	switch e.kind {
	case arrival:
		s.arrive(e.what)
	case deadline:
		s.ring(e.what, e.at)
	case delivery:
		s.w.deliver(e.what)
	case beat:
		s.w.beat(s.nodes[e.what], e.at)
	}
}

// look reads ahead, if it is time to.
func (s *shard) look() {
	if soon := s.queue.soon(ahead); len(soon) > 0 {
		s.foresee(soon)
	}
}

// ring tells a node the time, if the event is not one that was overtaken.
func (s *shard) ring(seat uint32, at time.Duration) {
	a := &s.alarms[seat]
	if a.set != at {
		return
	}
	n := s.nodes[seat]
	if a.due > at {
		a.set = a.due
		if a.set != skad.Never {
			s.queue.push(a.set, s.doing, deadline, seat)
		}
		return
	}
	a.set, a.due = skad.Never, skad.Never
	if n.down {
		return
	}
	n.note(at, n, 0, 0)
	n.core.Expire(at)
	s.settle(n)
}

// settle carries out what the core of n wants done, and sees to it that it is told the time when it wants to
// be. A deadline that moves away leaves its event where it is: looking again when it comes is cheaper than
// moving it with every message.
func (s *shard) settle(n *Node) {
	for {
		a, ok := n.core.Next()
		if !ok {
			break
		}
		switch {
		case a.Kind == skad.ActionSend:
			s.send(n, a.To, &a.Message)
		case s.w.atHand == nil:
		case s.w.apart:
			s.hands = append(s.hands, hand{s.now, s.doing, n, a})
		default:
			s.w.atHand(s.now, n, a)
		}
	}
	a := &s.alarms[n.seat]
	a.due = n.core.Deadline()
	if a.due < a.set {
		a.set = max(a.due, s.now)
		s.queue.push(a.set, n.tie(), deadline, n.seat)
	}
}

// send puts a message on its way to the address of a contact. Nobody there, or somebody else: then it is
// lost, as a session would not have come about.
func (s *shard) send(from *Node, to *skad.Contact, m *skad.Message) {
	w := s.w
	if w.counted {
		s.buf = m.Append(s.buf[:0])
		s.bytes += uint64(len(s.buf) + frameBytes)
	}
	tie := from.tie()
	luck := w.luck(tie)
	dest := w.hosts.at(to.Addrs[0].Addr())
	if dest == nil || dest.contact != to && dest.contact.ID != to.ID || w.lost(luck) || !w.connected(from, dest) {
		return
	}
	if dest.down && w.cfg.Resets {
		w.refuse(from, dest, to, m.Op)
		return
	}
	at := s.now + from.delay + w.delays.oneWay(from.site, dest.site, fraction(luck))
	if d := dest.shard; d == s || !w.apart {
		i := d.slot()
		d.flights[i].load(from, dest, m)
		d.queue.push(at, tie, arrival, i)
	} else {
		c := s.ship(d)
		c.at, c.tie = at, tie
		c.load(from, dest, m)
		s.soonest = min(s.soonest, at)
	}
}

// frameBytes is what a message costs beside its payload: a frame header, and a record header with its tag,
// which it seldom has to itself.
const frameBytes = 12 + 20

// slot returns the number of a flight that is free.
func (s *shard) slot() uint32 {
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.free = s.free[:n-1]
		return i
	}
	s.flights = append(s.flights, flight{})
	return uint32(len(s.flights) - 1)
}

// ship returns a free place among what goes to shard d, with the memory of what stood there before.
func (s *shard) ship(d *shard) *crossing {
	out := s.out[d.number]
	if n := len(out); n < cap(out) {
		out = out[:n+1]
	} else {
		out = append(out, crossing{})
	}
	s.out[d.number] = out
	return &out[len(out)-1]
}

// unload takes in what the others have sent.
func (s *shard) unload() {
	for from, list := range s.in {
		for k := range list {
			c := &list[k]
			i := s.slot()
			s.flights[i], c.flight = c.flight, s.flights[i]
			s.queue.push(c.at, c.tie, arrival, i)
		}
		s.in[from] = list[:0]
	}
}

func (f *flight) load(from, to *Node, m *skad.Message) {
	f.from, f.to, f.message = from, to, *m
	f.contacts = append(f.contacts[:0], m.Contacts...)
	f.message.Contacts = f.contacts
}

// arrive delivers a flight.
func (s *shard) arrive(i uint32) {
	f := s.flights[i] // a copy: what the receiver does may move the flights
	if f.to.down || f.to.side != f.from.side {
		s.land(i)
		return
	}
	w := s.w
	f.to.note(s.now, f.from, f.message.Op, f.message.Nonce)
	if w.passing != nil {
		w.passing(f.to, &f.message)
	}
	if f.to.quest != nil {
		f.to.quest.heard(s, f.from, &f.message)
	}
	if f.to.evil != nil && f.from.quest != nil {
		f.from.quest.asked(f.to, &f.message)
	}
	if f.to.evil == nil || !f.to.evil.receive(w, f.to, f.from, &f.message) {
		f.to.core.Receive(s.now, skad.Peer{Contact: f.from.contact, Reached: true}, &f.message)
		s.settle(f.to)
	}
	s.land(i)
}

// land frees a flight.
func (s *shard) land(i uint32) {
	f := &s.flights[i]
	clear(f.contacts)
	f.from, f.to, f.message = nil, nil, skad.Message{}
	s.free = append(s.free, i)
}
