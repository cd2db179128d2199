package ack

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// An outbox is what waits for one peer. It keeps its numbers over connections; its epoch ends when it is given up, which is
// when the peer has gone and nothing waits.
//
//	base                queued                        next
//	 │ sent, not settled │ not sent on this connection │
//
// Invariant: next-base <= WindowLimit; the message base is not settled, unless base is next.
type outbox struct {
	owner *Component
	to    identity.ID
	epoch uint32

	mu     sync.Mutex // after the Component's; under it messages are queued, so after it the engine's locks
	peer   *engine.PeerClient
	begun  bool // Begin has been sent on this connection
	ended  error
	listed bool // in the Component's active; under its lock
	base   uint32
	queued uint32
	next   uint32
	sent   uint32  // behind the highest number that was ever sent
	ring   []entry // by number modulo its length, which is a power of two; nil: nothing waits
	waits  int     // entries that are not settled
	memory int     // of these, bytes
	lookAt time.Duration
	dice   uint64
	room   bell // a number has become free
}

// An entry is one message that waits.
type entry struct {
	payload  []byte
	then     func(error)
	op       opcode.Opcode
	tries    uint32
	refusals uint32 // of different tries
	refused  bool   // the last try has been
	settled  bool
	againAt  time.Duration // when it is sent again
	giveUpAt time.Duration
}

// An outcome is what has become of a message.
type outcome struct {
	then func(error)
	err  error
}

func (o *outbox) at(id uint32) *entry { return &o.ring[id&uint32(len(o.ring)-1)] }

// add accepts a message, and sends it if nothing stands before it.
func (o *outbox) add(now time.Duration, op opcode.Opcode, payload []byte, then func(error)) (id uint32, done []outcome, err error) {
	c := o.owner
	o.mu.Lock()
	defer o.mu.Unlock()
	cost := len(payload) + entryCost
	if o.waits == 0 {
		cost += outboxCost
	}
	used := (o.next - o.base) % engine.AckIDs
	switch {
	case o.ended != nil:
		return 0, nil, o.ended
	case used == WindowLimit, o.waits > 0 && o.memory+cost > c.cfg.PeerMemory:
		return 0, nil, ErrFull
	case c.memory.Add(int64(cost)) > c.cfg.Memory:
		c.memory.Add(int64(-cost))
		return 0, nil, errMemory
	}
	if int(used) == len(o.ring) {
		o.grow()
	}
	id = o.next
	o.next = (o.next + 1) % engine.AckIDs
	o.waits++
	o.memory += cost
	*o.at(id) = entry{payload: payload, then: then, op: op, againAt: now, giveUpAt: now + c.cfg.GiveUp}
	c.counts.sent.Add(1)
	if o.waits == 1 || o.at(id).giveUpAt < o.lookAt {
		o.lookAt = o.at(id).giveUpAt
	}
	return id, o.pump(now, nil), nil
}

// errMemory is ErrFull for the one who waits for room: not this outbox is full, but all of them together.
var errMemory = fmt.Errorf("%w: Memory", ErrFull)

// grow doubles the ring.
func (o *outbox) grow() {
	old := o.ring
	o.ring = make([]entry, max(2*len(old), ringFirst))
	for id, n := o.base, len(old); n > 0; id, n = (id+1)%engine.AckIDs, n-1 {
		*o.at(id) = old[id&uint32(len(old)-1)]
	}
}

// pump sends what has not been sent on this connection, as far as there is room. Under mu.
func (o *outbox) pump(now time.Duration, done []outcome) []outcome {
	if o.peer == nil || o.queued == o.next || !o.beginLocked() {
		return done
	}
	for ; o.queued != o.next; o.queued = (o.queued + 1) % engine.AckIDs {
		err := o.sendLocked(now, o.queued)
		if err != nil && !hopeless(err) {
			break
		}
		if err != nil {
			done = append(done, o.failLocked(o.queued, err))
		}
	}
	o.slideLocked()
	return done
}

// hopeless tells the errors of a message from those of a connection.
func hopeless(err error) bool {
	return errors.Is(err, engine.ErrMessageTooLarge) || errors.Is(err, engine.ErrReserved)
}

// beginLocked sees to it that the receiver knows the epoch.
func (o *outbox) beginLocked() bool {
	if !o.begun {
		var room [ackSize]byte
		o.begun = o.peer.TrySendRaw(opcode.AckResponseCode, message{kind: kindBegin, epoch: o.epoch, base: o.base}.append(room[:0])) == nil
	}
	return o.begun
}

// sendLocked sends a message that is not settled.
func (o *outbox) sendLocked(now time.Duration, id uint32) error {
	e := o.at(id)
	if e.settled {
		return nil
	}
	if err := o.peer.TrySendAckable(e.op, id, e.payload); err != nil {
		return err
	}
	if e.tries++; e.tries > 1 {
		o.owner.counts.resent.Add(1)
	}
	e.refused = false
	retry := o.owner.retry
	retry.First = max(retry.First, 4*o.peer.RTT())
	if n, is := ahead(o.sent, id+1); is && n > 0 {
		o.sent = (id + 1) % engine.AckIDs
	}
	e.againAt = now + retry.Wait(int(e.tries), o.chance())
	o.lookAt = min(o.lookAt, e.againAt)
	return nil
}

// chance is what a wait is spread with.
func (o *outbox) chance() uint64 {
	o.dice = o.dice*6364136223846793005 + 1442695040888963407
	return o.dice >> 16
}

// settleLocked takes a message out.
func (o *outbox) settleLocked(id uint32, err error) outcome {
	e := o.at(id)
	out := outcome{e.then, err}
	cost := len(e.payload) + entryCost
	*e = entry{settled: true}
	if o.waits--; o.waits == 0 {
		cost += outboxCost
	}
	o.memory -= cost
	o.owner.release(cost)
	return out
}

// failLocked takes a message out that the receiver may never see. It is told, with the next message, what is settled.
func (o *outbox) failLocked(id uint32, err error) outcome {
	o.owner.counts.failed.Add(1)
	o.begun = false
	return o.settleLocked(id, err)
}

// slideLocked moves base past what is settled.
func (o *outbox) slideLocked() {
	from := o.base
	for o.base != o.next && o.at(o.base).settled {
		if o.base == o.queued { // settled before it was sent
			o.queued = (o.queued + 1) % engine.AckIDs
		}
		o.base = (o.base + 1) % engine.AckIDs
	}
	if o.base == o.next {
		o.ring = nil
	}
	if from != o.base || o.waits == 0 {
		o.room.ring()
	}
}

// acknowledged settles what the receiver has taken, and sends what there is room for now.
func (o *outbox) acknowledged(m message, now time.Duration) (done []outcome, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	sent, is := ahead(o.base, o.sent) // on this connection or an earlier one
	if !is {
		sent = 0 // the last ones were withdrawn before they were sent
	}
	below, is := ahead(o.base, m.base)
	behind := uint32(0)
	if !is {
		below, behind = 0, (o.base-m.base)%engine.AckIDs
	}
	if below > sent {
		return nil, ErrUnsent
	}
	for i := range below {
		done = o.takenLocked((o.base+i)%engine.AckIDs, done)
	}
	for i := range uint32(8 * len(m.bits)) {
		if !m.has(i) || i < behind {
			continue
		}
		if n := (m.base + i - o.base) % engine.AckIDs; n >= sent {
			err = ErrUnsent
			break
		} else {
			done = o.takenLocked((o.base+n)%engine.AckIDs, done)
		}
	}
	o.slideLocked()
	return o.pump(now, done), err
}

// refused has a message sent again Retry from now. It is known that no acknowledgement comes, so that neither the round trip
// counts, which may be that of a bad moment, nor how often the message was sent into a connection that stood still. Whoever
// says it again and again gains nothing: it counts once for each time the message was sent.
func (o *outbox) refused(id uint32, now time.Duration) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, is := ahead(o.base, id)
	if !is {
		return nil // late: it has been settled
	}
	if sent, is := ahead(o.base, o.sent); !is || n >= sent {
		return ErrUnsent
	}
	e := o.at(id)
	if e.settled || e.refused {
		return nil
	}
	e.refused = true
	e.refusals++
	e.againAt = min(e.againAt, now+o.owner.retry.Wait(int(e.refusals), o.chance()))
	o.lookAt = min(o.lookAt, e.againAt)
	return nil
}

func (o *outbox) takenLocked(id uint32, done []outcome) []outcome {
	if o.at(id).settled {
		return done
	}
	o.owner.counts.acked.Add(1)
	return append(done, o.settleLocked(id, nil))
}

// connected sends what waits over a new connection.
func (o *outbox) connected(p *engine.PeerClient, now time.Duration) []outcome {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.peer != p {
		o.attachLocked(p)
	}
	return o.pump(now, nil)
}

func (o *outbox) attachLocked(p *engine.PeerClient) { o.peer, o.begun, o.queued = p, false, o.base }

// lost forgets a connection. It reports whether the outbox has ended with it, since nothing waits.
func (o *outbox) lost(p *engine.PeerClient) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.peer == p {
		o.attachLocked(nil)
	}
	return o.retiredLocked()
}

// retiredLocked ends an outbox that nobody needs.
func (o *outbox) retiredLocked() bool {
	if o.peer != nil || o.waits > 0 || o.ended != nil {
		return false
	}
	o.ended = errRetired
	return true
}

// errRetired is what a sender gets that has found an outbox just before it ended. It looks for another.
var errRetired = errors.New("ack: the outbox has ended")

// look sends again and gives up what it is time for, at most budget messages. It returns when to look next.
func (o *outbox) look(now time.Duration, budget int) (done []outcome, left int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now < o.lookAt || o.waits == 0 {
		return o.pump(now, nil), budget
	}
	if o.peer != nil && o.begun && o.at(o.base).againAt <= now {
		o.begun = false // the receiver's component may be younger than the connection
	}
	o.lookAt = 1<<63 - 1
	for id := o.base; id != o.next; id = (id + 1) % engine.AckIDs {
		e := o.at(id)
		if e.settled {
			continue
		}
		if e.giveUpAt <= now {
			done = append(done, o.failLocked(id, ErrGivenUp))
			continue
		}
		n, is := ahead(id, o.queued)
		sent := is && n > 0
		if sent && e.againAt <= now && o.peer != nil {
			if budget <= 0 || !o.beginLocked() || o.sendLocked(now, id) != nil {
				o.lookAt = now // no room
				break
			}
			budget--
		}
		o.lookAt = min(o.lookAt, e.giveUpAt)
		if sent {
			o.lookAt = min(o.lookAt, e.againAt)
		}
	}
	o.slideLocked()
	return o.pump(now, done), budget
}

// withdraw takes back a message whose sender waits no longer. It reports false if it has been settled.
func (o *outbox) withdraw(id uint32) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := (id - o.base) % engine.AckIDs; n >= (o.next-o.base)%engine.AckIDs || o.at(id).settled {
		return false
	}
	o.failLocked(id, nil)
	o.slideLocked()
	return true
}

// end settles all that waits with err, and lets nothing more in.
func (o *outbox) end(err error) (done []outcome) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for id := o.base; id != o.next; id = (id + 1) % engine.AckIDs {
		if !o.at(id).settled {
			done = append(done, o.failLocked(id, err))
		}
	}
	o.ended = err
	o.slideLocked()
	o.room.ring()
	return done
}
