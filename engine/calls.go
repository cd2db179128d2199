package engine

import (
	"context"
	"time"

	"github.com/carrier-p2p/carrier/engine/internal/timer"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/opcode"
)

// Path:   request -> [calls] -> lane urgent … reply frame -> [calls] -> the one who asked.
// Cost:   RequestRaw: 0 allocations when the reply fits the caller's buffer; one lock to ask, one to answer.
// Bounds: Config.Requests unanswered requests per peer, each with a time-out.

// callSlots is how many calls a callTable can tell apart: the lower bits of a request's id are its place, the upper ones
// count the peer's requests, so that a late reply does not answer somebody else's question.
const (
	callBits  = 12
	callSlots = 1<<callBits - 1
)

// A call is one request that waits for its reply. Whoever takes it out of its table owns it: the loop with the reply or the
// end of the connection, or the asker who gives up. The processors of both write to it, so it is one cache line, which
// TestCallIsOneLine holds.
type call struct {
	done  chan error    // one send; nil for a call with a callback
	reply []byte        // the reply's payload is appended here
	due   time.Duration // when a call without a callback is given up, engine time; 0: its asker sees to that
	then  *callback     // nil: somebody waits
	op    opcode.Opcode // the reply's
	id    uint32
}

// A callback is what a call has whose asker does not wait. It belongs to the loop that it was made on.
type callback struct {
	loop  *loop
	timer timer.Timer
	f     func(*ComponentContext, error)
}

// newAsyncCall makes a call with a callback, both in one piece of memory.
func newAsyncCall(l *loop, f func(*ComponentContext, error)) *call {
	c := &struct {
		call
		callback
	}{callback: callback{loop: l, f: f}}
	c.then = &c.callback
	return &c.call
}

// A callTable holds the calls of one peer. The zero value is empty; it is under the peer's mu.
type callTable struct {
	slots []callSlot // grows as needed
	free  uint32     // 1 + the first free place; 0: none
	open  int
}

type callSlot struct {
	call *call
	id   uint32 // of the call, or of the last one
	next uint32 // 1 + the next free place
}

// add finds a place for c and gives it its id, of which turn is the upper part: it differs from that of the peer's last calls.
func (t *callTable) add(c *call, turn uint32, limit int) error {
	if t.open >= limit {
		return ErrTooManyRequests
	}
	at := t.free
	if at == 0 {
		t.slots = append(t.slots, callSlot{})
		at = uint32(len(t.slots))
	} else {
		t.free = t.slots[at-1].next
	}
	s := &t.slots[at-1]
	s.id = (at | turn<<callBits) &^ fragmentID
	s.call, c.id = c, s.id
	t.open++
	return nil
}

// has reports whether there is a call with this id.
func (t *callTable) has(id uint32) bool {
	at := id & callSlots
	return at != 0 && int(at) <= len(t.slots) && t.slots[at-1].id == id && t.slots[at-1].call != nil
}

// take removes the call with this id.
func (t *callTable) take(id uint32) *call {
	if !t.has(id) {
		return nil
	}
	at := id & callSlots
	s := &t.slots[at-1]
	c := s.call
	s.call, s.next, t.free = nil, t.free, at
	t.open--
	return c
}

// ask sends c as a request. If nothing else is under way on the connection the caller writes it itself, which saves two
// thread switches; else it joins what the loop is going to write.
func (p *PeerClient) ask(now time.Duration, c *call, op opcode.Opcode, payload []byte) error {
	p.noteAsked(now)
	flags := framing.Flags(0)
	if p.inflates {
		if small := p.deflate(op, payload); small != nil {
			defer p.net.bufs.Put(small)
			payload, flags = small, framing.FlagCompressed
		}
	}
	p.mu.Lock()
	s := &p.send
	if err := p.barredLocked(op); err != nil {
		p.mu.Unlock()
		return err
	}
	p.outboundLocked()
	s.lastID++ // the table may be a new one, but a late reply to a call of the last one may still come
	if err := s.out.calls.add(c, s.lastID, p.net.cfg.Requests); err != nil {
		p.mu.Unlock()
		return err
	}
	if err := p.appendLocked(laneUrgent, false, op, flags, c.id, payload); err != nil {
		s.out.calls.take(c.id)
		p.mu.Unlock()
		return err
	}
	alone := s.out.calls.open == 1 && c.done != nil
	watch := c.due != 0 && !s.out.watched
	s.out.watched = s.out.watched || watch
	start := p.startAtLocked(now)
	p.mu.Unlock()
	if watch {
		p.loop.post(p.watchCalls)
	}
	switch {
	case !start:
	case !alone:
		p.loop.schedule(p)
	case !p.loop.join(p):
		p.flushAt(now)
	}
	return nil
}

// giveUp takes a call back. It reports false if somebody else has taken it, who then completes it.
func (p *PeerClient) giveUp(id uint32) bool {
	return p.takeCall(id) != nil
}

// takeCall takes a call out of the table it is in, which may have moved to another connection of the pair.
func (p *PeerClient) takeCall(id uint32) (c *call) {
	p.mu.Lock()
	if p.send.out != nil {
		c = p.send.out.calls.take(id)
	}
	to := moved(p.send.err)
	p.mu.Unlock()
	if c == nil && to != nil {
		return to.takeCall(id)
	}
	return c
}

// answered completes the call that a reply frame is for. On the loop. A reply to nothing is dropped: its asker may just
// have given up.
func (p *PeerClient) answered(f *framing.Frame) {
	c := p.takeCall(f.ID)
	if c == nil {
		p.loop.received.orphans++
		return
	}
	var err error
	if f.Op == opcode.NoReplyCode {
		f, err = nil, ErrNoReply
	}
	if c.then != nil {
		p.complete(c, f, err)
		return
	}
	if f != nil {
		c.op = f.Op
		c.reply = append(c.reply, f.Payload...)
	}
	p.loop.woke++
	c.done <- err
}

// noReply tells the sender of a request that nobody answers it; f is the request, or its last fragment. Where
// there is no room to say so its time-out does.
func (p *PeerClient) noReply(f *framing.Frame) {
	const others = framing.FlagReply | framing.FlagWantsAck | framing.FlagMore
	if f.ID != 0 && f.ID&fragmentID == 0 && f.Flags&others == 0 && f.Op != opcode.NoReplyCode {
		_ = p.trySend(laneUrgent, opcode.NoReplyCode, framing.FlagReply, f.ID, nil)
	}
}

// callBack runs a callback on the loop, as a component's code.
func (p *PeerClient) callBack(c *call, f *framing.Frame, err error) {
	l := c.then.loop
	ctx := &ComponentContext{peer: p}
	if f != nil {
		*ctx = ComponentContext{peer: p, op: f.Op, flags: f.Flags, id: f.ID, payload: f.Payload, row: l.table.row(f.Op)}
	}
	l.guard(p.net.callbacks, func() { c.then.f(ctx, err) })
}

// failCalls ends every open call. On the loop, when the connection has ended.
func (p *PeerClient) failCalls(err error) {
	p.mu.Lock()
	var open []*call
	if o := p.send.out; o != nil {
		for i := range o.calls.slots {
			if c := o.calls.slots[i].call; c != nil {
				open = append(open, c)
			}
		}
		o.calls = callTable{}
	}
	p.mu.Unlock()
	for _, c := range open {
		if c.then != nil {
			p.complete(c, nil, err)
			continue
		}
		c.done <- err
	}
}

// A Reply is the answer to a request. Its memory is the caller's.
type Reply struct {
	Opcode  opcode.Opcode
	Payload []byte
	net     *Network
}

// Message decodes the reply into a new value of the type registered for its opcode: a pointer.
func (r *Reply) Message() (any, error) { return r.net.decode(r.Opcode, r.Payload) }

// Decode decodes the reply into v.
func (r *Reply) Decode(v any) error { return r.net.decodeInto(r.Opcode, r.Payload, v) }

// Request sends a registered message and waits for its reply until ctx ends, or for Config.RequestTimeout if
// ctx has no deadline: ErrReceiveTimeout. ErrNoReply if the peer has nobody who handles the message, or whoever
// handles it returns an error, which itself does not travel. Not on a loop: ErrOnLoop; there use RequestAsync.
func (p *PeerClient) Request(ctx context.Context, msg any) (*Reply, error) {
	r := &Reply{net: p.net}
	err := p.net.encode(msg, func(op opcode.Opcode, payload []byte) (err error) {
		r.Opcode, r.Payload, err = p.RequestRaw(ctx, op, payload, nil)
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// RequestRaw sends payload, which is copied, and waits for the reply as Request does. The reply's payload is appended to
// reply, which may be nil. It does not allocate if reply has room.
func (p *PeerClient) RequestRaw(ctx context.Context, op opcode.Opcode, payload, reply []byte) (opcode.Opcode, []byte, error) {
	if err := p.net.maySend(op, len(payload)); err != nil {
		return 0, reply, err
	}
	return p.request(ctx, op, payload, reply)
}

func (p *PeerClient) request(ctx context.Context, op opcode.Opcode, payload, reply []byte) (opcode.Opcode, []byte, error) {
	if p.net.onLoop() {
		return 0, reply, ErrOnLoop
	}
	c, _ := p.net.calls.Get().(*call)
	if c == nil {
		c = &call{done: make(chan error, 1)}
	}
	now := p.loop.askedAt()
	c.reply, c.due = reply, 0
	if _, ok := ctx.Deadline(); !ok {
		c.due = now + p.net.cfg.RequestTimeout
	}
	for {
		err := p.ask(now, c, op, payload)
		if err == nil {
			break
		}
		if err == ErrSendBufferFull && credited(op) { // what is not credited has no queue of its own to wait for
			if err = p.waitRoom(ctx); err == nil {
				now = p.loop.clock()
				continue
			}
		}
		if to := moved(err); to != nil {
			p = to
			continue
		}
		p.net.recycle(c)
		return 0, reply, err
	}
	err := p.await(ctx, c)
	op, reply = c.op, c.reply
	p.net.recycle(c)
	return op, reply, err
}

// await waits until c is completed or ctx ends. Without a deadline in ctx the loop sees to it that it is completed in time:
// a timer of its own would be the dearest part of a request.
func (p *PeerClient) await(ctx context.Context, c *call) error {
	if ctx.Done() == nil {
		return <-c.done
	}
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		if !p.giveUp(c.id) {
			return <-c.done
		}
		p.loop.post(func() {
			if p.state() != stateClosed {
				p.touch()
			}
		})
		return &failure{"request", gaveUp(ctx, ErrReceiveTimeout)}
	}
}

// watchCalls sets one timer for all calls of the peer that have no deadline of their own, while there are any. On the loop.
func (p *PeerClient) watchCalls() {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.send.out
	if o == nil {
		return
	}
	first := transport.Never
	for i := range o.calls.slots {
		if c := o.calls.slots[i].call; c != nil && c.due != 0 {
			first = min(first, c.due)
		}
	}
	o.watched = first != transport.Never
	if o.watched {
		o.clock.Fire = p.expireCalls
		p.loop.wheel.Set(&o.clock, first)
	}
}

// expireCalls ends the calls whose time has passed. On the loop.
func (p *PeerClient) expireCalls(now time.Duration) {
	p.mu.Lock()
	var late []*call
	if o := p.send.out; o != nil {
		for i := range o.calls.slots {
			if c := o.calls.slots[i].call; c != nil && c.due != 0 && c.due <= now {
				late = append(late, o.calls.take(c.id))
			}
		}
	}
	p.mu.Unlock()
	for _, c := range late {
		p.touch() // the asker has flushed by himself, perhaps, and nothing has come since
		c.done <- errLateReply
	}
	p.watchCalls()
}

// waitRoom waits until the send buffer has room.
func (p *PeerClient) waitRoom(ctx context.Context) error {
	p.mu.Lock()
	if p.send.err != nil {
		defer p.mu.Unlock()
		return p.send.err
	}
	if p.send.out == nil || p.send.out.queued == 0 {
		p.mu.Unlock()
		return nil
	}
	room := p.send.out.waitLocked()
	p.mu.Unlock()
	t := p.net.timer()
	t.Reset(p.net.cfg.SendTimeout)
	defer p.net.timers.Put(t)
	defer t.Stop()
	select {
	case <-room:
		return nil
	case <-ctx.Done():
		return noRoom(gaveUp(ctx, ErrSendTimeout))
	case <-t.C:
		return noRoom(ErrSendTimeout)
	}
}

// recycle keeps a completed call for the next request.
func (n *Network) recycle(c *call) {
	c.reply = nil
	n.calls.Put(c)
}

// timer lends a stopped timer.
func (n *Network) timer() *time.Timer {
	if t, _ := n.timers.Get().(*time.Timer); t != nil {
		return t
	}
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// RequestAsync sends a registered message and has then called, on the peer's loop, with the reply or the error: exactly
// once, and after at most timeout (0: Config.RequestTimeout); called on that loop, RequestAsync returns before that. The
// context is good until then returns. It never waits and may be called on a loop. If it fails itself, then is not called.
func (p *PeerClient) RequestAsync(msg any, timeout time.Duration, then func(*ComponentContext, error)) error {
	return p.net.encode(msg, func(op opcode.Opcode, payload []byte) error {
		return p.RequestRawAsync(op, payload, timeout, then)
	})
}

// RequestRawAsync is RequestAsync for a payload that is bytes already; they are copied.
func (p *PeerClient) RequestRawAsync(op opcode.Opcode, payload []byte, timeout time.Duration, then func(*ComponentContext, error)) error {
	if err := p.net.maySend(op, len(payload)); err != nil {
		return err
	}
	return p.requestAsync(op, payload, timeout, then)
}

func (p *PeerClient) requestAsync(op opcode.Opcode, payload []byte, timeout time.Duration, then func(*ComponentContext, error)) error {
	if timeout <= 0 {
		timeout = p.net.cfg.RequestTimeout
	}
	l := p.loop
	c := newAsyncCall(l, then)
	now := l.clock()
	if err := p.ask(now, c, op, payload); err != nil {
		if to := moved(err); to != nil {
			return to.requestAsync(op, payload, timeout, then)
		}
		return err
	}
	id, due := c.id, after(now, timeout)
	c.then.timer.Fire = func(time.Duration) {
		if p.giveUp(id) {
			p.callBack(c, nil, errLateReply)
		}
	}
	l.post(func() {
		if p.holdsCall(id) {
			l.wheel.Set(&c.then.timer, due)
		}
	})
	return nil
}

func (p *PeerClient) holdsCall(id uint32) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if o := p.send.out; o != nil && o.calls.has(id) { // of one that has moved: a Ping
		return true
	}
	to := moved(p.send.err)
	return to != nil && to.holdsCall(id)
}
