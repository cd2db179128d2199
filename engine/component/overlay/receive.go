package overlay

import (
	"time"

	"github.com/carrier-p2p/carrier/skad"
)

// acted is called by discovery, on the home loop, with what its core says.
func (c *Component) acted(now time.Duration, a *skad.Action) {
	if c.net == nil || c.over {
		return
	}
	switch a.Kind {
	case skad.ActionRouted:
		if s := c.routes[a.Message.Route]; s != nil && s.kind == toClosest && a.To != nil {
			c.end(s, nil)
		}
	case skad.ActionDeliver:
		if !c.arrivals.put(a) {
			c.ledger.set(func(s *Stats) { s.Flooded++ })
			return
		}
		c.task.Wake()
	case skad.ActionRecord:
		c.recordTold(a.To)
	}
}

// arrived takes a message whose way ends here, as far as the core can tell.
//
//	well-formed? ── for us? ── or for somebody connected? ── origin's work and signature ── seen before? ──▶ Deliver ──▶ receipt
func (c *Component) arrived(m *skad.Message) {
	e, err := parse(m.Payload)
	if err != nil {
		c.ledger.set(func(s *Stats) { s.Malformed++ })
		return
	}
	var to *skad.Contact
	if e.kind != toClosest && m.Key != c.self {
		var ok bool
		if to, ok = c.cfg.Discovery.Connected(m.Key); !ok {
			c.ledger.set(func(s *Stats) { s.Undeliverable++ })
			return
		}
	}
	c.room = c.room[:0]
	if err := e.verify(c.net.Puzzle(), c.domain, m.Key, c.room); err != nil {
		c.ledger.set(func(s *Stats) { s.Forged++ })
		return
	}
	switch {
	case to != nil:
		c.handOver(m, to)
	case e.kind == receipt:
		if s := c.sends[e.number]; s != nil && s.kind == toNode && s.key == skad.IDOf(e.origin.ID()) {
			c.ledger.set(func(s *Stats) { s.Receipts++ })
			c.end(s, nil)
		}
	default:
		c.deliver(m, &e)
	}
}

// handOver gives a message to the connected node that it is for.
func (c *Component) handOver(m *skad.Message, to *skad.Contact) {
	err := c.cfg.Discovery.Do(func(now time.Duration, core *skad.Core) {
		if core.Hand(now, m, to) == nil {
			c.ledger.set(func(s *Stats) { s.Handed++ })
		}
	})
	if err != nil {
		c.ledger.set(func(s *Stats) { s.Undeliverable++ })
	}
}

// deliver gives a message to the application, the first time that it comes, and answers it if its origin waits for that.
func (c *Component) deliver(m *skad.Message, e *envelope) {
	if s := c.routes[m.Route]; s != nil && s.kind == toClosest && m.Origin == c.self { // nobody is closer than we are
		c.end(s, nil)
	}
	who := mark{skad.IDOf(e.origin.ID()), e.number}
	if c.seen.has(who) {
		c.ledger.set(func(s *Stats) { s.Duplicates++ })
	} else {
		if c.cfg.Deliver == nil || !c.cfg.Deliver(Message{
			Origin: e.origin.ID(), Key: e.origin, To: m.Key, Direct: e.kind == toNode, Number: e.number,
			Payload: e.payload,
		}) {
			c.ledger.set(func(s *Stats) { s.Refused++ })
			return
		}
		c.seen.add(who)
		c.ledger.set(func(s *Stats) { s.Delivered++ })
	}
	if e.kind == toNode {
		c.acknowledge(who)
	}
}

// acknowledge tells the origin of a message that it was delivered.
func (c *Component) acknowledge(of mark) {
	e := envelope{kind: receipt}
	c.seal(&e, of.number, of.origin)
	payload := e.append(nil)
	_ = c.cfg.Discovery.Do(func(now time.Duration, core *skad.Core) { // without room the origin asks again
		if d, ok := c.cfg.Discovery.Connected(of.origin); ok && core.Hand(now, &skad.Message{Key: of.origin, Payload: payload}, d) == nil {
			return
		}
		_, _ = core.Route(now, of.origin, payload, c.cfg.Copies)
	})
}
