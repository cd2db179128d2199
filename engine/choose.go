package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/carrier-p2p/carrier/engine/internal/timer"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// Path: DialNode -> [choose] -> dial.go, once for each address that is tried. What decides is here; that the pair ends up
// with one connection is pairs.go's doing.
//
// A node lists several addresses, of several transports and families, and nobody knows which of them lead to it from here.
// They are tried one after the other, each when the one before has failed or has had connectionDelay, and the first that is
// open wins (RFC 8305, "happy eyeballs").

// A choice is one dial of a node at several addresses. All of it belongs to the home loop.
type choice struct {
	net  *Network
	id   identity.ID
	then func(*PeerClient, error)

	left    []transport.Addr // to be tried, best first
	tries   []*try
	running int
	failed  []error
	over    bool
	timer   timer.Timer // the next try
}

// A try is one address of a choice.
type try struct {
	at     transport.Addr
	dial   *dialing
	waiter *dialWaiter
	over   bool
}

// DialNode connects to a node at whichever of its addresses leads to it, as its record lists them (identity.Record.Addrs), or
// returns the peer if there is a connection already. Addresses of protocols that no transport here serves are passed over;
// ErrNoTransport says that none was left. What led to a node before is tried first, detours over other peers last. It waits
// until ctx ends. If no address works the error wraps those of all tries.
func (n *Network) DialNode(ctx context.Context, id identity.ID, addrs []transport.Addr) (*PeerClient, error) {
	if n.onLoop() {
		return nil, ErrOnLoop
	}
	type outcome struct {
		peer *PeerClient
		err  error
	}
	result := make(chan outcome, 1)
	c, err := n.choose(id, addrs, func(p *PeerClient, err error) { result <- outcome{p, err} })
	if err != nil {
		return nil, err
	}
	select {
	case r := <-result:
		return r.peer, r.err
	case <-n.home().over:
		return nil, ErrClosed
	case <-ctx.Done():
	}
	err = &failure{"dial " + id.Short(), gaveUp(ctx, ErrDialTimeout)}
	n.home().post(func() { c.end(nil, err) })
	return nil, err
}

// DialNodeAsync is DialNode with a callback, called exactly once on one of the loops. It never waits and may be called on a
// loop. If it fails itself, then is not called.
func (n *Network) DialNodeAsync(id identity.ID, addrs []transport.Addr, then func(*PeerClient, error)) error {
	_, err := n.choose(id, addrs, func(p *PeerClient, err error) {
		l := n.home()
		if p != nil {
			l = p.loop
		}
		l.post(func() { l.guard(n.callbacks, func() { then(p, err) }) })
	})
	return err
}

// choose begins. then is called on the home loop.
func (n *Network) choose(id identity.ID, addrs []transport.Addr, then func(*PeerClient, error)) (*choice, error) {
	switch {
	case !n.running():
		return nil, ErrNotStarted
	case id.IsZero():
		return nil, &failure{"dial a node", ErrNeedsID}
	case id == n.id:
		return nil, ErrSelfDial
	}
	c := &choice{net: n, id: id, then: then, left: n.inOrder(id, addrs)}
	_, known := n.connMgr.Peer(id)
	if len(c.left) == 0 && !known {
		return nil, &failure{fmt.Sprintf("dial %v at %v", id.Short(), addrs), ErrNoTransport}
	}
	c.timer.Fire = func(time.Duration) { c.next() }
	if !n.home().post(c.next) {
		return nil, ErrClosed
	}
	return c, nil
}

// inOrder returns the addresses that can be dialled from here, in the order in which to try them.
//
// What worked before comes first. Then one address of each kind (protocol and family) in turn, so that the second try is
// another way and not the same way again: kinds in the order of this node's transports, IPv6 before IPv4, and within a kind
// in the order of the node, which lists the best first. Detours come last.
func (n *Network) inOrder(id identity.ID, addrs []transport.Addr) []transport.Addr {
	type kind struct{ detour, transport, family int }
	type candidate struct {
		at   transport.Addr
		turn int // its place within its kind
		kind kind
	}
	var list []candidate
	turns := map[kind]int{}
	for _, a := range addrs[:min(len(addrs), identity.AddrLimit)] {
		place := slices.IndexFunc(n.sinks, func(s *sink) bool { return slices.Contains(s.serves, a.Proto) })
		if place < 0 || !a.IsValid() || a.Port() == 0 || slices.ContainsFunc(list, func(c candidate) bool { return c.at == a }) {
			continue
		}
		k := kind{transport: place}
		if _, ok := n.sinks[place].under.(transport.PeerDialer); ok {
			k.detour = 1
		}
		if a.Addr().Is4() {
			k.family = 1
		}
		list = append(list, candidate{a, turns[k], k})
		turns[k]++
	}
	worked, _ := n.worked.Get(id)
	slices.SortStableFunc(list, func(a, b candidate) int {
		if first := a.at == worked; first != (b.at == worked) {
			if first {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.kind.detour, b.kind.detour), cmp.Compare(a.turn, b.turn),
			cmp.Compare(a.kind.transport, b.kind.transport), cmp.Compare(a.kind.family, b.kind.family))
	})
	out := make([]transport.Addr, len(list))
	for i, c := range list {
		out[i] = c.at
	}
	return out
}

// next begins the next try, and sets the time for the one after.
func (c *choice) next() {
	if c.over {
		return
	}
	l := c.net.home()
	l.wheel.Stop(&c.timer)
	if p, ok := c.net.connMgr.Peer(c.id); ok {
		c.end(p, nil)
		return
	}
	if len(c.left) == 0 {
		if c.running == 0 {
			c.end(nil, &failure{"dial " + c.id.Short(), failures(c.failed)})
		}
		return
	}
	t := &try{at: c.left[0]}
	c.left = c.left[1:]
	c.tries = append(c.tries, t)
	c.running++
	var err error
	t.waiter, t.dial, err = c.net.dials.join(Target{Addr: t.at, ID: c.id}, toConnect, c.net.cfg.DialTimeout, func(p *PeerClient, err error) {
		l.post(func() { c.tried(t, p, err) })
	})
	if err != nil {
		c.tried(t, nil, err)
		return
	}
	if len(c.left) > 0 {
		l.wheel.Set(&c.timer, l.now+connectionDelay)
	}
}

// tried takes the outcome of a try.
func (c *choice) tried(t *try, p *PeerClient, err error) {
	t.over = true
	c.running--
	if c.over {
		return
	}
	if err == nil {
		c.end(p, nil)
		return
	}
	if at, ok := c.net.worked.Get(c.id); ok && at == t.at {
		c.net.worked.Remove(c.id)
	}
	c.failed = append(c.failed, err)
	c.next()
}

// end ends the choice, and what is still being tried.
func (c *choice) end(p *PeerClient, err error) {
	if c.over {
		return
	}
	c.over = true
	c.net.home().wheel.Stop(&c.timer)
	for _, t := range c.tries {
		if !t.over && t.dial != nil {
			c.net.dials.abandon(t.dial, t.waiter)
		}
	}
	c.then(p, err)
}
