package proxy

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// Errors of dials through relays, besides *RefusedError.
var (
	ErrNotAdded = errors.New("proxy: the component has not been added to the network, or that does not run")
	ErrListen   = errors.New("proxy: a relay's address is not listened on: name the relay in Config.Relays")
)

// links is the transport: every link of this node that goes through a relay. It has no loop of its own; a link lives on the
// loop of the peer that carries it.
type links struct {
	c     *Component
	sink  transport.Sink // fixed by Start
	ready atomic.Bool    // Startup has been called

	scratch sync.Pool // *[]byte, for one message

	mu      sync.RWMutex
	open    map[circuitName]*link
	stopped bool
}

// A circuitName is a circuit at this end: numbers are each relay's own.
type circuitName struct {
	carrier *engine.PeerClient
	number  uint32
}

var (
	_ transport.Transport  = (*links)(nil)
	_ transport.PeerDialer = (*links)(nil)
)

func (s *links) init(c *Component) {
	s.c, s.open = c, map[circuitName]*link{}
	s.scratch.New = func() any { b := make([]byte, 0, dataHeaderSize+dataLimit); return &b }
}

// Start implements transport.Transport.
func (s *links) Start(sink transport.Sink, listen []transport.Addr) ([]transport.Addr, error) {
	if len(listen) > 0 {
		return nil, fmt.Errorf("%w: %v", ErrListen, listen[0])
	}
	s.sink = sink
	return nil, nil
}

// Protos implements transport.Transport.
func (s *links) Protos() []transport.Proto { return []transport.Proto{transport.Relay} }

// Loops implements transport.Transport: none, the links ride on others'.
func (s *links) Loops() []transport.Loop { return nil }

// Dial implements transport.Transport. Whom the address leads to is missing; the engine calls DialPeer.
func (s *links) Dial(_ context.Context, _ transport.Addr, tag any) {
	go s.sink.DialFailed(tag, engine.ErrNeedsID)
}

// Stop implements transport.Transport. The loops run still.
func (s *links) Stop() error {
	s.mu.Lock()
	s.stopped = true
	var open []*link
	for _, l := range s.open {
		open = append(open, l)
	}
	s.mu.Unlock()
	if !s.ready.Load() {
		return nil
	}
	for _, l := range open {
		l.end(transport.ErrClosed)
	}
	var done sync.WaitGroup
	for _, loop := range s.c.net.Loops() {
		done.Add(1)
		if !loop.Post(done.Done) {
			done.Done()
		}
	}
	done.Wait()
	return nil
}

func (s *links) len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.open)
}

// DialPeer implements transport.PeerDialer: it connects to the relay, unless it is connected, and asks it for a circuit.
func (s *links) DialPeer(ctx context.Context, to transport.Addr, id [32]byte, tag any) {
	if !s.ready.Load() {
		go s.sink.DialFailed(tag, ErrNotAdded)
		return
	}
	home := s.c.net.HomeLoop()
	failed := func(err error) { home.Post(func() { s.sink.DialFailed(tag, err) }) }
	err := s.c.toRelay(to, func(relay *engine.PeerClient, err error) {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = s.ask(ctx, relay, identity.ID(id), tag, failed)
		}
		if err != nil {
			failed(err)
		}
	})
	if err != nil {
		failed(err)
	}
}

// toRelay gives then the peer at a relay's address, on a loop of the network.
func (c *Component) toRelay(at transport.Addr, then func(*engine.PeerClient, error)) error {
	// Also one that has come in: a relay may be this node's client in something else.
	for p := range c.net.ConnMgr().Peers() {
		if p.RemoteAddr().AddrPort == at.AddrPort && !p.Relayed() {
			p.Loop().Post(func() { then(p, nil) })
			return nil
		}
	}
	return c.net.DialAsync(engine.Target{Addr: transport.Addr{Proto: transport.TCP, AddrPort: at.AddrPort}}, then)
}

// ask asks a relay for a circuit.
func (s *links) ask(ctx context.Context, relay *engine.PeerClient, id identity.ID, tag any, failed func(error)) error {
	r := request{kind: kindConnect, id: id}
	return relay.RequestRawAsync(opcode.ProxyRequestCode, r.append(nil), askTimeout, func(answer *engine.ComponentContext, err error) {
		var a response
		if err == nil {
			a, err = parseResponse(answer.Payload())
		}
		switch {
		case err != nil:
		case a.reason != None:
			err = &RefusedError{a.reason}
		default:
			err = s.connect(ctx, relay, a, tag)
		}
		if err != nil {
			failed(err)
		}
	})
}

// connect makes the link of a circuit that has been granted. On the relay's loop.
func (s *links) connect(ctx context.Context, relay *engine.PeerClient, a response, tag any) error {
	l, err := s.add(relay, a.number, a.window)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		l.Close()
		return err
	}
	l.loop.Post(func() { l.start(tag) })
	return nil
}

// add makes a link.
func (s *links) add(carrier *engine.PeerClient, number, window uint32) (*link, error) {
	if window < windowLeast || window > windowMost {
		return nil, fmt.Errorf("%w: a window of %d bytes", ErrMessage, window)
	}
	l := newLink(s, carrier, number, uint64(window))
	s.mu.Lock()
	defer s.mu.Unlock()
	switch name := l.name(); {
	case s.stopped:
		return nil, transport.ErrClosed
	case s.open[name] != nil:
		return nil, fmt.Errorf("%w: a circuit that is there already", ErrMessage)
	case len(s.open) >= linkLimit:
		return nil, &engine.LimitError{Scope: "relayed links", Limit: linkLimit}
	default:
		s.open[name] = l
	}
	return l, nil
}

func (s *links) remove(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[l.name()] == l {
		delete(s.open, l.name())
	}
}

// invited: a relay says that somebody wants to talk. Who that is, the handshake will prove; what the relay says of it
// serves nothing. Only relays that this node has asked for a reservation are listened to.
func (s *links) invited(ctx *engine.ComponentContext, r request) {
	p := ctx.Client()
	if p.Relayed() || r.id == s.c.net.ID() || !s.c.keep.trusts(p) {
		s.c.count.refused.Add(1)
		reply(ctx, response{reason: Declined})
		return
	}
	l, err := s.add(p, r.number, r.window)
	if err != nil {
		s.c.count.refused.Add(1)
		reply(ctx, response{reason: Full})
		return
	}
	reply(ctx, response{})
	l.loop.Post(func() { l.start(nil) })
}

// down takes what comes through a relay. On the carrier's loop.
func (s *links) down(ctx *engine.ComponentContext, r request) {
	s.mu.RLock()
	l := s.open[circuitName{ctx.Client(), r.number}]
	s.mu.RUnlock()
	if l == nil {
		s.c.count.stray.Add(1)
		return
	}
	switch r.kind {
	case kindDown:
		l.receive(r.data)
	case kindRoom:
		l.allow(r.total)
	case kindEndDown:
		l.ended(r.reason)
	}
}

// carrierGone ends the links over a peer that has gone.
func (s *links) carrierGone(p *engine.PeerClient) {
	var over []*link
	s.mu.RLock()
	for name, l := range s.open {
		if name.carrier == p {
			over = append(over, l)
		}
	}
	s.mu.RUnlock()
	for _, l := range over {
		l.end(fmt.Errorf("proxy: the relay is gone: %w", p.CloseReason()))
	}
}
