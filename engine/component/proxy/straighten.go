package proxy

import (
	"net/netip"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
)

// straighten looks for a direct way to a peer that is connected through a relay: it tries the addresses in the peer's
// record, the first time after a moment, then less and less often as long as the connection is relayed. Both ends do; the one
// that has dialled begins. On the peer's loop.
func (c *Component) straighten(p *engine.PeerClient) {
	if c.cfg.KeepRelayed || !p.Relayed() {
		return
	}
	wait := directFirst
	if !p.Dialled() {
		wait *= 2
	}
	var shown []transport.Addr
	if rec, ok := p.Record(); ok {
		shown = rec.Addrs
	}
	c.directLater(p, shown, wait)
}

// directLater has the next round begin after a while.
func (c *Component) directLater(p *engine.PeerClient, shown []transport.Addr, wait time.Duration) {
	p.Loop().After(wait, func() {
		if c.over.Load() || !p.Connected() {
			return
		}
		if rec, ok := p.Record(); ok {
			shown = rec.Addrs // perhaps a newer one than in the handshake
		}
		c.direct(p, worthTrying(shown, p.RemoteAddr().Addr()), func() { c.directLater(p, shown, min(4*wait, directLast)) })
	})
}

// direct tries one address after the other.
func (c *Component) direct(p *engine.PeerClient, addrs []transport.Addr, none func()) {
	if len(addrs) == 0 {
		none()
		return
	}
	c.count.tried.Add(1)
	err := p.MoveTo(addrs[0], func(have *engine.PeerClient, err error) {
		switch {
		case err == nil && !have.Relayed():
			c.count.moved.Add(1)
		case p.Connected() && !c.over.Load():
			c.direct(p, addrs[1:], none)
		}
	})
	if err != nil { // no transport of ours, for instance
		p.Loop().Post(func() { c.direct(p, addrs[1:], none) })
	}
}

// worthTrying are the addresses, of those that a peer says are its own, at which it may be reached directly. They are
// claims: a few at a time are tried, and none on this very machine, unless that is where the relay is, too.
func worthTrying(claimed []transport.Addr, relay netip.Addr) []transport.Addr {
	var out []transport.Addr
	for _, a := range claimed {
		ip := a.Addr()
		switch {
		case a.Proto == transport.Relay, a.Proto == transport.UDP: // what is reliable does not move to what is not
		case !ip.IsValid(), a.Port() == 0, ip.IsUnspecified(), ip.IsMulticast(), ip.IsLinkLocalUnicast():
		case ip.IsLoopback() && !relay.IsLoopback():
		case len(out) < directLimit:
			out = append(out, a)
		}
	}
	return out
}
