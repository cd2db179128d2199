package proxy

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/opcode"
)

// A Config says what this node does with relays. The zero Config dials through them and nothing else.
type Config struct {
	// Relays are where the node keeps reservations, so that others can reach it, in the order of preference.
	Relays []engine.Target

	// Reservations is how many are kept at a time; 0 means 1. When one is lost the next of Relays takes its place.
	Reservations int

	// Serve makes the node a relay for others.
	Serve bool

	// Limits are what it grants; zero fields mean the defaults.
	Limits Limits

	// KeepRelayed leaves relayed connections as they are. Otherwise the node tries the direct addresses of a peer that it
	// is connected to through a relay, and moves the connection when one answers.
	KeepRelayed bool
}

// Limits are the quotas of a relay.
type Limits struct {
	Reservations    int           // ReservationsDefault
	Circuits        int           // CircuitsDefault
	CircuitsPerNode int           // to one reservation, and from one dialling node; CircuitsPerNodeDefault
	Window          int           // bytes, 4 KiB to 16 MiB; WindowDefault
	Memory          int64         // bytes; MemoryDefault
	Bytes           int64         // of one circuit; BytesDefault
	Rate            int           // bytes per second of one circuit, both directions together; 0: no bound
	Lifetime        time.Duration // of a reservation; LifetimeDefault
	Duration        time.Duration // of a circuit; DurationDefault
}

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		v   *int
		def int
	}{{&l.Reservations, ReservationsDefault}, {&l.Circuits, CircuitsDefault}, {&l.CircuitsPerNode, CircuitsPerNodeDefault}, {&l.Window, WindowDefault}} {
		if *f.v == 0 {
			*f.v = f.def
		}
	}
	for _, f := range []struct {
		v   *int64
		def int64
	}{{&l.Memory, MemoryDefault}, {&l.Bytes, BytesDefault}, {(*int64)(&l.Lifetime), int64(LifetimeDefault)}, {(*int64)(&l.Duration), int64(DurationDefault)}} {
		if *f.v == 0 {
			*f.v = f.def
		}
	}
	return l
}

// Validate reports every problem at once.
func (c *Config) Validate() error {
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf("proxy: "+format, args...)) }
	for _, r := range c.Relays {
		if !r.Addr.IsValid() || r.Addr.Port() == 0 || r.Addr.Proto == transport.Relay {
			bad("Relays: %v cannot be a relay's address", r)
		}
	}
	if c.Reservations < 0 {
		bad("Reservations is negative")
	}
	l := c.Limits.withDefaults()
	for name, v := range map[string]int64{"Reservations": int64(l.Reservations), "Circuits": int64(l.Circuits), "CircuitsPerNode": int64(l.CircuitsPerNode),
		"Memory": l.Memory, "Bytes": l.Bytes, "Rate": int64(l.Rate), "Lifetime": int64(l.Lifetime), "Duration": int64(l.Duration)} {
		if v < 0 {
			bad("Limits.%s is negative", name)
		}
	}
	if l.Window < windowLeast || l.Window > windowMost {
		bad("Limits.Window is %d: %d to %d", l.Window, windowLeast, windowMost)
	}
	return errors.Join(problems...)
}

// A Component is a node's business with relays: it serves as one, keeps reservations with others, and carries connections
// through them. One Network uses it, as a component and, through Transport, as a transport.
type Component struct {
	engine.Component
	cfg   Config
	net   *engine.Network // fixed by Startup
	serve relay
	keep  keeper
	links links
	count counters
	over  atomic.Bool // Cleanup has been called
}

var _ engine.Subscriber = (*Component)(nil)

// New makes a Component. It must be added to the Network whose MoreTransports its Transport is among.
func New(cfg Config) (*Component, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.Limits = cfg.Limits.withDefaults()
	c := &Component{cfg: cfg}
	c.serve.init(c)
	c.keep.init(c)
	c.links.init(c)
	return c, nil
}

// Transport is what carries connections through relays, for engine.Config.MoreTransports.
func (c *Component) Transport() transport.Transport { return &c.links }

// Opcodes are what the component answers.
func (c *Component) Opcodes() []opcode.Opcode {
	return []opcode.Opcode{opcode.ProxyRequestCode, opcode.ProxyResponseCode}
}

// Startup begins to serve and to ask for reservations.
func (c *Component) Startup(n *engine.Network) {
	c.net = n
	c.links.ready.Store(true)
	c.serve.startup()
	c.keep.startup()
}

// Cleanup ends both.
func (c *Component) Cleanup(*engine.Network) {
	c.over.Store(true)
	c.keep.cleanup()
	c.serve.cleanup()
}

// PeerConnect begins to look for a direct way to a peer that has come through a relay.
func (c *Component) PeerConnect(p *engine.PeerClient) { c.straighten(p) }

// PeerDisconnect ends what went over the peer's connection.
func (c *Component) PeerDisconnect(p *engine.PeerClient) {
	c.links.carrierGone(p)
	c.serve.peerGone(p)
	c.keep.peerGone(p)
}

// Receive takes one message. What cannot be is the peer's fault; what is late or unknown is dropped and counted.
func (c *Component) Receive(ctx *engine.ComponentContext) error {
	if ctx.Opcode() == opcode.ProxyResponseCode { // an answer to nothing: those to something go to whoever has asked
		c.count.stray.Add(1)
		return engine.ErrIntercepted
	}
	r, err := parseRequest(ctx.Payload())
	if err == nil && (r.kind <= kindInvite) != ctx.IsRequest() {
		err = fmt.Errorf("%w: kind %d waits for an answer or does not", ErrMessage, r.kind)
	}
	if err != nil {
		return &engine.Fault{Whose: engine.Peers, Fate: engine.Close, Code: engine.CodeProtocol, Err: err}
	}
	switch r.kind {
	case kindReserve:
		c.serve.reserve(ctx, r)
	case kindConnect:
		c.serve.connect(ctx, r)
	case kindUp, kindEndUp:
		c.serve.up(ctx, r)
	case kindInvite:
		c.links.invited(ctx, r)
	case kindDown, kindRoom, kindEndDown:
		c.links.down(ctx, r)
	}
	return engine.ErrIntercepted
}

// reply answers a request. If it cannot be sent, the asker's time-out tells it.
func reply(ctx *engine.ComponentContext, r response) {
	_ = ctx.ReplyRaw(opcode.ProxyResponseCode, r.append(make([]byte, 0, responseSize)))
}

// counters are behind Stats. Any goroutine.
type counters struct {
	stray, refused, granted, opened, ended, violations, bytes, tried, moved atomic.Int64
}

// Stats are what the component has done as a relay, and what it holds.
type Stats struct {
	Reservations int   // held here now
	Circuits     int   // through this node now
	Links        int   // of this node through relays now
	Waiting      int64 // bytes held for peers that do not read

	Granted    int64 // reservations, renewals included
	Refused    int64 // reservations and circuits
	Opened     int64 // circuits
	Ended      int64
	Violations int64 // circuits ended because an end sent more than there was room for
	Bytes      int64 // carried for others
	Stray      int64 // messages about circuits that are not there, and answers to nothing

	Tried int64 // direct addresses of relayed peers
	Moved int64 // of these, those that the connection has moved to
}

// Stats returns the counters. Any goroutine.
func (c *Component) Stats() Stats {
	s := Stats{
		Granted: c.count.granted.Load(), Refused: c.count.refused.Load(), Opened: c.count.opened.Load(), Ended: c.count.ended.Load(),
		Violations: c.count.violations.Load(), Bytes: c.count.bytes.Load(), Stray: c.count.stray.Load(), Waiting: c.serve.waiting.Load(),
		Tried: c.count.tried.Load(), Moved: c.count.moved.Load(),
	}
	s.Reservations, s.Circuits = c.serve.counts()
	s.Links = c.links.len()
	return s
}
