package engine

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/carrier-p2p/carrier/engine/internal/timer"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/framing"
)

// A loop is the engine's half of a transport loop: it owns peers, timers and a dispatch table, and nobody else touches
// them. Everybody else asks it by posting.
type loop struct {
	// The fields are in the order in which an event needs them, and not in that of their owners: a process may have very many
	// nodes, and then their loops are as cold as their peers. What says nothing else is owned by the loop.

	net     *Network
	ticks   transport.Loop       // whose clock it goes by: port, or the one whose guest that is; fixed, read by anybody
	ahead   time.Duration        // engine time before the clock of ticks began: see clock; fixed, read by anybody
	asks    atomic.Int64         // since when it gathers, engine time; 0: it does not; see askedAt
	user    atomic.Pointer[slot] // whose code runs, or has run last during this event; nil: nobody's. See onLoop, holders
	depth   int                  // of events within events
	mu      sync.Mutex
	running bool // within an event: what is posted now is done before it ends; under mu, as are gathers, woken and closed
	gathers bool // waits for those whom it has woken: what they ask is flushed together
	woken   bool // a turn has been asked for
	closed  bool

	dirty    []*PeerClient // have something to write; under mu
	commands []func()      // under mu
	now      time.Duration // of the current event
	began    time.Duration // when the current event began

	table   *table
	handler *slot         // whose code ran last during this event
	warm    peerList      // peers that hold ciphers or buffers, oldest use first
	alarmAt time.Duration // what the transport's alarm is set to
	sweepAt time.Duration // when the next sweep is due; Never: none is
	dueAt   time.Duration // when the wheel wants to advance; Never: it has no timer
	held    int           // bytes of the message being handled that are consumed when that is done
	woke    int32         // waiting goroutines woken during this event
	foreign bool          // a component's code has run during this event
	inside  bool          // a component's code runs now: handler's
	plain   bool          // nothing but components waits for the messages of the peer that is being served
	dueIs   bool          // dueAt is what the wheel says; the wheel clears it

	received tally
	opcodes  opcodeTally   // messages of this event; its end is beside the beginning of health
	health   loopHealth    // written by the loop, read by anybody
	frame    framing.Frame // being delivered

	port      transport.Loop // fixed
	reads     listener       // port, if it is one; else nil; fixed
	wheel     *timer.Wheel   // fixed
	index     int            // in Network.loops; fixed
	lookAt    time.Duration  // when it looks for the silent; Never: nobody is to be looked at
	relieveAt time.Duration  // when relieve looks again who keeps memory
	packed    []byte         // the message being handled as it came, if that was compressed
	refusal   error          // what a component has refused the last message with, if it has; only looked at by ackable
	peers     []*PeerClient  // open ones, in no order; peer.index is the place
	cursor    int            // where the sweep goes on
	hearing   hearing        // when it could not hear

	spare      []*PeerClient // the dirty list that is not in use
	spareTasks []func()

	ctx  ComponentContext // lent to Receive, one message at a time
	over chan struct{}    // closed when port has ended: what is posted is not done any more; fixed
	goid atomic.Uint64
}

func newLoop(s *sink, port transport.Loop) *loop {
	n := s.net
	l := &loop{net: n, port: port, index: s.first + port.Index(), over: s.over, table: n.table.Load(),
		ticks: port, alarmAt: transport.Never, sweepAt: transport.Never, dueAt: transport.Never, lookAt: transport.Never}
	l.reads, _ = port.(listener)
	if g, ok := port.(transport.Guest); ok {
		l.ticks = g.Host()
	}
	if len(n.loops) > 0 {
		l.ahead = n.loops[0].clock() - l.ticks.Now()
	}
	l.now = l.clock()
	l.wheel = timer.NewWheel(l.now)
	l.wheel.Watch(&l.dueIs)
	return l
}

// clock is the engine time. Each transport counts from its own start; the engine counts from the first one's, so that what
// one loop has noted means the same on another.
func (l *loop) clock() time.Duration { return l.ticks.Now() + l.ahead }

// enter begins an event of the loop, or one within another: a link that rides on this loop reports from a posted function.
func (l *loop) enter() {
	if l.depth++; l.depth > 1 {
		return
	}
	l.now = l.clock()
	l.began = l.now
	l.handler = nil
	l.mu.Lock()
	l.running = true
	l.mu.Unlock()
}

// leave ends an event: what was posted during it is done, who has something to say is flushed, the alarm is set.
//
// Several who were woken because their replies have come run before the event is over: what they ask next goes out together
// and costs no waking of the loop. So does one alone if bulk has just been written, behind which it would wait.
func (l *loop) leave() {
	if l.depth > 1 {
		l.depth--
		return
	}
	if n := l.woke; n > 0 {
		l.woke = 0
		if l.round(false) || n > 1 {
			l.gather(l.account())
			l.now = l.clock()
			l.began = l.now
		}
	}
	more := l.round(true)
	if more { // a second time for what the first has brought about
		more = l.round(true)
	}
	if more {
		l.rest()
	}
	l.depth = 0
	l.account()
	l.arm()
}

// gather lets those run who have just been woken, now. Another processor may have taken some, so they are given two chances.
func (l *loop) gather(now time.Duration) {
	l.mu.Lock()
	l.gathers = true
	l.mu.Unlock()
	l.asks.Store(int64(now))
	yield()
	yield()
	l.asks.Store(0)
	l.mu.Lock()
	l.gathers = false
	l.mu.Unlock()
}

// askedAt is the time for who asks. Any goroutine. Those who have just been woken take the loop's word for it, which is as old as
// their waking: a look at the clock is 40 ns of the 2 us that a request costs where many are under way.
func (l *loop) askedAt() time.Duration {
	if at := l.asks.Load(); at != 0 {
		return time.Duration(at)
	}
	return l.clock()
}

// account adds up what has been counted since the event, or this part of it, began. It returns the time.
func (l *loop) account() time.Duration {
	if l.foreign {
		l.foreign = false
		l.user.Store(nil)
	}
	l.received.addTo(&l.net.counts)
	l.opcodes.addTo(&l.net.opcodes)
	now := l.clock()
	took := now - l.began
	l.health.held.add(took)
	if took > slowTurn {
		l.net.slowTurn(l, took)
	}
	return now
}

// Turn is the loop's own event: posted commands, due timers, the sweep.
func (l *loop) turn() {
	l.enter()
	if l.alarmAt <= l.now {
		l.health.late.add(l.now - l.alarmAt)
		l.hearing.late(l.alarmAt, l.now) // before anybody is judged by the time
		l.alarmAt = transport.Never      // it has gone off
	}
	l.wheel.Advance(l.now, timersPerTurn)
	l.sweep()
	l.leave()
}

// rest ends the rounds of an event although there is more to do: that gets a turn of its own, after the sockets have been
// looked at.
func (l *loop) rest() {
	l.mu.Lock()
	l.running = false
	wake := !l.woken && (len(l.commands) > 0 || len(l.dirty) > 0)
	l.woken = l.woken || wake
	l.mu.Unlock()
	if wake {
		l.port.Wake()
	}
}

// round does what has been posted and flushes who has something to say. It reports false if there was nothing to do; if that
// ends the event, the loop does not run any more, and who posts has to wake it.
func (l *loop) round(ends bool) bool {
	l.mu.Lock()
	if len(l.commands) == 0 && len(l.dirty) == 0 {
		l.running = !ends
		l.mu.Unlock()
		return false
	}
	l.woken = false
	commands, dirty := l.commands, l.dirty
	var later []func()
	if len(commands) > commandsPerTurn {
		commands, later = commands[:commandsPerTurn], commands[commandsPerTurn:]
	}
	if later == nil {
		l.commands = l.spareTasks[:0]
	} else {
		l.commands = append([]func(){}, later...)
	}
	l.dirty = l.spare[:0]
	l.mu.Unlock()

	for i, f := range commands {
		commands[i] = nil
		f()
	}
	if later == nil {
		l.spareTasks = commands[:0]
	}
	for i, p := range dirty {
		dirty[i] = nil
		p.flush()
		if p.state() != stateClosed {
			p.touch() // a peer that is only sent to has to give its buffers back, too
		}
	}
	l.spare = dirty[:0]
	return true
}

// post has f run on the loop, soon. Any goroutine. It reports false when the loop is gone and f will never run.
func (l *loop) post(f func()) bool {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return false
	}
	l.commands = append(l.commands, f)
	wake := !l.running && !l.woken
	l.woken = l.woken || wake
	l.mu.Unlock()
	if wake {
		l.port.Wake()
	}
	return true
}

// PostAll is post for several, with one waking: what workers bring back.
func (l *loop) PostAll(fs []func()) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	l.commands = append(l.commands, fs...)
	wake := !l.running && !l.woken
	l.woken = l.woken || wake
	l.mu.Unlock()
	if wake {
		l.port.Wake()
	}
}

// schedule has p flushed by the loop. Any goroutine; the caller has just become the owner of p's flush and hands it on.
func (l *loop) schedule(p *PeerClient) {
	l.mu.Lock()
	l.dirty = append(l.dirty, p)
	wake := !l.running && !l.woken
	l.woken = l.woken || wake
	l.mu.Unlock()
	if wake {
		l.port.Wake()
	}
}

// join is schedule while the loop waits for what is asked; else it does nothing and reports false.
func (l *loop) join(p *PeerClient) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gathers {
		l.dirty = append(l.dirty, p)
	}
	return l.gathers
}

// arm sets the transport's alarm for the next timer or sweep, if it is not set to that already.
func (l *loop) arm() {
	if !l.dueIs {
		l.dueAt, l.dueIs = transport.Never, true
		if due, ok := l.wheel.Next(); ok {
			l.dueAt = due
		}
	}
	at := min(l.sweepAt, l.dueAt) // a sweep may have passed: a loop that is never idle has it all the same
	if at == l.alarmAt {
		return
	}
	l.alarmAt = at
	if at != transport.Never {
		at -= l.ahead
	}
	l.port.WakeAt(at)
}

// add and remove keep the list of open peers.
func (l *loop) add(p *PeerClient) {
	p.index = int32(len(l.peers))
	l.peers = append(l.peers, p)
	l.health.peers.Store(int64(len(l.peers)))
	l.planLook(false)
}

func (l *loop) remove(p *PeerClient) {
	last := len(l.peers) - 1
	moved := l.peers[last]
	l.peers[p.index] = moved
	moved.index = p.index
	l.peers[last] = nil
	l.peers = l.peers[:last]
	l.health.peers.Store(int64(last))
	p.index = -1
}

// guard runs a component's code: it catches and counts a panic, and marks the loop as running foreign code.
func (l *loop) guard(s *slot, f func()) {
	l.begin(s)
	defer l.end(s)
	f()
}

// begin notes whose code runs now. The pointer is compared before it is written, which costs less than an atomic store.
func (l *loop) begin(s *slot) {
	l.inside = true
	if l.handler != s || !l.foreign {
		l.handler, l.foreign = s, true
		l.user.Store(s)
	}
}

// end is deferred around every call of a component.
func (l *loop) end(s *slot) {
	l.inside = false
	if r := recover(); r != nil {
		l.net.panicked(s, r)
	}
}

// A peerList is an intrusive ring of the loop's warm peers in the order of their last use.
type peerList struct{ young *PeerClient } // used last; nil: the list is empty

func (l *peerList) empty() bool { return l.young == nil }

func (l *peerList) oldest() *PeerClient {
	if l.empty() {
		return nil
	}
	return l.young.warmNext
}

func (l *peerList) drop(p *PeerClient) {
	if p.warmNext == nil {
		return
	}
	if l.young == p {
		l.young = p.warmPrev
	}
	if l.young == p { // it was alone
		l.young = nil
	}
	p.warmNext.warmPrev, p.warmPrev.warmNext = p.warmPrev, p.warmNext
	p.warmNext, p.warmPrev = nil, nil
}

// use moves p to the young end.
func (l *peerList) use(p *PeerClient) {
	if l.young == p {
		return
	}
	l.drop(p)
	if l.empty() {
		p.warmNext, p.warmPrev = p, p
	} else {
		p.warmPrev, p.warmNext = l.young, l.young.warmNext
		p.warmPrev.warmNext, p.warmNext.warmPrev = p, p
	}
	l.young = p
}
