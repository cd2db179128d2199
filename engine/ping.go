package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/opcode"
)

// Ping asks the peer for a sign of life and returns the round trip, which also goes into RTT. The answer comes from the
// peer's engine, ahead of anything queued. It waits like Request does.
func (p *PeerClient) Ping(ctx context.Context) (time.Duration, error) {
	start := p.loop.clock()
	if _, _, err := p.request(ctx, opcode.PingCode, nil, nil); err != nil {
		return 0, err
	}
	rtt := p.loop.clock() - start
	p.ObserveRTT(rtt)
	return rtt, nil
}

// PingAsync is Ping with a callback on the peer's loop. It never waits.
func (p *PeerClient) PingAsync(timeout time.Duration, then func(rtt time.Duration, err error)) error {
	start := p.loop.clock()
	return p.requestAsync(opcode.PingCode, nil, timeout, func(_ *ComponentContext, err error) {
		rtt := p.loop.clock() - start
		if err == nil {
			p.ObserveRTT(rtt)
		}
		then(rtt, err)
	})
}

// TryPing sends a Ping that nobody waits for: its Pong, with the same payload, goes to the components that name PongCode
// among their opcodes. At most 64 bytes, which are copied. It never waits and does not allocate.
func (p *PeerClient) TryPing(payload []byte) error {
	if facts, _ := opcode.FactsOf(opcode.PingCode); len(payload) > facts.PayloadLimit {
		return fmt.Errorf("%w: a Ping of %d bytes, at most %d", ErrMessageTooLarge, len(payload), facts.PayloadLimit)
	}
	return p.trySend(laneControl, opcode.PingCode, 0, 0, payload)
}

// pinged answers a Ping, exactly once, with what was in it.
func (p *PeerClient) pinged(f *framing.Frame) error {
	err := p.trySend(laneControl, opcode.PongCode, framing.FlagReply, f.ID, f.Payload)
	if err != nil {
		return &Fault{Ours, Close, CodeLimit, err}
	}
	return nil
}

// ponged hands a Pong to the call it answers or, if its Ping had no id (TryPing), to components.
func (p *PeerClient) ponged(f *framing.Frame) error {
	r := p.loop.table.row(opcode.PongCode)
	if f.ID != 0 || r == nil || len(r.receivers) == 0 {
		p.answered(f)
		return nil
	}
	p.loop.held = 0
	return p.dispatch(r, f)
}

// probe finds out whether an open connection still lives: the peer has just tried to make another one. On the loop.
func (p *PeerClient) probe() {
	if p.probing || p.state() != stateOpen {
		return
	}
	p.probeAgain(p.loop.now, p.net.cfg.ProbeTimeout)
}

// probeAgain asks, and once more where the answer may have come in a time in which this loop could not hear
// it: that is not counted. Whatever the peer says is a sign of life.
func (p *PeerClient) probeAgain(began, timeout time.Duration) {
	err := p.PingAsync(timeout, func(_ time.Duration, err error) {
		p.probing = false
		if err == nil || p.state() != stateOpen || time.Duration(p.heardAt.Load()) > began {
			return
		}
		if left := p.loop.left(began, p.net.cfg.ProbeTimeout); left > 0 {
			p.probeAgain(began, left)
			return
		}
		p.end(&Fault{Path, Close, CodeTimeout, ErrReceiveTimeout})
	})
	p.probing = err == nil
}
