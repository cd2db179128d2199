package discovery

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
)

// seed sees to it that the node gets into the overlay: while the table is empty it dials the bootstrap nodes, and once
// there is somebody it has the core join. On the home loop.
func (c *Component) seed(now time.Duration) {
	if c.core.Len() > 0 {
		if !c.core.Joined() {
			c.core.Bootstrap(now, nil) // others have found us
		}
		c.seedAfter = seedFirst
		c.seedAt = now + seedLast
		if !c.core.Joined() {
			c.seedAt = now + seedFirst
		}
		return
	}
	for _, s := range c.cfg.Bootstrap {
		if t, err := engine.ParseTarget(s); err == nil {
			c.dialSeed(t)
		} else {
			c.resolves.Add(1)
			go c.resolve(s)
		}
	}
	c.seedAt = now + c.seedAfter
	c.seedAfter = min(2*c.seedAfter, seedLast)
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
	for _, ip := range ips {
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
	err := c.net.DialAsync(t, func(p *engine.PeerClient, err error) {
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

// guardTag marks the members of the table for the ConnMgr.
const guardTag = "overlay"

// sweep closes connections that were dialled for the overlay and have been idle for long, longest first, and protects
// those of the table's members. On the home loop.
func (c *Component) sweep(now time.Duration) {
	c.sweepAt = now + sweepEvery
	c.guard()
	var idle []*session
	for _, s := range c.sessions {
		if s.ours && now-s.usedAt >= c.cfg.Idle {
			idle = append(idle, s)
		}
	}
	slices.SortFunc(idle, func(a, b *session) int {
		return cmp.Or(cmp.Compare(a.usedAt, b.usedAt), a.contact.ID.Compare(b.contact.ID))
	})
	spare := c.ours - c.cfg.Connections
	for _, s := range idle {
		if id := s.peer.ID(); (!c.guarded[id] || spare > 0) && c.letGo(id) {
			spare--
			c.counts.Closed++
			s.peer.Disconnect(engine.CodeNone, "")
		}
	}
}

// letGo takes our protection from a peer, and reports whether that was the last.
func (c *Component) letGo(id identity.ID) bool {
	if c.guarded[id] {
		delete(c.guarded, id)
		c.net.ConnMgr().Unprotect(id, guardTag)
	}
	return !c.net.ConnMgr().Protected(id)
}

// guard protects the members of the table, and no others.
func (c *Component) guard() {
	v := c.core.View()
	now := make(map[identity.ID]bool, v.Len())
	for prefix := range v.Buckets() {
		for _, d := range v.Sharing(prefix) {
			now[d.ID.Identity()] = true
		}
	}
	for id := range c.guarded {
		if !now[id] {
			c.net.ConnMgr().Unprotect(id, guardTag)
		}
	}
	for id := range now {
		if !c.guarded[id] {
			c.net.ConnMgr().Protect(id, guardTag)
		}
	}
	c.guarded = now
}
