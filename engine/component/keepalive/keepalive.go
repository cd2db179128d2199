// Package keepalive keeps idle connections alive and finds the dead ones.
//
// A peer that has said nothing for a while is asked for a sign of life (Keepalive, 2), which it gives (KeepaliveResponse,
// 3); the round trip goes into PeerClient.RTT. A peer that stays silent is disconnected. Peers that talk are left alone:
// on a busy node the component sends nothing.
//
//	last bytes          Every                    Timeout
//	   │──────────────────┤ Keepalive ─▶ … again … ├─ disconnect (timeout)
//	                        ◀─ KeepaliveResponse: the clock starts anew
//
// The side that dialled asks first, and again a third later. From then on the two take turns, so that a pair of idle
// nodes exchanges one question and not two: the node that thousands have dialled answers, and sends nothing by itself.
//
// The engine looks at each peer every five seconds, so both times are kept to within that.
//
// The component keeps no state of its own for a peer, no timer and no goroutine: the engine knows when a peer was last
// heard, and the question carries the time at which it was asked.
package keepalive

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/opcode"
)

const (
	// EveryDefault is short enough for NAT mappings of TCP, which live minutes, and for a peer's death to be noticed in
	// three tries.
	EveryDefault = 15 * time.Second

	// look is how often the engine shows a silent peer.
	look = 5 * time.Second

	// TimeoutDefault is 45 s: four questions of the side that has dialled and two of the other one, without an answer.
	TimeoutDefault = engine.SilenceTimeoutDefault
)

// A Component is the keepalive of one Network. The zero value is ready and uses the defaults; it may not be changed once
// it has been added.
type Component struct {
	engine.Component

	Every   time.Duration // silence before a peer is asked; 0 means EveryDefault
	Timeout time.Duration // silence before it is disconnected, longer than Every; 0 means TimeoutDefault
}

// Validate reports every problem at once. Network.AddComponent asks it.
func (c *Component) Validate() error {
	var errs []error
	if c.Every < 0 {
		errs = append(errs, errors.New("keepalive: Every is negative"))
	}
	if c.Timeout < 0 {
		errs = append(errs, errors.New("keepalive: Timeout is negative"))
	}
	if every, timeout := c.SilentAfter(), c.timeout(); len(errs) == 0 && every >= timeout {
		errs = append(errs, fmt.Errorf("keepalive: Every is %v, and a peer is disconnected after %v: it would never be asked", every, timeout))
	}
	return errors.Join(errs...)
}

var (
	_ engine.Subscriber     = (*Component)(nil)
	_ engine.SilenceWatcher = (*Component)(nil)
)

// Opcodes are what the component answers.
func (c *Component) Opcodes() []opcode.Opcode {
	return []opcode.Opcode{opcode.KeepaliveCode, opcode.KeepaliveResponseCode}
}

// SilentAfter is when the engine calls PeerSilent.
func (c *Component) SilentAfter() time.Duration {
	if c.Every > 0 {
		return c.Every
	}
	return EveryDefault
}

func (c *Component) timeout() time.Duration {
	if c.Timeout > 0 {
		return c.Timeout
	}
	return TimeoutDefault
}

// PeerSilent asks a silent peer, or gives it up.
func (c *Component) PeerSilent(p *engine.PeerClient, silent time.Duration) {
	if silent >= c.timeout() {
		p.Disconnect(engine.CodeTimeout, "silent for too long")
		return
	}
	if !c.asks(p.Dialled(), silent, p.SilentFor()) {
		return
	}
	var asked [8]byte
	binary.LittleEndian.PutUint64(asked[:], uint64(p.Network().Now()))
	_ = p.TrySendRaw(opcode.KeepaliveCode, asked[:]) // no room: then the peer has enough to answer
}

// asks reports whether this side asks at a look of the engine's: at the first two the side that dialled, then
// the two in turn. Were both to ask at each, peers that a busy node is slow to answer would send it six times
// what they send when all is well, and it would not recover. For the same reason it is how long this node has
// listened that counts, silent, and not how long nothing has come, whole: while it is behind with reading the
// answer may be there, and a second question is for nothing.
func (c *Component) asks(dialled bool, silent, whole time.Duration) bool {
	step := max(c.SilentAfter()/3, look)
	n := (silent - c.SilentAfter()) / step
	if silent < c.SilentAfter() || n == 0 {
		return dialled && whole < c.SilentAfter()+step
	}
	return (n < 2 || n%2 == 1) == dialled
}

// Receive answers a question, and measures with the answer to its own.
func (c *Component) Receive(ctx *engine.ComponentContext) error {
	if ctx.Opcode() == opcode.KeepaliveCode {
		_ = ctx.Client().TrySendRaw(opcode.KeepaliveResponseCode, ctx.Payload())
		return engine.ErrIntercepted
	}
	if b := ctx.Payload(); len(b) == 8 {
		asked := time.Duration(binary.LittleEndian.Uint64(b))
		if now := ctx.Now(); asked > 0 && asked <= now { // the peer may have written anything
			ctx.Client().ObserveRTT(now - asked)
		}
	}
	return engine.ErrIntercepted
}
