package engine

import (
	"context"
	"sync"
	"time"

	"github.com/carrier-p2p/carrier/engine/timer"
	"github.com/carrier-p2p/carrier/opcode"
)

// Receive-then-lock: a point at which two peers agree on where in the stream of messages something changes.
//
//	frames:   m1   m2   [op]   m4   m5
//	          │    │     │     └────┴── held back, undecoded, within the peer's credit
//	          ▼    ▼     ▼
//	      components   gate.Receive        gate.Unlock ──▶ m4, m5 go on, in order
//
// Nothing of this peer is delivered between the two; other peers of the loop go on. No goroutine waits for it.

// A Gate holds a peer's messages back behind one message; see LockOnReceive. Its methods may be called from any goroutine
// except a loop's.
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
// Everything of the peer waits behind a locked gate, its Credit, Pongs and replies included. So between Receive and Unlock send
// no more than the credit that is there (Config.ReceiveWindow of the other side, 1 MiB), and ask nothing: both would wait for
// Unlock. Two peers that hold each other back do no harm beyond that.
//
// A gate that is locked for longer than Config.GateTimeout disconnects the peer with ErrGateTimeout; the end of the
// connection ends the gate.
func (p *PeerClient) LockOnReceive(ctx context.Context, ops ...opcode.Opcode) (*Gate, error) {
	if p.net.onLoop() {
		return nil, ErrOnLoop
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
		return nil, context.Cause(ctx)
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

// holdBack keeps bytes that came behind a closed gate, undecoded. A peer cannot make this grow past its credit, and
// what the records around it weigh: then it is the peer's fault.
func (p *PeerClient) holdBack(b []byte) {
	in := p.in
	limit := 2*int(p.receipt.window) + overdraft
	if len(in.sealed)+len(b) > limit {
		p.end(&Fault{Peers, Close, CodeLimit, &LimitError{"bytes behind a gate", limit}})
		return
	}
	held, err := p.net.bufs.Grow(in.sealed, len(b))
	if err != nil {
		p.end(&Fault{Ours, Close, CodeLimit, err})
		return
	}
	in.sealed = append(held, b...)
}

// holdFrames keeps the rest of an opened record.
func (p *PeerClient) holdFrames(plain []byte) {
	held, err := p.net.bufs.Grow(p.in.plain, len(plain))
	if err != nil {
		p.end(&Fault{Ours, Close, CodeLimit, err})
		return
	}
	p.in.plain = append(held, plain...)
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

func (p *PeerClient) dropHeld(in *inbound) {
	p.net.bufs.Put(in.plain)
	p.net.bufs.Put(in.sealed)
	in.plain, in.sealed = nil, nil
}
