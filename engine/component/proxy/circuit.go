package proxy

import (
	"errors"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/opcode"
)

// Path:   up of one end -> [circuit] -> down to the other. On the sending end's loop.
// Cost:   0 allocations while the other end reads: the message is readdressed where it lies and copied into its send buffer.
// Bounds: window bytes of each end wait here at most, and an end that sends more is cut off; Limits.Memory of all,
// and then those end that hold most.

// side is an end of a circuit: who has asked for it, and who was asked for.
type side uint8

const (
	caller side = iota
	callee
)

// numberMask: a circuit's number on a connection is its index and, in the lowest bit, the side.
const numberMask = math.MaxUint32 >> 1

// A circuit joins two peers of a relay. What its legs hold is under mu, except peer, which is fixed.
type circuit struct {
	relay *relay
	index uint32
	until atomic.Int64 // engine time
	waits atomic.Int64 // of the relay's waiting, what is of this circuit; written under mu

	places [2]*share // among all circuits, and those to the same node; under the relay's mu

	mu     sync.Mutex
	legs   [2]leg
	bytes  int64         // carried
	paidAt time.Duration // when what was carried has been earned, at Limits.Rate
	slowed bool          // a timer will grant room
	opened bool
	over   bool
}

// A leg is a circuit at one of its ends.
type leg struct {
	peer *engine.PeerClient

	// From the peer.
	received uint64 // bytes
	passed   uint64 // of these, given to the other end's send buffer
	allowed  uint64 // told to the peer
	finished bool   // it has said that nothing more comes

	// To the peer.
	queue   [][]byte // messages for which there was no room
	waits   bool     // OnRoom has been asked
	roomDue bool     // allowed has to be told
	endDue  bool     // the end has to be told, after the queue
	reason  Reason
	told    bool // and has been
}

func newCircuit(s *relay, index uint32, from, to *engine.PeerClient, until time.Duration) *circuit {
	c := &circuit{relay: s, index: index}
	c.until.Store(int64(until))
	window := uint64(s.c.cfg.Limits.Window)
	c.legs[caller] = leg{peer: from, allowed: window}
	c.legs[callee] = leg{peer: to, allowed: window}
	return c
}

// number is the circuit's at one of its ends.
func (c *circuit) number(at side) uint32 { return c.index<<1 | uint32(at) }

// open lets bytes through. It reports false if the circuit has ended in the meantime.
func (c *circuit) open() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opened = !c.over
	return c.opened
}

// forward passes on a message with bytes from one end.
func (c *circuit) forward(now time.Duration, at side, message []byte) {
	size := len(message) - dataHeaderSize
	c.mu.Lock()
	in := &c.legs[at]
	if c.over || !c.opened || in.finished {
		c.mu.Unlock()
		return
	}
	in.received += uint64(size)
	c.bytes += int64(size)
	var why Reason
	switch {
	case in.received > in.allowed:
		why = Violation
		c.relay.c.count.violations.Add(1)
	case c.bytes > c.relay.c.cfg.Limits.Bytes:
		why = Quota
	default:
		why = c.passLocked(at, message)
	}
	c.payLocked(now, size)
	c.grantLocked(now, at)
	c.mu.Unlock()
	c.relay.c.count.bytes.Add(int64(size))
	if why == Busy && c.relay.makeRoom(c) {
		why = c.passAgain(now, at, message)
	}
	if why != None {
		c.end(why)
	}
}

// passAgain is for a message for which another circuit has made room.
func (c *circuit) passAgain(now time.Duration, at side, message []byte) (why Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over {
		why = c.passLocked(at, message)
		c.grantLocked(now, at)
	}
	return why
}

// passLocked gives a message to the other end, or keeps it until there is room.
func (c *circuit) passLocked(at side, message []byte) Reason {
	out, size := &c.legs[1-at], len(message)-dataHeaderSize
	readdress(message, kindDown, c.number(1-at))
	if len(out.queue) == 0 {
		switch err := out.peer.TrySendRaw(opcode.ProxyRequestCode, message); {
		case err == nil:
			c.legs[at].passed += uint64(size)
			return None
		case !errors.Is(err, engine.ErrSendBufferFull):
			return None // its end is on the way
		}
	}
	if c.bookLocked(weight(message)) > c.relay.c.cfg.Limits.Memory {
		c.bookLocked(-weight(message))
		return Busy
	}
	out.queue = append(out.queue, slices.Clone(message))
	c.waitLocked(1 - at)
	return None
}

// weight is what a message that waits counts for in Limits.Memory.
func weight(message []byte) int64 { return int64(len(message) + queueCost) }

// bookLocked adds to what waits, and returns what waits in all circuits.
func (c *circuit) bookLocked(weight int64) int64 {
	c.waits.Add(weight)
	return c.relay.waiting.Add(weight)
}

// waitLocked has the rest for an end sent when it has room.
func (c *circuit) waitLocked(at side) {
	if out := &c.legs[at]; !out.waits {
		out.waits = true
		out.peer.OnRoom(func() { c.resume(at) })
	}
}

// resume goes on where an end had no room. On the end's loop.
func (c *circuit) resume(at side) {
	c.mu.Lock()
	c.legs[at].waits = false
	c.drainLocked(at)
	c.grantLocked(c.relay.c.net.Now(), 1-at)
	done := c.overLocked()
	c.mu.Unlock()
	if done {
		c.relay.forget(c)
	}
}

// drainLocked sends an end what waits for it: room, bytes, the end; as much as there is room for.
func (c *circuit) drainLocked(at side) {
	out := &c.legs[at]
	if out.waits || out.told {
		return
	}
	if out.roomDue && c.sendLocked(at, request{kind: kindRoom, number: c.number(at), total: out.allowed}) {
		out.roomDue = false
	}
	for len(out.queue) > 0 && !out.waits {
		message := out.queue[0]
		switch err := out.peer.TrySendRaw(opcode.ProxyRequestCode, message); {
		case errors.Is(err, engine.ErrSendBufferFull):
			c.waitLocked(at)
			continue
		case err != nil:
			c.dropLocked(at)
			return
		}
		out.queue[0], out.queue = nil, out.queue[1:]
		c.bookLocked(-weight(message))
		c.legs[1-at].passed += uint64(len(message) - dataHeaderSize)
	}
	if len(out.queue) == 0 {
		out.queue = nil
		if out.endDue && !out.waits && c.sendLocked(at, request{kind: kindEndDown, number: c.number(at), reason: out.reason}) {
			out.told = true
		}
	}
}

// sendLocked sends an end a message of the relay's own. It reports whether that is done with.
func (c *circuit) sendLocked(at side, r request) bool {
	var buf [16]byte
	err := c.legs[at].peer.TrySendRaw(opcode.ProxyRequestCode, r.append(buf[:0]))
	if errors.Is(err, engine.ErrSendBufferFull) {
		c.waitLocked(at)
		return false
	}
	return true
}

// payLocked books bytes against the rate.
func (c *circuit) payLocked(now time.Duration, size int) {
	if rate := c.relay.c.cfg.Limits.Rate; rate > 0 {
		c.paidAt = max(c.paidAt, now) + time.Duration(size)*time.Second/time.Duration(rate)
	}
}

// grantLocked tells an end of new room when a share of its window has been passed on, not faster than the rate.
func (c *circuit) grantLocked(now time.Duration, at side) {
	in := &c.legs[at]
	window := uint64(c.relay.c.cfg.Limits.Window)
	if in.finished || in.passed+window-in.allowed < window/grantShare {
		return
	}
	if ahead := c.paidAt - now - rateBurst; ahead > 0 {
		if !c.slowed {
			c.slowed = true
			in.peer.Loop().After(ahead, c.earned)
		}
		return
	}
	in.allowed = in.passed + window
	in.roomDue = true
	c.drainLocked(at)
}

// earned: what the rate has held back may go on.
func (c *circuit) earned() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slowed = false
	now := c.relay.c.net.Now()
	c.grantLocked(now, caller)
	c.grantLocked(now, callee)
}

// ended: one end says that nothing more comes from it. The other is told after what is on the way.
func (c *circuit) ended(at side, why Reason) {
	c.mu.Lock()
	c.finishLocked(at, why)
	done := c.overLocked()
	c.hurryLocked()
	c.mu.Unlock()
	if done {
		c.relay.forget(c)
	}
}

func (c *circuit) finishLocked(at side, why Reason) {
	c.legs[at].finished = true
	if out := &c.legs[1-at]; !out.endDue {
		out.endDue, out.reason = true, why
		c.drainLocked(1 - at)
	}
}

// gone: an end has lost its connection to the relay.
func (c *circuit) gone(at side) {
	c.mu.Lock()
	c.dropLocked(at)
	c.finishLocked(at, Gone)
	c.legs[1-at].finished = true // it has nobody to send to
	done := c.overLocked()
	c.hurryLocked()
	c.mu.Unlock()
	if done {
		c.relay.forget(c)
	}
}

// hurryLocked bounds how long the other end may take to end as well.
func (c *circuit) hurryLocked() {
	c.until.Store(min(c.until.Load(), int64(c.relay.c.net.Now()+endTimeout)))
}

// dropLocked gives up what waits for an end.
func (c *circuit) dropLocked(at side) {
	out := &c.legs[at]
	for _, message := range out.queue {
		c.bookLocked(-weight(message))
	}
	out.queue, out.told, out.roomDue = nil, true, false
}

// end ends the circuit from the middle: what waits is dropped, both ends are told why. An end that does not
// read its own end in time, or until end is called again, is not waited for.
func (c *circuit) end(why Reason) {
	c.mu.Lock()
	again := c.over
	for at := range c.legs {
		out := &c.legs[at]
		out.finished = true
		if !out.told && !again {
			c.dropLocked(side(at))
			out.told, out.endDue, out.reason = false, true, why
			c.drainLocked(side(at))
		}
	}
	done := c.overLocked() || again
	if !c.over {
		c.over = true
		c.relay.c.count.ended.Add(1)
	}
	c.hurryLocked()
	c.mu.Unlock()
	if done {
		c.relay.forget(c)
	}
}

// overLocked reports whether both ends know that the circuit has ended. The first to find out counts it.
func (c *circuit) overLocked() bool {
	if !c.legs[caller].told || !c.legs[callee].told {
		return false
	}
	if !c.over {
		c.over = true
		c.relay.c.count.ended.Add(1)
	}
	return true
}
