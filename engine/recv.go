package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/carrier-p2p/carrier/engine/internal/session"
	"github.com/carrier-p2p/carrier/engine/internal/timer"
	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/opcode"
)

// Path:   bytes of an open peer -> [recv] -> component. Runs once per readable event, on the peer's loop.
// Cost:   0 allocations and 0 copies for messages of one frame whose record lies whole in b. TestReceiveAllocs holds this.
// Bounds: one read of the transport (its read buffer) per event, so one peer cannot starve the loop.
// Keeps:  the beginning of a record, fragments, and what a gate holds back: each with its limit.

// receive is the route: one line per stage.
func (p *PeerClient) receive(b []byte) {
	p.touch()
	for len(b) > 0 && p.reads() {
		if p.in.isShut() {
			p.holdBack(b)
			break
		}
		plain, rest, whole, err := p.recv.Next(b, p.net.bufs)
		if err != nil {
			p.end(recordFault(err))
			return
		}
		if !whole {
			p.watchRecord()
			break
		}
		b = rest
		p.receipt.records++
		p.frames(plain)
	}
	p.grant()
}

// reads reports whether the peer's bytes are still wanted. After our goodbye they are: what is queued may need the credit
// in them.
func (p *PeerClient) reads() bool {
	s := p.state()
	return s == stateOpen || s == stateConfirming || (s == stateDraining && p.parting != nil && !p.parting.deaf)
}

// frames delivers the frames of one opened record.
func (p *PeerClient) frames(plain []byte) {
	for len(plain) > 0 && p.reads() {
		switch {
		case p.in.isShut():
			p.holdFrames(plain)
			return
		case p.in.gated():
			plain = p.overtake(plain)
		default:
			plain = p.deliverAll(plain)
		}
	}
}

// deliverAll delivers frames until something stands in the way, and returns what is left. A component's panic is caught
// here, once for all of them: the rest goes on behind the message that caused it.
func (p *PeerClient) deliverAll(plain []byte) (rest []byte) {
	l := p.loop
	defer p.caught()
	l.plain = p.in == nil || p.in.idle()
	for rest = plain; len(rest) > 0; {
		f := &l.frame
		n, err := f.Next(rest)
		if err != nil {
			p.end(&Fault{Peers, Close, CodeProtocol, err})
			return nil
		}
		rest = rest[n:]
		if r := l.table.row(f.Op); l.plain && r.passes(f) && p.state() == stateOpen {
			err = p.pass(r, f, n)
		} else {
			err = p.deliver(f, n)
		}
		if err != nil {
			p.end(err)
			return nil
		}
		if p.state() != stateOpen || p.in.gated() {
			return rest
		}
	}
	return nil
}

// pass is deliver for what nearly every frame is: a whole message of a known opcode that nobody waits for but components
// (row.passes, and nothing that makes this peer's messages special).
func (p *PeerClient) pass(r *row, f *framing.Frame, size int) error {
	l := p.loop
	l.received.frames++
	l.received.messages++
	l.count(r.place, len(f.Payload))
	if err := p.receipt.take(size); err != nil {
		return err
	}
	if f.ID != 0 {
		p.noteAsked(l.now)
	}
	l.held = size
	err := p.dispatch(r, f)
	p.receipt.consumed += uint64(l.held)
	l.held = 0
	return err
}

// caught is deferred around the delivery of frames. What Receive did not live to give back is given back.
func (p *PeerClient) caught() {
	if r := recover(); r != nil {
		l := p.loop
		if !l.inside {
			panic(r) // not a component's: a bug of ours
		}
		l.inside = false
		p.consume(l.held)
		l.held = 0
		p.noReply(&l.frame)
		p.net.panicked(l.handler, r)
	}
}

// deliver hands one frame to whom it is for. An error ends the connection.
func (p *PeerClient) deliver(f *framing.Frame, size int) error {
	p.loop.received.frames++
	switch p.state() {
	case stateConfirming:
		return p.confirmed(f)
	case stateDraining:
		return p.afterwards(f)
	}
	if !credited(f.Op) {
		return p.builtin(f)
	}
	if err := p.receipt.take(size); err != nil {
		return err
	}
	r := p.loop.table.find(f)
	if r == nil {
		p.consume(size)
		p.noReply(f)
		return p.unknown(f.Op)
	}
	msg, whole, err := p.whole(f, r)
	if err != nil {
		return messageFault(f.Op, err)
	}
	p.loop.held = size
	if whole {
		if gathered := len(msg) - len(f.Payload); gathered > 0 { // consumed so far, so that the message could become whole
			p.loop.held += gathered
			p.receipt.consumed -= uint64(gathered)
		}
		f.Payload = msg
		if f.Flags&framing.FlagCompressed != 0 {
			err = p.inflate(f, r)
		} else {
			err = p.message(f, r)
		}
	}
	p.consume(p.loop.held)
	p.loop.held = 0
	return err
}

// afterwards takes frames that come after our goodbye: only credit for what is still queued, and the peer's own goodbye.
func (p *PeerClient) afterwards(f *framing.Frame) error {
	switch f.Op {
	case opcode.CreditCode:
		return p.creditFrom(f)
	case opcode.DisconnectCode, opcode.ErrorCode:
		p.link.Close()
	}
	return nil
}

// whole gathers a message that comes in fragments; almost none does.
func (p *PeerClient) whole(f *framing.Frame, r *row) ([]byte, bool, error) {
	if f.Flags&framing.FlagMore != 0 && p.dg != nil {
		return nil, false, errFragment
	}
	if f.Flags&framing.FlagMore == 0 && (p.in == nil || p.in.fragments.Gathering() == 0) {
		if len(f.Payload) > r.limit {
			return nil, false, framing.ErrMessageTooLarge
		}
		return f.Payload, true, nil
	}
	in := p.inbound()
	before := in.fragments.Held()
	msg, whole, err := in.fragments.Add(*f, r.limit)
	after := in.fragments.Held()
	if after > before {
		err := p.net.bufs.Reserve(after - before)
		if err == nil && after > p.net.cfg.ReceiveWindow && p.net.bufs.Lent() > p.net.bufs.Limit()/2 {
			p.net.bufs.Release(after - before)
			err = session.ErrMemory // half of the memory is not for those who begin much and finish nothing
		}
		if err != nil {
			in.fragments.Reset()
			p.net.bufs.Release(before)
			return nil, false, err
		}
		if before == 0 {
			p.watchFragments()
		}
	} else {
		p.net.bufs.Release(before - after)
	}
	if after == 0 {
		p.loop.wheel.Stop(&in.unfinished)
	} else if whole {
		p.watchFragments()
	}
	return msg, whole, err
}

// message hands a whole message to the one who waits for it, or else to the components. An error ends the connection.
func (p *PeerClient) message(f *framing.Frame, r *row) error {
	p.loop.received.messages++
	p.loop.count(r.place, len(f.Payload))
	if f.Flags&framing.FlagReply != 0 {
		p.answered(f)
		return nil
	}
	if f.ID != 0 && f.ID&fragmentID == 0 {
		p.noteAsked(p.loop.now)
	}
	if f.Flags&framing.FlagWantsAck != 0 {
		return p.ackable(f, r)
	}
	if p.in != nil && p.in.awaited(p, f) {
		return nil
	}
	if len(r.receivers) == 0 {
		p.loop.received.unhandled++
		p.noReply(f)
		return nil
	}
	return p.dispatch(r, f)
}

// unknown counts a message of an opcode nobody here has heard of. It is dropped; a peer that says nothing else is closed.
func (p *PeerClient) unknown(op opcode.Opcode) error {
	p.loop.received.unknown++
	if p.receipt.unknown++; p.receipt.unknown > unknownLimit {
		return &Fault{Peers, Close, CodeProtocol, fmt.Errorf("engine: %d messages of unknown opcodes, the last %v", p.receipt.unknown, op)}
	}
	return nil
}

// recordFault says whose fault a record is that cannot be opened.
func recordFault(err error) *Fault {
	if errors.Is(err, session.ErrMemory) {
		return &Fault{Ours, Close, CodeLimit, err}
	}
	return &Fault{Peers, Close, CodeProtocol, err}
}

func messageFault(op opcode.Opcode, err error) *Fault {
	err = fmt.Errorf("%v: %w", op, err)
	switch {
	case errors.Is(err, session.ErrMemory):
		return &Fault{Ours, Close, CodeLimit, err}
	case errors.Is(err, framing.ErrMessageTooLarge):
		return &Fault{Peers, Close, CodeLimit, fmt.Errorf("%w: %w", ErrMessageTooLarge, err)}
	}
	return &Fault{Peers, Close, CodeProtocol, err}
}

// inbound is what a peer needs while it does more than send whole messages. It belongs to the loop.
type inbound struct {
	fragments framing.Assembler
	waiters   []*waiter
	gate      *Gate  // set, and perhaps locked
	shut      bool   // an older connection of the pair is still there: deliver nothing yet
	plain     []byte // frames of opened records, held back
	sealed    []byte // bytes that came after them while shut, held back
	stream    *Stream
	timer     timer.Timer   // of the record that has begun
	begun     uint32        // which record the timer is about
	begunAt   time.Duration // when it has begun

	unfinished   timer.Timer   // of the messages that have begun to arrive in fragments
	unfinishedAt time.Duration // when the first has begun, or the last has ended
	pace         pace          // see relieve
}

// inbound returns p.in, making it if need be. Whoever calls it is about to make this peer's messages special.
func (p *PeerClient) inbound() *inbound {
	p.loop.plain = false
	if p.in == nil {
		p.in = &inbound{}
		p.in.timer.Fire = p.recordTimeout
		p.in.unfinished.Fire = p.messageTimeout
	}
	return p.in
}

// gated reports whether no message may be delivered at the moment.
func (in *inbound) gated() bool {
	return in != nil && (in.shut || in.gate != nil && in.gate.locked)
}

// isShut reports whether nothing at all may be: the peer is not open yet.
func (in *inbound) isShut() bool { return in != nil && in.shut }

// busy reports whether something is under way that cooling would cut off.
func (in *inbound) busy() bool {
	return in != nil && (in.fragments.Gathering() > 0 || in.gated())
}

// idle reports whether nothing is left to remember.
func (in *inbound) idle() bool {
	return in == nil || (in.fragments.Gathering() == 0 && len(in.waiters) == 0 && in.gate == nil && in.stream == nil)
}

// watchRecord starts the clock of a record that has begun to arrive.
func (p *PeerClient) watchRecord() {
	in := p.inbound()
	if in.begun == p.receipt.records+1 {
		return
	}
	in.begun, in.begunAt = p.receipt.records+1, p.loop.now
	p.loop.wheel.Set(&in.timer, in.begunAt+p.net.cfg.RecordTimeout)
}

func (p *PeerClient) recordTimeout(time.Duration) {
	if p.recv.Begun() && p.in != nil && p.in.begun == p.receipt.records+1 && p.reads() {
		p.unended("a record", &p.in.timer, p.in.begunAt, p.net.cfg.RecordTimeout)
	}
}

// watchFragments starts the clock of the messages that have begun to arrive.
func (p *PeerClient) watchFragments() {
	p.in.unfinishedAt = p.loop.now
	p.loop.wheel.Set(&p.in.unfinished, p.loop.now+messageTimeout)
}

func (p *PeerClient) messageTimeout(time.Duration) {
	if p.in != nil && p.in.fragments.Gathering() > 0 && p.reads() {
		p.unended("a message in fragments", &p.in.unfinished, p.in.unfinishedAt, messageTimeout)
	}
}

// unended closes a peer that has begun something and not ended it in time. Time in which this loop could not hear the rest is not
// counted.
func (p *PeerClient) unended(what string, t *timer.Timer, since, limit time.Duration) {
	if left := p.loop.left(since, limit); left > 0 {
		p.loop.wheel.Set(t, p.loop.now+left)
		return
	}
	p.end(&Fault{Peers, Close, CodeTimeout, fmt.Errorf("%w: %s has not ended", ErrReceiveTimeout, what)})
}

// endInbound ends everything that waits for the peer's messages and gives back what is held of them.
func (p *PeerClient) endInbound(why error) {
	in := p.in
	if in == nil {
		return
	}
	p.in = nil
	p.loop.wheel.Stop(&in.timer)
	p.loop.wheel.Stop(&in.unfinished)
	p.net.bufs.Release(in.fragments.Held())
	in.fragments.Reset()
	for _, w := range in.waiters {
		w.end(why)
	}
	if in.gate != nil {
		in.gate.ended(why)
	}
	p.dropHeld(in)
	if in.stream != nil {
		in.stream.lost(why)
	}
}
