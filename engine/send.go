package engine

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/carrier-p2p/carrier/engine/internal/session"
	"github.com/carrier-p2p/carrier/engine/internal/timer"
	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/opcode"
)

// Path:   message -> [send] -> lane. Runs for every message sent, on the caller's goroutine. flush.go takes it from there.
// Cost:   0 allocations, 1 copy (into the place where it is sealed), 1 lock.
// Bounds: Config.SendBuffer bytes per peer wait at most, or one message that is larger; Config.Memory over all peers.

// A lane is a queue of frames that leave in order. What is in a lower lane overtakes what is in a higher one, between
// records.
type lane uint8

const (
	laneControl lane = iota // keeps the connection going; needs no credit
	laneUrgent              // requests and replies: somebody waits for them
	laneBulk                // everything else
	laneCount
)

// fragmentID marks the ids of messages in fragments that are neither request nor reply, so that they are not taken for
// requests.
const fragmentID = 1 << 31

// sending is the sending side of a peer. All of it is under the peer's mu, except sealer and the fields of outbound that
// say otherwise: they belong to whoever owns the flush.
type sending struct {
	out     *outbound // nil while there is nothing to send and nothing asked
	err     error     // why nothing can be sent any more
	open    bool      // messages may be sent; before that only control
	dead    bool      // the link is gone
	granted bool      // Credit has been queued: nothing may go before it
	room    bool      // the kernel has room again, said before the flush was parked
	flush   flushing
	lastID  uint32
	allowed uint64 // the peer's credit: bytes of frames we may have sent
	spent   uint64 // bytes of frames sealed; written by the flush owner, under mu
	sealer  session.Sender
}

// A goodbyeFrame is a Disconnect or an Error that waits until it is its turn; op 0: none.
type goodbyeFrame struct {
	op      opcode.Opcode
	payload []byte
}

// flushing says who owns the flush of a peer: the right to take from the lanes, to seal and to write.
type flushing uint8

const (
	flushIdle    flushing = iota // nobody; nothing to do, or waiting for credit
	flushParked                  // the loop will go on: scheduled, or when the socket has room
	flushRunning                 // a goroutine is at it
)

// outbound holds what waits. It exists while something does.
type outbound struct {
	// What every message needs comes first, so that it is together in the cache.
	calls    callTable
	parkedAt time.Duration // engine time at which the flush began to wait for its turn
	queued   int           // bytes appended and not yet written, control aside
	depth    int           // how many of them a sender that can wait may queue: see sendBufferFirst
	waited   bool          // one had to wait since the flush last found nothing to do
	watched  bool          // the clock of the calls is set, or about to be
	cut      bool          // what is queued is not sent any more, only control
	said     bool          // goodbye has been said: half-close when it is written
	last     bool          // and it is ready, or written; the flush's
	short    bool          // the kernel's queue is being kept short; the flush's
	ready    []byte        // sealed and not written: a part of one of memory, or preface and the first records; the flush's
	lanes    [laneCount]session.Batch
	pace     pace // see relieve

	// Owned by the flush.
	taken  [laneCount][]byte // taken from the lane and not sealed yet
	memory [laneCount][]byte // what taken is the rest of
	spare  [laneCount][]byte // written, for the lane to take when it is taken next

	ahead atomic.Int64 // bytes of ready; written by the flush, read by anybody

	goodbye goodbyeFrame  // the last thing to say, after what is queued
	room    chan struct{} // closed when there is room; nil while nobody waits
	then    []func()      // posted to the loop when half of the buffer is free: see OnRoom
	clock   timer.Timer   // of the calls; owned by the loop

	// The last message of the handshake, which leaves in one write with the first record. Set before anything is queued;
	// then the flush's.
	preface []byte
}

// busy reports whether anything is queued or asked.
func (o *outbound) busy() bool {
	return o.queued > 0 || o.calls.open > 0 || o.lanes[laneControl].Len() > 0 || o.room != nil || o.then != nil || len(o.ready) > 0 || o.goodbye.op != 0
}

// outboundLocked returns what waits to be sent, making it if need be.
func (p *PeerClient) outboundLocked() *outbound {
	if p.send.out == nil {
		p.send.out = &outbound{depth: min(sendBufferFirst, p.net.cfg.SendBuffer)}
		p.send.out.lanes[laneControl].SetWhole()
		if p.dg != nil {
			p.send.out.lanes[laneControl].SetDatagrams(p.dg.link.DatagramLimit())
		}
	}
	return p.send.out
}

// startLocked makes the caller the one who has to see to the flush, if nobody has to yet and there is something to do.
func (p *PeerClient) startLocked() bool {
	return p.send.flush == flushIdle && p.startAtLocked(p.loop.clock())
}

// startAtLocked is startLocked for a caller that has just looked at the clock.
func (p *PeerClient) startAtLocked(now time.Duration) bool {
	s := &p.send
	if s.flush != flushIdle || s.dead || s.out == nil {
		return false
	}
	s.flush = flushParked
	s.out.parkedAt = now
	return true
}

// appendLocked queues one message, in fragments if it needs them. A sender that waits if there is no room is content with
// less of it.
func (p *PeerClient) appendLocked(ln lane, waits bool, op opcode.Opcode, flags framing.Flags, id uint32, payload []byte) error {
	s := &p.send
	if !credited(op) {
		ln = laneControl
	}
	if err := p.barredLocked(op); err != nil {
		return err
	}
	if ln != laneControl && !s.open || ln == laneControl && !p.mayPrecedeLocked(op) {
		return ErrClosed
	}
	o := p.outboundLocked()
	size := framing.FrameHeaderSize + len(payload)
	if p.dg != nil {
		if err := p.fitLocked(&o.lanes[ln], size); err != nil {
			return err
		}
	}
	if ln != laneControl {
		limit := p.net.cfg.SendBuffer
		if waits {
			limit = o.depth
		}
		if o.queued > 0 && o.queued+size > limit {
			return ErrSendBufferFull
		}
		o.queued += size
	} else if o.lanes[ln].Len() > controlLimit {
		return ErrSendBufferFull
	}
	if len(payload) <= framing.FramePayloadLimit {
		if err := o.lanes[ln].Append(p.net.bufs, op, flags, id, payload); err != nil {
			if ln != laneControl {
				o.queued -= size
			}
			return fmt.Errorf("%w: %w", ErrSendBufferFull, err)
		}
		return nil
	}
	return p.appendFragments(ln, op, flags, id, payload)
}

// barredLocked says why a message of this opcode can no longer be sent here. Who moves still grants credit, and answers Pings.
func (p *PeerClient) barredLocked(op opcode.Opcode) error {
	if err := p.send.err; err == nil || credited(op) || moved(err) == nil || p.state() != stateOpen {
		return err
	}
	return nil
}

// mayPrecedeLocked reports whether a frame that needs no credit may be sent already: the other side takes Credit for the word
// that opens the connection, and anything before it for a fault. Over datagrams what is too early is only lost.
func (p *PeerClient) mayPrecedeLocked(op opcode.Opcode) bool {
	p.send.granted = p.send.granted || op == opcode.CreditCode || p.dg != nil
	return p.send.granted
}

// appendFragments queues a message that is larger than a frame. The memory for all of it is taken first, so that it is
// queued whole or not at all.
func (p *PeerClient) appendFragments(ln lane, op opcode.Opcode, flags framing.Flags, id uint32, payload []byte) error {
	o := p.send.out
	extra := len(payload)/framing.FramePayloadLimit*framing.FrameHeaderSize + framing.FrameHeaderSize
	if err := o.lanes[ln].Reserve(p.net.bufs, len(payload)+extra); err != nil {
		o.queued -= framing.FrameHeaderSize + len(payload)
		return fmt.Errorf("%w: %w", ErrSendBufferFull, err)
	}
	if id == 0 {
		p.send.lastID++
		id = fragmentID | p.send.lastID&^fragmentID
	}
	o.queued -= framing.FrameHeaderSize + len(payload)
	for len(payload) > 0 {
		part, f := payload, flags
		if len(part) > framing.FramePayloadLimit {
			part, f = part[:framing.FramePayloadLimit], flags|framing.FlagMore
		}
		payload = payload[len(part):]
		o.queued += framing.FrameHeaderSize + len(part)
		if err := o.lanes[ln].Append(p.net.bufs, op, f, id, part); err != nil {
			return err // cannot be: Reserve has taken the memory
		}
	}
	return nil
}

// trySend queues a message and has the loop flush it. It never waits.
func (p *PeerClient) trySend(ln lane, op opcode.Opcode, flags framing.Flags, id uint32, payload []byte) error {
	return p.queue(ln, false, op, flags, id, payload)
}

// queue queues a message and has the loop flush it. waits says what the caller does if there is no room.
func (p *PeerClient) queue(ln lane, waits bool, op opcode.Opcode, flags framing.Flags, id uint32, payload []byte) error {
	if p.inflates && flags&framing.FlagCompressed == 0 { // else by the connection that this one has come after
		if small := p.deflate(op, payload); small != nil {
			defer p.net.bufs.Put(small)
			payload, flags = small, flags|framing.FlagCompressed
		}
	}
	p.mu.Lock()
	err := p.appendLocked(ln, waits, op, flags, id, payload)
	start := err == nil && p.startLocked()
	p.mu.Unlock()
	if start {
		p.loop.schedule(p)
	}
	if to := moved(err); to != nil && op != opcode.CreditCode { // which is of this connection's account, and means nothing to another
		return to.queue(ln, waits, op, flags, id, payload)
	}
	return err
}

// sendSmall queues a message of one frame where all is as it mostly is: the connection open, room in the queue and in the
// record that gathers. Else it does nothing and reports false; then the long way finds out what to do.
func (p *PeerClient) sendSmall(op opcode.Opcode, payload []byte) bool {
	limit := framing.FramePayloadLimit
	if r := p.net.table.Load().row(op); r != nil {
		limit = r.small
	} else if op < opcode.ApplicationOpCodeStart {
		return false
	}
	if len(payload) > limit {
		return false
	}
	size := framing.FrameHeaderSize + len(payload)
	p.mu.Lock()
	o := p.send.out
	if o == nil || !p.send.open || o.queued+size > o.depth || !o.lanes[laneBulk].Add(op, payload) {
		p.mu.Unlock()
		return false
	}
	o.queued += size
	start := p.send.flush == flushIdle && p.startLocked()
	p.mu.Unlock()
	if start {
		p.loop.schedule(p)
	}
	return true
}

// sendWait queues a message and waits for room if there is none.
func (p *PeerClient) sendWait(ctx context.Context, ln lane, op opcode.Opcode, flags framing.Flags, id uint32, payload []byte) error {
	err := p.queue(ln, true, op, flags, id, payload)
	if err != ErrSendBufferFull {
		return err
	}
	return p.sendLater(ctx, ln, op, flags, id, payload)
}

// sendLater is sendWait where there was no room. It is a function of its own because what it defers would cost those who
// need not wait.
func (p *PeerClient) sendLater(ctx context.Context, ln lane, op opcode.Opcode, flags framing.Flags, id uint32, payload []byte) error {
	if p.net.onLoop() {
		return ErrOnLoop
	}
	var expired <-chan time.Time
	if _, ok := ctx.Deadline(); !ok {
		t := p.net.timer()
		t.Reset(p.net.cfg.SendTimeout)
		defer p.net.timers.Put(t)
		defer t.Stop()
		expired = t.C
	}
	for {
		room := p.latest().room()
		err := p.queue(ln, true, op, flags, id, payload)
		if err != ErrSendBufferFull {
			return err
		}
		select {
		case <-room:
		case <-ctx.Done():
			return noRoom(gaveUp(ctx, ErrSendTimeout))
		case <-expired:
			return noRoom(ErrSendTimeout)
		}
	}
}

// noRoom is what a sender gets who has waited for room, and why he waits no longer.
func noRoom(why error) error { return &failure{"send", failures{ErrSendBufferFull, why}} }

// room returns a channel that is closed when there is room, or the connection has ended. Whoever asks for it must then try
// again before waiting: there may be room already.
func (p *PeerClient) room() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.send.out == nil || p.send.err != nil {
		return closedChannel
	}
	return p.send.out.waitLocked()
}

// closedChannel stands for room that is there.
var closedChannel = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// waitLocked returns a channel that is closed when there is room.
func (o *outbound) waitLocked() <-chan struct{} {
	o.waited = true
	if o.room == nil {
		o.room = make(chan struct{})
	}
	return o.room
}

// wakeLocked wakes those who wait for room, if there is. What it returns is to be posted to the loop, without the lock.
func (o *outbound) wakeLocked(limit int) (then []func()) {
	if o.room != nil && o.queued <= o.depth/2 {
		close(o.room)
		o.room = nil
	}
	if o.then != nil && o.queued <= limit/2 {
		then, o.then = o.then, nil
	}
	return then
}

// OnRoom has then called on the peer's loop, once, when the send buffer is half empty or the connection has ended: for those
// who have got ErrSendBufferFull and must not wait. If it is half empty already, it was memory that was short (Config.Memory),
// or the message is large: then is called a little later, so that trying again and again costs little. Any goroutine. How
// many ask is for the callers to bound.
func (p *PeerClient) OnRoom(then func()) {
	if to := p.latest(); to != p {
		to.OnRoom(func() { p.postAll([]func(){then}) })
		return
	}
	p.mu.Lock()
	o, ended := p.send.out, p.send.err != nil
	waits := o != nil && !ended && o.queued > p.net.cfg.SendBuffer/2
	if waits {
		o.then = append(o.then, then)
	}
	p.mu.Unlock()
	switch {
	case ended:
		p.postAll([]func(){then})
	case !waits:
		p.Loop().After(roomAgain, then)
	}
}

// postAll has functions of components run on the peer's loop.
func (p *PeerClient) postAll(then []func()) {
	for _, f := range then {
		p.Loop().Post(f)
	}
}

// Send sends a registered message. It waits for room in the send buffer until ctx ends, or Config.SendTimeout if ctx has
// no deadline; then it fails with ErrSendBufferFull. Messages sent by one goroutine arrive in order. Sent means queued:
// if the connection breaks, messages that were sent may be lost.
func (p *PeerClient) Send(ctx context.Context, msg any) error {
	return p.net.encode(msg, func(op opcode.Opcode, payload []byte) error {
		return p.sendWait(ctx, laneBulk, op, 0, 0, payload)
	})
}

// TrySend sends a registered message if there is room now, else fails with ErrSendBufferFull. It never waits and may be
// called on a loop.
func (p *PeerClient) TrySend(msg any) error {
	return p.net.encode(msg, func(op opcode.Opcode, payload []byte) error {
		return p.trySend(laneBulk, op, 0, 0, payload)
	})
}

// SendRaw is Send for a payload that is bytes already; they are copied. Neither end need have registered op.
// It is one of the application's, from opcode.ApplicationOpCodeStart on, or one of a component of this
// library, for a program that speaks its protocol. Opcodes that the engine itself uses, and those below
// ApplicationOpCodeStart that have no meaning yet, are ErrReserved; so they are wherever raw bytes are sent.
func (p *PeerClient) SendRaw(ctx context.Context, op opcode.Opcode, payload []byte) error {
	if p.sendSmall(op, payload) {
		return nil
	}
	if err := p.net.maySend(op, len(payload)); err != nil {
		return err
	}
	return p.sendWait(ctx, laneBulk, op, 0, 0, payload)
}

// TrySendRaw is TrySend for a payload that is bytes already; they are copied.
func (p *PeerClient) TrySendRaw(op opcode.Opcode, payload []byte) error {
	if err := p.net.maySend(op, len(payload)); err != nil {
		return err
	}
	return p.trySend(laneBulk, op, 0, 0, payload)
}

// maySend checks what components and applications send themselves: not what the engine speaks, no number that
// the library keeps for later, nothing larger than the opcode allows.
func (n *Network) maySend(op opcode.Opcode, size int) error {
	if !speakable(op) {
		return fmt.Errorf("%w: %v", ErrReserved, op)
	}
	limit := opcode.DefaultPayloadLimit
	if r := n.table.Load().row(op); r != nil {
		limit = r.limit
	}
	if size > limit {
		return fmt.Errorf("%w: %v of %d bytes, at most %d", ErrMessageTooLarge, op, size, limit)
	}
	return nil
}
