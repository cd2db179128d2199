package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/carrier-p2p/carrier/engine/internal/worker"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// A sink is the face a Network shows one of its transports, and what it knows of it. The loops of all transports form one
// list; a transport's own numbers begin at first.
type sink struct {
	net    *Network
	under  transport.Transport
	serves []transport.Proto
	proves bool          // its links prove who is at their ends and seal: see linkedKey
	first  int           // fixed by Start, as is count
	count  int           // how many loops it has
	over   chan struct{} // closed when its loops have ended
	once   sync.Once     // closes over
}

func (s *sink) end() { s.once.Do(func() { close(s.over) }) }

// linkedKey is the key that the link has proven of its other end: nil if its transport does not prove keys. Nothing is
// believed of a link whose transport has not been given this node's key to prove, and nothing unproven is taken from one
// that has.
func (s *sink) linkedKey(l transport.Link) (*identity.PublicKey, error) {
	if !s.proves {
		return nil, nil
	}
	p, ok := l.(transport.ProvenLink)
	if !ok {
		return nil, errUnproven
	}
	key := identity.PublicKey(p.PeerKey())
	return &key, key.Check()
}

var errUnproven = errors.New("engine: a link that does not prove its other end, of a transport that does")

// transports lists what carries bytes: Transport, then MoreTransports.
func (c *Config) transports() []transport.Transport {
	return append([]transport.Transport{c.Transport}, c.MoreTransports...)
}

// checkTransports finds protocols that two transports serve, and addresses that none does.
func (c *Config) checkTransports(bad func(format string, args ...any)) {
	served := map[transport.Proto]bool{}
	for i, t := range c.transports() {
		if t == nil {
			if i > 0 {
				bad("MoreTransports[%d] is missing", i-1)
			}
			continue
		}
		for _, p := range t.Protos() {
			if served[p] {
				bad("%v is served by two transports", p)
			}
			served[p] = true
		}
	}
	for _, a := range c.Listen {
		if c.Transport != nil && a.IsValid() && !served[a.Proto] {
			bad("address %v: %w", a, c.unserved(a.Proto))
		}
	}
}

// unserved is the error for a protocol that no transport serves.
func (c *Config) unserved(p transport.Proto) error {
	var have []string
	for _, t := range c.transports() {
		if t == nil {
			continue
		}
		for _, q := range t.Protos() {
			have = append(have, q.String())
		}
	}
	return fmt.Errorf("%w: %v (there is %s)", ErrNoTransport, p, strings.Join(have, ", "))
}

// transportOf returns the transport that serves p.
func (n *Network) transportOf(p transport.Proto) (transport.Transport, error) {
	for _, s := range n.sinks {
		if slices.Contains(s.serves, p) {
			return s.under, nil
		}
	}
	return nil, n.cfg.unserved(p)
}

// startWorkers makes the workers that compute handshakes, unless a transport does their work.
func (n *Network) startWorkers() {
	for _, s := range n.sinks {
		if o, ok := s.under.(transport.Offloader); ok {
			n.workers = &workers{offload: o}
			return
		}
	}
	n.workers = &workers{own: worker.Start(n.cfg.HandshakeWorkers, n.cfg.HandshakeQueue)}
}

// startTransports starts all of them, each on the addresses it serves, or none. bound is in the order of Config.Listen.
func (n *Network) startTransports() (bound []transport.Addr, err error) {
	bound = make([]transport.Addr, len(n.cfg.Listen))
	for i, s := range n.sinks {
		var listen []transport.Addr
		var places []int
		for at, a := range n.cfg.Listen {
			if slices.Contains(s.serves, a.Proto) {
				listen, places = append(listen, a), append(places, at)
			}
		}
		if p, ok := s.under.(transport.Prover); ok {
			s.proves = true
			p.Prove(n.cfg.Identity.Signer())
		}
		if b, ok := s.under.(transport.Borrower); ok {
			b.Borrow(n.bufs)
		}
		got, err := s.under.Start(s, listen)
		if err != nil {
			for _, before := range n.sinks[:i] {
				err = errors.Join(err, before.under.Stop())
			}
			return nil, err
		}
		for j, at := range places {
			bound[at] = got[j]
		}
	}
	return bound, nil
}

// gatherLoops makes the engine's halves of all loops.
func (n *Network) gatherLoops() {
	for _, s := range n.sinks {
		s.first = len(n.loops)
		for _, port := range s.under.Loops() {
			n.loops = append(n.loops, newLoop(s, port))
			s.count++
		}
	}
}

// stopTransports ends what startTransports began.
func (n *Network) stopTransports() (err error) {
	for _, s := range slices.Backward(n.sinks) { // whose links ride on others' loops before those
		err = errors.Join(err, s.under.Stop())
		s.end()
	}
	return err
}

// loopOf is the engine's half of a link's loop. A transport without loops of its own has its links ride on others'.
func (s *sink) loopOf(l transport.Link) *loop {
	port := l.Loop()
	if s.count > 0 {
		return s.net.loops[s.first+port.Index()]
	}
	at := slices.IndexFunc(s.net.loops, func(have *loop) bool { return have.port == port })
	return s.net.loops[at]
}

func (s *sink) Opened(l transport.Link, tag any) {
	n := s.net
	d, _ := tag.(*dialing)
	if n.phase.Load() > phaseRunning {
		l.Close()
		return
	}
	if n.phase.Load() < phaseRunning || (d == nil && n.door.isShut()) {
		l.Close()
		return
	}
	lp := s.loopOf(l)
	lp.enter()
	defer lp.leave()
	p := &PeerClient{net: n, loop: lp, link: l, dialled: d != nil, rides: s.count == 0, index: -1}
	p.overDatagrams()
	p.heardAt.Store(int64(lp.now))
	linked, err := s.linkedKey(l)
	if err == nil {
		err = n.door.enter(l.Remote(), d != nil)
	}
	if err != nil {
		n.counts.refused.Add(1)
		n.events.publish(Event{Kind: PeerRefused, Addr: l.Remote(), Err: err})
		if d != nil {
			d.failed(err)
		}
		l.Close()
		return
	}
	p.greet = &greeting{dial: d, linked: linked, lossy: p.dg != nil, until: lp.now + n.cfg.HandshakeTimeout}
	p.greet.timer.Fire = func(time.Duration) { p.late() }
	lp.wheel.Set(&p.greet.timer, p.greet.until)
	l.SetOwner(p)
	if d != nil {
		d.connected(p)
	}
	if p.greet != nil && p.greet.speaks() { // else the dial has been given up in the meantime
		p.step(nil)
	}
}

func (s *sink) DialFailed(tag any, err error) {
	if d, ok := tag.(*dialing); ok {
		d.failed(err)
	}
}

func (s *sink) Bytes(l transport.Link, b []byte) {
	p, _ := l.Owner().(*PeerClient)
	if p == nil {
		return
	}
	p.loop.enter()
	p.loop.received.bytes += len(b)
	if p.dg == nil {
		p.heardAt.Store(int64(p.loop.now))
	}
	switch s := p.state(); {
	case p.dg != nil:
		p.datagram(b)
	case s == stateHandshaking:
		p.greeted(b)
	default:
		p.receive(b)
	}
	p.loop.leave()
}

func (s *sink) Writable(l transport.Link) {
	if p, _ := l.Owner().(*PeerClient); p != nil {
		p.loop.enter()
		p.writable()
		p.loop.leave()
	}
}

func (s *sink) Closed(l transport.Link, err error) {
	if p, _ := l.Owner().(*PeerClient); p != nil {
		p.loop.enter()
		p.gone(err)
		p.loop.leave()
	}
}

func (s *sink) Turn(lp transport.Loop) {
	n := s.net
	if n.phase.Load() != phaseNew && lp.Index() < s.count {
		n.loops[s.first+lp.Index()].turn()
	}
}

func (s *sink) Refused(remote transport.Addr, err error) {
	n := s.net
	n.counts.refused.Add(1)
	n.events.publish(Event{Kind: PeerRefused, Addr: remote, Err: err})
}

func (s *sink) Failed(err error) {
	n := s.net
	s.end()
	n.log.Error("transport failed", "serves", s.serves, "err", err)
	n.events.publish(Event{Kind: TransportFailed, Err: err})
}
