// Package metric measures peers: round trip, jitter, loss, throughput. It asks with MetricRequest (16) and answers with
// MetricResponse (17).
//
//	asker                                        asked
//	  MetricRequest, an engine request ─────────▶  at once:
//	  ◀─────────────────────────────── MetricResponse: how many bytes the request had
//
// What comes for nothing is always there: the bytes that went each way, the round trip that the keepalive measures. With
// Config.Every each peer is asked in turn, too, and the component keeps its round trips, their jitter (RFC 3550, 6.4.1: the
// mean deviation of one from the next, a sixteenth at a time) and how many questions were lost, which over TCP means
// answered too late. Measure finds out how fast bytes get to a peer.
//
// It is not a store of figures over time; engine/promexport shows them to a system that is.
//
// Without Every the component keeps nothing of a peer. With it, what it keeps belongs to the peer's loop, where one task
// visits a part of the peers at a time; there is no timer and no goroutine for a peer. What an answer says is the peer's
// word: the time is taken here, and an answer of the wrong size is counted as malformed and as lost.
package metric

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/opcode"
)

var (
	// ErrMalformed: an answer that does not say how many bytes the request had.
	ErrMalformed = errors.New("metric: malformed MetricResponse")

	// ErrNotAsked: a MetricRequest that is no request, or a MetricResponse to nothing. Dropped and counted.
	ErrNotAsked = errors.New("metric: not a request, or a response to none")
)

// A Config says what is measured. The zero value answers others and asks nobody.
type Config struct {
	Every   time.Duration // how often each peer is asked, EveryLeast or more; 0: never
	Timeout time.Duration // when a question counts as lost; TimeoutDefault
}

// Validate reports every problem at once.
func (c Config) Validate() error {
	var errs []error
	if c.Every < 0 || c.Every > 0 && c.Every < EveryLeast {
		errs = append(errs, fmt.Errorf("metric: Every is %v, want 0 or at least %v", c.Every, EveryLeast))
	}
	if c.Timeout < 0 {
		errs = append(errs, errors.New("metric: Timeout is negative"))
	}
	return errors.Join(errs...)
}

// A Component measures the peers of one Network.
type Component struct {
	engine.Component
	cfg    Config
	net    *engine.Network // fixed by Startup, as the next
	loops  []shelf         // by Loop.Index; each belongs to its loop
	counts struct{ asked, answered, lost, malformed, served atomic.Int64 }
}

var _ engine.Subscriber = (*Component)(nil)

// New makes the component. A Config that does not validate is an error.
func New(cfg Config) (*Component, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = TimeoutDefault
	}
	return &Component{cfg: cfg}, nil
}

// Opcodes are what the component answers.
func (c *Component) Opcodes() []opcode.Opcode {
	return []opcode.Opcode{opcode.MetricRequestCode, opcode.MetricResponseCode}
}

// Startup gives each loop its task, if peers are to be asked.
func (c *Component) Startup(n *engine.Network) {
	c.net = n
	loops := n.Loops()
	c.loops = make([]shelf, len(loops))
	for i, l := range loops {
		c.loops[i].loop = l
		if c.cfg.Every > 0 {
			c.loops[i].init(c)
		}
	}
}

// Cleanup asks nobody any more.
func (c *Component) Cleanup(*engine.Network) {
	for i := range c.loops {
		if s := &c.loops[i]; s.task != nil {
			s.loop.Post(s.task.Stop)
		}
	}
}

// Receive answers a request.
func (c *Component) Receive(ctx *engine.ComponentContext) error {
	if ctx.Opcode() != opcode.MetricRequestCode || !ctx.IsRequest() {
		return ErrNotAsked
	}
	c.counts.served.Add(1)
	if err := ctx.ReplyRaw(opcode.MetricResponseCode, binary.LittleEndian.AppendUint32(nil, uint32(len(ctx.Payload())))); err != nil {
		return err
	}
	return engine.ErrIntercepted
}

// answer reads a MetricResponse to a request of so many bytes.
func answer(b []byte, size int) error {
	if len(b) < 4 || binary.LittleEndian.Uint32(b) != uint32(size) {
		return ErrMalformed
	}
	return nil
}

// AskAsync measures one round trip; then is called on the peer's loop, exactly once. It never waits. If it fails itself,
// then is not called.
func (c *Component) AskAsync(p *engine.PeerClient, then func(time.Duration, error)) error {
	began := p.Loop().Now()
	err := p.RequestRawAsync(opcode.MetricRequestCode, nil, c.cfg.Timeout, func(ctx *engine.ComponentContext, err error) {
		took := p.Loop().Now() - began
		if err == nil {
			err = answer(ctx.Payload(), 0)
		}
		c.count(err)
		if err == nil {
			p.ObserveRTT(took)
		}
		then(took, err)
	})
	if err == nil {
		c.counts.asked.Add(1)
	}
	return err
}

func (c *Component) count(err error) {
	if err == nil {
		c.counts.answered.Add(1)
		return
	}
	c.counts.lost.Add(1)
	if errors.Is(err, ErrMalformed) {
		c.counts.malformed.Add(1)
	}
}

// Stats are counters since the component was made.
type Stats struct {
	Asked     int64 // questions
	Answered  int64
	Lost      int64 // not answered in time, or not rightly
	Malformed int64 // of these, not rightly
	Served    int64 // questions of others that were answered
}

// Stats returns the counters. Any goroutine.
func (c *Component) Stats() Stats {
	n := &c.counts
	return Stats{n.asked.Load(), n.answered.Load(), n.lost.Load(), n.malformed.Load(), n.served.Load()}
}

// A Peer is what is known of one connection.
type Peer struct {
	Client   *engine.PeerClient
	BytesIn  uint64 // of frames, since it opened
	BytesOut uint64
	RTT      time.Duration // smoothed; 0: not measured

	// With Config.Every, else 0.
	RTTLast, RTTMin, Jitter time.Duration
	Asked, Lost             int64
	RateIn, RateOut         float64 // bytes a second, between the last two questions
}

// Peers tells of the open peers, limit at most, in no order. It asks each loop and waits for it, until ctx ends. Any
// goroutine, but not on a loop: engine.ErrOnLoop.
func (c *Component) Peers(ctx context.Context, limit int) ([]Peer, error) {
	if c.net == nil {
		return nil, engine.ErrNotStarted
	}
	if c.net.OnLoop() {
		return nil, engine.ErrOnLoop
	}
	byLoop := make([][]*engine.PeerClient, len(c.loops))
	for p := range c.net.ConnMgr().Peers() {
		if limit--; limit < 0 {
			break
		}
		at := p.Loop().Index()
		byLoop[at] = append(byLoop[at], p)
	}
	parts := make(chan []Peer, len(byLoop))
	asked := 0
	for i, peers := range byLoop {
		if len(peers) > 0 && c.loops[i].loop.Post(func() { parts <- c.loops[i].tell(peers) }) {
			asked++
		}
	}
	var all []Peer
	for range asked {
		select {
		case part := <-parts:
			all = append(all, part...)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return slices.Clip(all), nil
}
