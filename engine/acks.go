package engine

import (
	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/opcode"
)

// Messages that want to be acknowledged travel like any other, with a flag and a number of their sender's. The engine knows
// who answers for them (Acknowledger), and keeps the numbers apart from those of requests and fragments; what the numbers
// mean is component/ack's business.

const (
	ackID = fragmentID | 1<<30 // marks the ids of messages that want to be acknowledged

	// AckIDs is how many numbers messages that want to be acknowledged can have: 0 to AckIDs-1, then 0 again.
	AckIDs = 1 << 30
)

// TrySendAckable sends a message with the wants-ack flag and a number, below AckIDs. It is there for the component that
// acknowledges, and sends again; otherwise it is TrySendRaw.
func (p *PeerClient) TrySendAckable(op opcode.Opcode, id uint32, payload []byte) error {
	if err := p.net.maySend(op, len(payload)); err != nil {
		return err
	}
	return p.trySend(laneBulk, op, framing.FlagWantsAck, ackID|id, payload)
}

// ackable hands a message that wants to be acknowledged to whom it is for, and tells who answers for it how that went. On
// the loop.
func (p *PeerClient) ackable(f *framing.Frame, r *row) error {
	l, a := p.loop, p.loop.table.acks
	if a.slot == nil {
		l.received.unhandled++
		return nil
	}
	id := f.ID &^ ackID
	l.begin(a.slot)
	fresh, err := a.acknowledger.Arrived(p, id) // deliverAll catches its panic
	l.inside = false
	if err != nil {
		return p.refused(a.slot, f.Op, err)
	}
	if !fresh {
		return nil
	}
	l.refusal = nil
	switch {
	case p.in != nil && p.in.awaited(p, f):
	case len(r.receivers) == 0:
		l.received.unhandled++
		l.refusal = ErrNotRegistered
	default:
		if err := p.dispatch(r, f); err != nil {
			return err
		}
	}
	l.begin(a.slot)
	a.acknowledger.Taken(p, id, l.refusal)
	l.inside = false
	return nil
}
