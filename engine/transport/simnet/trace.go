package simnet

import (
	"fmt"
	"math/bits"
	"net/netip"
	"time"
)

// A Kind says what a host was told.
type Kind uint8

// The calls of a transport.Sink, and the run of an offloaded task.
const (
	Opened Kind = 1 + iota
	DialFailed
	Bytes
	Writable
	Closed
	Turn
	Task
	Packet // a datagram for a host, whatever becomes of it
)

var kindNames = [...]string{"", "opened", "dial failed", "bytes", "writable", "closed", "turn", "task", "packet"}

// String returns the kind in lower case.
func (k Kind) String() string {
	if k == 0 || int(k) >= len(kindNames) {
		return fmt.Sprintf("kind-%d", uint8(k))
	}
	return kindNames[k]
}

// An Event is one thing that happened: one call of a Sink or one task.
type Event struct {
	At   time.Duration // virtual time since New
	Host netip.Addr
	Kind Kind
	Link uint64 // the number of the link's end, counted from 1 in the whole Net; of a Turn: the loop's index; else 0
	Len  int    // of Bytes: how many arrived, before Intercept
}

// String returns the event as a line for people: "1.204s 10.0.0.2 bytes link 4: 1432".
func (e Event) String() string {
	s := fmt.Sprintf("%v %v %v", e.At, e.Host, e.Kind)
	switch e.Kind {
	case Packet:
		s += fmt.Sprintf(" for loop %d: %d", e.Link, e.Len)
	case Turn:
		s += fmt.Sprintf(" of loop %d", e.Link)
	case Opened, Writable, Closed:
		s += fmt.Sprintf(" link %d", e.Link)
	case Bytes:
		s += fmt.Sprintf(" link %d: %d", e.Link, e.Len)
	}
	return s
}

// Trace is a hash over all events so far: their times, hosts, kinds, links and lengths, in order. Two runs with one seed
// and the same calls have the same trace; where they differ, Observe tells the first event that does.
func (n *Net) Trace() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.trace
}

// Observe has f called with every event from now on, just before it happens, on the driving goroutine; nil ends it.
func (n *Net) Observe(f func(Event)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.observe = f
}

// note adds the call that is about to be made to the trace.
func (n *Net) note() {
	c := &n.call
	if c.kind == 0 {
		return
	}
	var number uint64
	switch {
	case c.link != nil:
		number = c.link.number
	case c.loop != nil:
		number = uint64(c.loop.index)
	}
	n.mix(uint64(n.time()))
	n.mix(c.host.number<<8 | uint64(c.kind))
	n.mix(number)
	n.mix(uint64(len(c.b)))
	if c.observe = n.observe; c.observe != nil {
		c.seen = Event{n.time(), c.host.machine.addr, c.kind, number, len(c.b)}
	}
}

// mix stirs x into the trace: multiply and rotate, so that order and every bit count. It need not resist an attacker.
func (n *Net) mix(x uint64) {
	n.trace = bits.RotateLeft64((n.trace^x)*0x9E3779B97F4A7C15, 29)
}
