package metric

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/opcode"
)

// A Throughput is how fast bytes got to a peer.
type Throughput struct {
	Bytes  int
	Took   time.Duration // from the first byte that was sent to the last answer
	RTT    time.Duration // the least round trip of a request meanwhile
	Second float64       // bytes a second: Bytes by Took, of which one round trip is no transport
}

// Measure sends so many bytes to a peer, MeasureLimit at most, and tells how fast they got there: what is left beside other
// traffic, and never more than 896 KiB for each round trip. It waits until ctx ends. Not on a loop: engine.ErrOnLoop.
func (c *Component) Measure(ctx context.Context, p *engine.PeerClient, bytes int) (Throughput, error) {
	if p.Network().OnLoop() {
		return Throughput{}, engine.ErrOnLoop
	}
	if bytes <= 0 || bytes > MeasureLimit {
		return Throughput{}, fmt.Errorf("metric: measuring with %d bytes, want 1 to %d", bytes, MeasureLimit)
	}
	m := &measurement{owner: c, peer: p, left: bytes, done: make(chan error, 1), total: bytes}
	if !p.Loop().Post(m.begin) {
		return Throughput{}, engine.ErrClosed
	}
	select {
	case err := <-m.done:
		return m.result(), err
	case <-ctx.Done():
		p.Loop().Post(func() { m.end(context.Cause(ctx)) })
		return Throughput{}, fmt.Errorf("metric: %w", context.Cause(ctx))
	}
}

// A measurement belongs to the peer's loop until done is sent.
type measurement struct {
	owner   *Component
	peer    *engine.PeerClient
	total   int
	left    int // bytes not sent yet
	ahead   int // requests under way
	over    bool
	beganAt time.Duration
	endedAt time.Duration
	least   time.Duration
	chunk   [measureChunk]byte
	done    chan error
}

func (m *measurement) begin() {
	m.beganAt = m.peer.Loop().Now()
	m.more()
}

// more sends as much as may be under way.
func (m *measurement) more() {
	for m.left > 0 && m.ahead < measureAhead && !m.over {
		size, began := min(m.left, measureChunk), m.peer.Loop().Now()
		err := m.peer.RequestRawAsync(opcode.MetricRequestCode, m.chunk[:size], 0, func(ctx *engine.ComponentContext, err error) {
			if err == nil {
				err = answer(ctx.Payload(), size)
			}
			m.answered(began, err)
		})
		if errors.Is(err, engine.ErrSendBufferFull) && m.ahead > 0 {
			return // the next answer goes on
		}
		if err != nil {
			m.end(err)
			return
		}
		m.left -= size
		m.ahead++
	}
}

func (m *measurement) answered(began time.Duration, err error) {
	m.ahead--
	now := m.peer.Loop().Now()
	if took := now - began; m.least == 0 || took < m.least {
		m.least = took
	}
	switch {
	case err != nil:
		m.end(err)
	case m.left == 0 && m.ahead == 0:
		m.endedAt = now
		m.end(nil)
	default:
		m.more()
	}
}

// end tells the outcome, the first time.
func (m *measurement) end(err error) {
	if !m.over {
		m.over = true
		m.done <- err
	}
}

func (m *measurement) result() Throughput {
	t := Throughput{Bytes: m.total, Took: m.endedAt - m.beganAt, RTT: m.least}
	rtt := t.RTT
	if known := m.peer.RTT(); known > 0 {
		rtt = min(rtt, known)
	}
	if t.RTT = rtt; t.Took <= 0 {
		return t
	}
	way := t.Took - rtt
	if way < t.Took/10 { // one round trip was nearly all of it
		way = t.Took
	}
	t.Second = float64(t.Bytes) / way.Seconds()
	return t
}
