package discovery

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/skad"
)

// seed sees to it that the node gets into the overlay: while the table is empty it dials the bootstrap nodes, and once
// there is somebody it has the core join. On the home loop.
func (c *Component) seed(now time.Duration) {
	if c.core.Len() > 0 && c.core.Joined() {
		c.seedAt, c.seedAfter = now+seedLast, seedFirst
		return
	}
	c.seedAt = now + c.seedAfter
	c.seedAfter = min(2*c.seedAfter, seedLast)
	if c.core.Len() > 0 { // others have found us
		if !c.found { // from here on the core tries by itself, ever more rarely
			c.found = true
			c.core.Bootstrap(now, nil)
		}
		return
	}
	c.found = false
	clear(c.seeds) // who was reached and has gone before its session was told
	for _, s := range c.cfg.Bootstrap {
		if t, err := engine.ParseTarget(s); err == nil {
			c.dialSeed(t)
		} else {
			c.resolves.Add(1)
			go c.resolve(s)
		}
	}
}

// warnOfScope says which bootstrap nodes are not on the Internet: such a node is dialled, and answers, but its address does
// not count, nor do those of its neighbours, so nobody gets into a table.
func (c *Component) warnOfScope() {
	for _, s := range c.cfg.Bootstrap {
		t, err := engine.ParseTarget(s)
		if at := t.Addr.Addr(); err == nil && skad.Private.Dialable(at) && !c.cfg.Overlay.Scope.Dialable(at) {
			c.cfg.Logger.Warn("bootstrap address that does not count on the Internet: on one machine or in one LAN Scope has to be skad.Private", "address", s)
		}
	}
}

// resolve asks for the addresses of a name, on a goroutine of its own that ends with the answer, and dials them.
func (c *Component) resolve(s string) {
	defer c.resolves.Done()
	ctx, cancel := context.WithTimeout(c.stopped, resolveTimeout)
	defer cancel()
	scheme, rest, _ := strings.Cut(s, "://")
	name, hostport, named := strings.Cut(rest, "@")
	if !named {
		hostport = rest
	}
	host, port, err := net.SplitHostPort(hostport)
	var ips []netip.Addr
	if err == nil {
		ips, err = net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	}
	if err != nil {
		c.cfg.Logger.Warn("bootstrap address", "address", s, "err", err)
		return
	}
	for _, ip := range ips[:min(len(ips), resolvedLimit)] {
		target := scheme + "://" + net.JoinHostPort(ip.Unmap().String(), port)
		if named {
			target = scheme + "://" + name + "@" + net.JoinHostPort(ip.Unmap().String(), port)
		}
		if t, err := engine.ParseTarget(target); err == nil {
			c.dialSeed(t)
		}
	}
}

// dialSeed dials a bootstrap node. Any goroutine.
func (c *Component) dialSeed(t engine.Target) {
	err := c.net.DialSpareAsync(t, func(p *engine.PeerClient, err error) {
		if err != nil {
			c.cfg.Logger.Info("bootstrap node not reached", "target", t, "err", err)
			return
		}
		c.tell(item{kind: seeded, seed: skad.IDOf(p.ID())})
	})
	if err != nil {
		c.cfg.Logger.Info("bootstrap node not dialled", "target", t, "err", err)
	}
}

// seeded has the core join through a bootstrap node that is connected. If its session has not been told yet, connected
// comes back here.
func (c *Component) seeded(now time.Duration, id skad.ID) {
	s := c.sessions[id]
	if s == nil {
		c.seeds[id] = true
		return
	}
	delete(c.seeds, id)
	c.core.Bootstrap(now, []*skad.Contact{s.contact})
}

// settle looks at the neighbourhood of a node that has joined a moment ago.
func (c *Component) settle(now time.Duration) {
	c.settleAt = skad.Never
	if c.settled++; c.settled < len(settleAfter) {
		c.settleAt = now + settleAfter[c.settled]
	}
	_ = c.core.LookAround(now) // the next one, or the refresh, does it if there are too many lookups
}
