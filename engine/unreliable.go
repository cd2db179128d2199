package engine

import (
	"fmt"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/opcode"
)

// Path:   message -> [unreliable] -> one datagram -> transport -> datagram -> [unreliable] -> component.
// Bounds: one datagram; nothing is queued here. It costs no credit: whoever is late loses it.

// TrySendUnreliable sends a registered message that may get lost, come late or come twice, but holds nothing up: over a
// connection that carries datagrams beside its stream (QUIC) as one of those, over others as TrySend. It never waits and may
// be called on a loop. ErrMessageTooLarge says that the message is longer than UnreliableLimit.
func (p *PeerClient) TrySendUnreliable(msg any) error {
	return p.net.encode(msg, p.sendUnreliable)
}

// TrySendUnreliableRaw is TrySendUnreliable for a payload that is bytes already; they are copied.
func (p *PeerClient) TrySendUnreliableRaw(op opcode.Opcode, payload []byte) error {
	if err := p.net.maySend(op, len(payload)); err != nil {
		return err
	}
	return p.sendUnreliable(op, payload)
}

// UnreliableLimit is how long the payload of TrySendUnreliable may be at present: what a datagram of the path holds, or what
// its opcode allows where the connection has no datagrams, for which it is -1.
func (p *PeerClient) UnreliableLimit() int {
	if l, ok := p.link.(transport.UnreliableLink); ok {
		if n := l.UnreliableLimit(); n > 0 {
			return max(0, n-framing.FrameHeaderSize)
		}
	}
	return -1
}

func (p *PeerClient) sendUnreliable(op opcode.Opcode, payload []byte) error {
	limit := p.UnreliableLimit()
	if limit < 0 {
		return p.trySend(laneBulk, op, 0, 0, payload)
	}
	p.mu.Lock()
	open := p.send.open
	p.mu.Unlock()
	if !open {
		return p.closeError()
	}
	if len(payload) > limit {
		return fmt.Errorf("%w: %v of %d bytes, a datagram holds %d", ErrMessageTooLarge, op, len(payload), limit)
	}
	var small [1500]byte // what a path carries at most, nearly everywhere
	frame := append(small[:0], make([]byte, framing.FrameHeaderSize)...)
	framing.PutFrameHeader(frame, op, 0, 0, len(payload))
	return p.link.(transport.UnreliableLink).WriteUnreliable(append(frame, payload...))
}

// Unreliable implements transport.UnreliableSink.
func (s *sink) Unreliable(l transport.Link, b []byte) {
	p, _ := l.Owner().(*PeerClient)
	if p == nil {
		return
	}
	p.loop.enter()
	p.heardAt.Store(int64(p.loop.now))
	p.loop.received.bytes += len(b)
	if p.state() == stateOpen {
		p.receiveUnreliable(b)
	}
	p.loop.leave()
}

// receiveUnreliable delivers the frame of a datagram, whole, to the components. It takes no notice of those who wait for a
// message of the stream, and a gate lets it fall.
func (p *PeerClient) receiveUnreliable(b []byte) {
	defer p.caught()
	l := p.loop
	f := &l.frame
	n, err := f.Next(b)
	if err == nil && (n != len(b) || f.Flags != 0 || f.ID != 0 || !credited(f.Op)) {
		err = fmt.Errorf("engine: a datagram that is not one plain message: %v, flags %#x, %d of %d bytes", f.Op, f.Flags, n, len(b))
	}
	if err != nil {
		p.end(&Fault{Peers, Close, CodeProtocol, err})
		return
	}
	l.received.frames++
	r := l.table.find(f)
	switch {
	case p.in.gated():
		l.received.unhandled++
		return
	case r == nil:
		err = p.unknown(f.Op)
	case len(f.Payload) > r.limit:
		err = messageFault(f.Op, framing.ErrMessageTooLarge)
	case len(r.receivers) == 0:
		l.received.unhandled++
	case p.receipt.received-p.receipt.consumed > uint64(p.net.cfg.ReceiveWindow):
		l.received.dropped++
	default:
		l.received.messages++
		p.touch()
		l.held = n // what a component keeps of it counts as held until it is handled: see Offload
		p.receipt.consumed -= uint64(n)
		err = p.dispatch(r, f)
		p.consume(l.held)
		l.held = 0
	}
	if err != nil {
		p.end(err)
	}
}
