package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/opcode"
)

// How a pair of nodes moves from a connection through a relay to a direct one, without losing a message. x has dialled the
// direct one; y, its responder, lets it wait while the old one is emptied.
//
//	            relayed connection                        direct connection
//	y   what is queued, Disconnect(replaced) ──▶ x        waits (pairs)
//	    ── what is sent from now on, and the calls that are open, belong to the direct one; it has no credit yet ──
//	x   what is queued, Disconnect(replaced) ──▶ y        waits for y's word
//	    ── PeerDisconnect at either end, after the last message of the other ──
//	y                                                     Credit ──▶ x: open; PeerConnect
//
// So the messages of each side arrive in the order in which they were sent, some over one connection and the rest over the
// other. The PeerClient of the old one goes on working: what it is told to send it gives to its successor.

// A movedError is why nothing more can be sent over a connection: the pair has another.
type movedError struct{ to *PeerClient }

func (e *movedError) Error() string { return "engine: the pair has moved to another connection" }

// moved returns where to, if err says so.
func moved(err error) *PeerClient {
	if m, ok := err.(*movedError); ok {
		return m.to
	}
	return nil
}

// latest is the connection that the pair has moved to, or p.
func (p *PeerClient) latest() *PeerClient {
	for {
		p.mu.Lock()
		to := moved(p.send.err)
		p.mu.Unlock()
		if to == nil {
			return p
		}
		p = to
	}
}

// better reports whether a new connection of a pair is worth moving to.
func better(fresh, old *PeerClient) bool { return old.rides && !fresh.rides && fresh.dg == nil }

// MoveTo tries to reach the peer of a relayed connection at a direct address. If it answers, the pair moves to that
// connection: PeerDisconnect is called for this PeerClient, PeerConnect for the new one, no message is lost or overtaken,
// requests that are open get their replies, and this PeerClient passes on what it is told to send. A peer with an open
// Stream or a Gate stays: ErrBusy, here or at the other end.
//
// then is called exactly once, on one of the loops, with the connection that the pair has now. If MoveTo fails itself, then
// is not called. Any goroutine.
func (p *PeerClient) MoveTo(addr transport.Addr, then func(*PeerClient, error)) error {
	if addr.Proto == transport.Relay || !p.rides {
		return fmt.Errorf("engine: move %v to %v: not from relayed to direct", p.id.Short(), addr)
	}
	answer := func(have *PeerClient, err error) {
		l := p.loop
		l.post(func() { l.guard(p.net.callbacks, func() { then(have, err) }) })
	}
	posted := p.loop.post(func() {
		switch {
		case p.state() != stateOpen:
			answer(nil, p.closeError())
		case !p.movable():
			answer(p, ErrBusy)
		default:
			if _, _, err := p.net.dials.join(Target{Addr: addr, ID: p.id}, toReplace, p.net.cfg.DialTimeout, answer); err != nil {
				answer(nil, err)
			}
		}
	})
	if !posted {
		return ErrClosed
	}
	return nil
}

// movable reports whether nothing is bound to this very connection. On the loop.
func (p *PeerClient) movable() bool {
	return p.in == nil || p.in.gate == nil && p.in.stream == nil
}

// mayBind says why a gate or a stream cannot be bound to this connection: it has ended, or the pair is moving to another, over
// which what they are for would come. On the loop.
func (p *PeerClient) mayBind() error {
	switch {
	case p.state() != stateOpen:
		return p.closeError()
	case p.latest() != p:
		return ErrBusy
	}
	return nil
}

// handOver empties an open connection in favour of a better one, which waits for that. The way must be short: what is on it
// already, in the relay's queues and the carrier's, goes before the goodbye, and the one that waits cannot wait for long. So
// a Ping has to come back first. On the loop.
func (p *PeerClient) handOver(to *PeerClient) {
	if p.state() != stateOpen || !p.net.pairs.awaits(to) { // whatever ends p lets the next one in
		return
	}
	err := p.PingAsync(handoverProbe, func(_ time.Duration, err error) {
		switch {
		case p.state() != stateOpen || !p.net.pairs.awaits(to):
		case err != nil && to.dialled: // whom it leads to has let it in, and so has nothing else
			p.leave(&CloseError{Code: CodeReplaced, Text: "the other end has left it"})
		case err != nil || !p.movable() || !p.moveTo(to, true):
			to.loop.post(to.turnAway)
		default:
			p.Loop().After(handoverTimeout, func() {
				if p.state() != stateClosed {
					p.link.Close()
				}
			})
		}
	})
	if err != nil {
		to.loop.post(to.turnAway)
	}
}

// turnAway ends a connection that has waited for one that cannot be moved. On the loop.
func (p *PeerClient) turnAway() {
	switch p.state() {
	case stateHandshaking:
		p.refuse(ErrDuplicate)
	case stateConfirming:
		p.end(&Fault{Ours, Close, CodeDuplicate, ErrDuplicate})
	}
}

// follow: the other end has emptied this connection, and another of ours waits there. On the loop.
func (p *PeerClient) follow(to *PeerClient, why *CloseError) {
	p.moveTo(to, false)
	p.leave(&CloseError{Code: CodeReplaced, Text: why.Text})
	if p.parting != nil {
		p.loop.wheel.Set(&p.parting.timer, p.loop.now+handoverTimeout)
	}
}

// moveTo makes to the one that sends, from this moment on. With word it says goodbye behind what is queued. It does nothing
// and reports false if to has ended, or if with word much is queued. On the loop.
func (p *PeerClient) moveTo(to *PeerClient, word bool) bool {
	goodbye := appendGoodbye(nil, CodeReplaced, "moved to a direct connection")
	p.mu.Lock()
	o := p.outboundLocked()
	to.mu.Lock() // the younger connection's lock after the older one's
	if to.send.err != nil || word && (o.queued > handoverQueue || o.lanes[laneBulk].Append(p.net.bufs, opcode.DisconnectCode, 0, 0, goodbye) != nil) {
		to.mu.Unlock()
		p.mu.Unlock()
		return false
	}
	if word {
		o.queued += framing.FrameHeaderSize + len(goodbye)
	}
	p.send.err, p.send.open = &movedError{to}, false
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
	then := o.then
	o.then = nil
	to.send.open = true
	to.send.lastID = p.send.lastID
	watch := o.calls.open > 0
	if watch {
		to.outboundLocked().calls = o.calls
		o.calls = callTable{}
	}
	to.mu.Unlock()
	start := p.startLocked()
	p.mu.Unlock()
	p.postAll(then)
	if start {
		p.loop.schedule(p)
	}
	to.loop.post(func() {
		to.patience()
		if watch {
			to.watchCalls()
		}
	})
	return true
}

// patience gives a connection the time to wait until the one before it is empty. On the loop.
func (p *PeerClient) patience() {
	g := p.greet
	if g == nil {
		return
	}
	p.loop.wheel.Set(&g.timer, p.loop.now+handoverTimeout+p.net.cfg.HandshakeTimeout)
	if d := g.dial; d != nil {
		home := p.net.home()
		home.post(func() { home.wheel.Stop(&d.timer) })
	}
}

// passWaiters gives those who wait for messages to the connection that the pair has moved to. On the loop.
func (p *PeerClient) passWaiters(to *PeerClient) {
	if p.in != nil && len(p.in.waiters) > 0 {
		waiters := slices.Clone(p.in.waiters)
		p.in.waiters = nil
		to.loop.post(func() { to.adopt(waiters) })
	}
}

// adopt takes them. On the loop.
func (p *PeerClient) adopt(waiters []*waiter) {
	if s := p.state(); s == stateDraining || s == stateClosed {
		for _, w := range waiters {
			w.end(p.closeError())
		}
		return
	}
	in := p.inbound()
	in.waiters = append(in.waiters, waiters...)
}

// complete gives a call with a callback its outcome, on the loop that it was made on. On p's loop.
func (p *PeerClient) complete(c *call, f *framing.Frame, err error) {
	l := c.then.loop
	if l == p.loop {
		l.wheel.Stop(&c.then.timer)
		p.callBack(c, f, err)
		return
	}
	if f != nil {
		f = &framing.Frame{Op: f.Op, Flags: f.Flags, ID: f.ID, Payload: slices.Clone(f.Payload)}
	}
	l.post(func() {
		l.wheel.Stop(&c.then.timer)
		p.callBack(c, f, err)
	})
}

const (
	// handoverQueue is how much may be queued on a connection for its emptying to begin, and handoverProbe how long a round
	// trip over it may take: the next one waits at most HandshakeTimeout, 5 s, for the goodbye of this one.
	handoverQueue = 64 << 10
	handoverProbe = 1500 * time.Millisecond

	// handoverTimeout bounds the emptying: the other end's whole send buffer, 960 KiB, takes 15 s at 512 kbit/s.
	handoverTimeout = 15 * time.Second
)
