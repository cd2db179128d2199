package engine

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/opcode"
)

// A Message is a received message that belongs to whoever asked for it.
type Message struct {
	Opcode  opcode.Opcode
	Payload []byte
	context *ComponentContext
}

// Decode decodes the message into v, a pointer to the type registered for its opcode.
func (m *Message) Decode(v any) error { return m.context.Decode(v) }

// Value decodes the message into a new value of the type registered for its opcode: a pointer.
func (m *Message) Value() (any, error) { return m.context.Message() }

// Reply answers the message with a registered one, as ComponentContext.Reply does. ErrNotRequest if it is no request.
func (m *Message) Reply(msg any) error { return m.context.Reply(msg) }

// ReplyRaw is Reply with an opcode and a payload, which is copied.
func (m *Message) ReplyRaw(op opcode.Opcode, payload []byte) error {
	return m.context.ReplyRaw(op, payload)
}

// A waiter takes the next message of its opcodes. It belongs to the peer's loop, except settled.
type waiter struct {
	ops     []opcode.Opcode
	take    func(*Message)
	end     func(error)
	settled atomic.Bool // set by the loop that has a message for it, or by the one who waits no longer
}

// Receive waits for the next message of one of these opcodes and takes it: no component sees it. It waits until ctx ends,
// or for Config.RequestTimeout if ctx has no deadline: ErrReceiveTimeout. Several calls that wait for one opcode take one
// message each, in the order in which they asked. Without an opcode it waits for nothing and fails at once. Not on a loop.
func (p *PeerClient) Receive(ctx context.Context, ops ...opcode.Opcode) (*Message, error) {
	if p.net.onLoop() {
		return nil, ErrOnLoop
	}
	if len(ops) == 0 {
		return nil, errNoOpcode
	}
	got := newInbox()
	w := &waiter{ops: ops, take: got.put, end: got.fail}
	if !p.loop.post(func() { p.addWaiter(w) }) {
		return nil, ErrClosed
	}
	m, err := got.wait(ctx, p.loop.over, p.net.cfg.RequestTimeout)
	if err != nil {
		if w.settled.Swap(true) { // the message has come in the meantime; it must not be lost
			return <-got.message, nil
		}
		p.loop.post(func() { p.dropWaiter(w) })
	}
	return m, err
}

func (p *PeerClient) addWaiter(w *waiter) {
	if p.state() != stateOpen {
		if to := p.latest(); to != p {
			to.loop.post(func() { to.adopt([]*waiter{w}) })
			return
		}
		w.end(p.closeError())
		return
	}
	in := p.inbound()
	in.waiters = append(in.waiters, w)
}

func (p *PeerClient) dropWaiter(w *waiter) {
	if to := p.latest(); to != p {
		to.loop.post(func() { to.dropWaiter(w) })
	}
	if p.in != nil {
		p.in.waiters = slices.DeleteFunc(p.in.waiters, func(have *waiter) bool { return have == w })
	}
}

// awaited gives a message to the gate or the first waiter that wants it. On the loop.
func (in *inbound) awaited(p *PeerClient, f *framing.Frame) bool {
	if g := in.gate; g != nil && !g.locked && slices.Contains(g.ops, f.Op) {
		g.lock(p.keep(f))
		return true
	}
	for i, w := range in.waiters {
		if slices.Contains(w.ops, f.Op) && !w.settled.Swap(true) {
			in.waiters = slices.Delete(in.waiters, i, i+1)
			w.take(p.keep(f))
			return true
		}
	}
	if in.stream != nil && f.Op == opcode.BytesCode {
		in.stream.take(f.Payload)
		return true
	}
	return false
}

// keep copies a message for somebody who keeps it.
func (p *PeerClient) keep(f *framing.Frame) *Message {
	c := &ComponentContext{peer: p, op: f.Op, flags: f.Flags, id: f.ID, payload: slices.Clone(f.Payload), kept: true,
		row: p.loop.table.row(f.Op)}
	return &Message{Opcode: f.Op, Payload: c.payload, context: c}
}

// An inbox is where somebody who is not on the loop waits for one message.
type inbox struct {
	message chan *Message
	failed  chan error
}

func newInbox() *inbox { return &inbox{make(chan *Message, 1), make(chan error, 1)} }

func (b *inbox) put(m *Message) { b.message <- m }

func (b *inbox) fail(err error) {
	select {
	case b.failed <- err:
	default:
	}
}

func (b *inbox) wait(ctx context.Context, over <-chan struct{}, otherwise time.Duration) (*Message, error) {
	var expired <-chan time.Time
	if _, ok := ctx.Deadline(); !ok {
		t := time.NewTimer(otherwise)
		defer t.Stop()
		expired = t.C
	}
	select {
	case m := <-b.message:
		return m, nil
	case err := <-b.failed:
		select {
		case m := <-b.message: // it came before the end
			return m, nil
		default:
			return nil, err
		}
	case <-over:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, &failure{"receive", gaveUp(ctx, ErrReceiveTimeout)}
	case <-expired:
		return nil, ErrReceiveTimeout
	}
}
