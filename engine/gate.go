package engine

import (
	"context"
	"sync"
	"time"

	"github.com/carrier-p2p/carrier/engine/internal/timer"
	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/opcode"
)

// Receive-then-lock: a point at which two peers agree on where in the stream of messages something changes.
//
//	frames:   m1   m2   [op]   m4   Ping   m5
//	          │    │     │     │     │     │
//	          ▼    ▼     ▼     └─────│─────┴── held back, undecoded, within the peer's credit
//	      components   gate.Receive  ▼              gate.Unlock ──▶ m4, m5 go on, in order
//	                               engine
//
// No message of this peer is delivered between the two; other peers of the loop go on. No goroutine waits for it. What costs
// no credit is no message: it keeps the connection itself going, is bound to no place among messages by the sender either
// (the control lane goes first), and is handled at once. Goodbye alone has its place: behind all.

// A Gate holds a peer's messages back behind one message; see LockOnReceive. Its methods may be called from any goroutine;
// on a loop, where nothing may wait, Receive returns ErrOnLoop.
type Gate struct {
	peer  *PeerClient
	ops   []opcode.Opcode
	inbox *inbox
	once  sync.Once

	// Owned by the loop.
	locked bool
	timer  timer.Timer
}

// LockOnReceive sets a gate: the next message of one of these opcodes is handed to Gate.Receive, to nobody else, and from
// then on no message of this peer is delivered until Gate.Unlock. It returns when the gate stands, so that what the peer
// sends in answer to what is sent after it cannot slip through. A peer has one gate at a time: ErrBusy;
// it has none while the pair moves to another connection (MoveTo).
//
// All messages of the peer wait behind a locked gate, replies included: what is asked between Receive and Unlock is answered
// after Unlock. Pings, keepalives and credit do not wait, so both ends know each other alive, and may send as ever.
//
// A gate that is locked for longer than Config.GateTimeout disconnects the peer with ErrGateTimeout. The end of the
// connection ends the gate, and what was held back is dropped.
func (p *PeerClient) LockOnReceive(ctx context.Context, ops ...opcode.Opcode) (*Gate, error) {
	if p.net.onLoop() {
		return nil, ErrOnLoop
	}
	if len(ops) == 0 {
		return nil, errNoOpcode
	}
	g := &Gate{peer: p, ops: ops, inbox: newInbox()}
	g.timer.Fire = func(time.Duration) {
		p.end(&Fault{Ours, Close, CodeTimeout, ErrGateTimeout})
	}
	set := make(chan error, 1)
	if !p.loop.post(func() { set <- p.setGate(g) }) {
		return nil, ErrClosed
	}
	select {
	case err := <-set:
		if err != nil {
			return nil, err
		}
		return g, nil
	case <-p.loop.over:
		return nil, ErrClosed
	case <-ctx.Done():
		g.Unlock()
		return nil, &failure{"gate", gaveUp(ctx, ErrReceiveTimeout)}
	}
}

func (p *PeerClient) setGate(g *Gate) error {
	if err := p.mayBind(); err != nil {
		return err
	}
	in := p.inbound()
	if in.gate != nil {
		return ErrBusy
	}
	in.gate = g
	return nil
}

// Receive waits for the gate's message until ctx ends, or for Config.RequestTimeout if ctx has no deadline.
func (g *Gate) Receive(ctx context.Context) (*Message, error) {
	if g.peer.net.onLoop() {
		return nil, ErrOnLoop
	}
	return g.inbox.wait(ctx, g.peer.loop.over, g.peer.net.cfg.RequestTimeout)
}

// Unlock lets the peer's messages go on, in their order, and takes the gate away, whether its message has come or not. It
// may be called more than once, and on a loop.
func (g *Gate) Unlock() {
	g.once.Do(func() { g.peer.loop.post(g.open) })
}

// lock takes the gate's message. On the loop.
func (g *Gate) lock(m *Message) {
	l := g.peer.loop
	g.locked = true
	l.wheel.Set(&g.timer, l.now+g.peer.net.cfg.GateTimeout)
	g.inbox.put(m)
}

// open ends the gate. On the loop.
func (g *Gate) open() {
	p := g.peer
	p.loop.wheel.Stop(&g.timer)
	g.locked = false
	g.inbox.fail(ErrClosed)
	if p.in == nil || p.in.gate != g {
		return
	}
	p.in.gate = nil
	p.resume()
}

// ended: the connection has. On the loop.
func (g *Gate) ended(err error) {
	g.peer.loop.wheel.Stop(&g.timer)
	g.locked = false
	g.inbox.fail(err)
}

// overtake takes frames behind a locked gate: those that keep the connection going are handled, one at a time, the others
// held back. It returns what is left.
func (p *PeerClient) overtake(plain []byte) (rest []byte) {
	defer p.caught()
	f := &p.loop.frame
	for at := 0; at < len(plain); {
		n, err := f.Next(plain[at:])
		if err != nil {
			p.end(&Fault{Peers, Close, CodeProtocol, err})
			return nil
		}
		if !overtakes(f.Op) {
			at += n
			continue
		}
		rest = plain[at+n:]
		p.holdFrames(plain[:at])
		if p.reads() {
			err = p.deliver(f, n)
		}
		if err != nil {
			p.end(err)
			return nil
		}
		return rest
	}
	p.holdFrames(plain)
	return nil
}

// overtakes reports whether frames of op do not wait behind a gate.
func overtakes(op opcode.Opcode) bool {
	return !credited(op) && op != opcode.DisconnectCode && op != opcode.ErrorCode
}

// holdBack keeps bytes of a peer that waits to be open, unopened. It cannot make this grow past its credit, and what the
// records around it weigh: then it is the peer's fault.
func (p *PeerClient) holdBack(b []byte) {
	if held, ok := p.hold(p.in.sealed, b, 2*int(p.receipt.window)+overdraft); ok {
		p.in.sealed = held
	}
}

// holdFrames keeps frames: messages, which the peer has credit for, and a goodbye. Over datagrams no credit binds it, and what
// is too much has been dropped, goodbyes aside: see affordable.
func (p *PeerClient) holdFrames(plain []byte) {
	if len(plain) == 0 {
		return
	}
	limit := p.net.cfg.ReceiveWindow
	if p.dg == nil {
		limit = int(p.receipt.granted - p.receipt.received) // below 0 after an overdraft
	}
	limit += overdraft + goodbyeRoom
	if held, ok := p.hold(p.in.plain, plain, limit); ok {
		p.in.plain = held
	}
}

// hold appends b to what is held of the peer; ok is false when that has ended the connection.
func (p *PeerClient) hold(held, b []byte, limit int) (all []byte, ok bool) {
	if len(held)+len(b) > limit {
		p.end(&Fault{Peers, Close, CodeLimit, &LimitError{"bytes behind a gate", limit}})
		return nil, false
	}
	all, err := p.net.bufs.Grow(held, len(b))
	if err != nil {
		p.end(&Fault{Ours, Close, CodeLimit, err})
		return nil, false
	}
	return append(all, b...), true
}

// resume delivers what was held back. It may meet the next gate on the way.
func (p *PeerClient) resume() {
	in := p.in
	if in == nil || in.gated() {
		return
	}
	plain, sealed := in.plain, in.sealed
	in.plain, in.sealed = nil, nil
	if len(plain) > 0 {
		p.frames(plain)
	}
	if len(sealed) > 0 && p.reads() {
		p.receive(sealed)
	} else {
		p.grant()
	}
	p.net.bufs.Put(plain)
	p.net.bufs.Put(sealed)
}

// lastWord is the goodbye among the frames that are held back, or nil: the reason of a connection that has ended behind a gate.
func (in *inbound) lastWord() *CloseError {
	if in == nil {
		return nil
	}
	var f framing.Frame
	for rest := in.plain; len(rest) > 0; {
		n, err := f.Next(rest)
		if err != nil {
			break
		}
		if f.Op == opcode.DisconnectCode || f.Op == opcode.ErrorCode {
			return goodbye(f.Payload)
		}
		rest = rest[n:]
	}
	return nil
}

func (p *PeerClient) dropHeld(in *inbound) {
	p.net.bufs.Put(in.plain)
	p.net.bufs.Put(in.sealed)
	in.plain, in.sealed = nil, nil
}
