// Package addressmap knows under which addresses its node can be reached, keeps them in the node record, and says which of a
// peer's addresses to try first.
//
//	operator (Config.Public) ──┐
//	gateway (component/natmap) ┼─▶ book ─▶ Network.Advertise: the record, best address first
//	peers (Observed)  ─ votes ─┘     └───▶ Order: of a peer's addresses, the ones that can lead to it from here
//
// What peers say is a vote. Every network group has one, a /16 of IPv4 or a /32 of IPv6, and peers that this node has chosen
// to dial weigh twice as much; an address counts when three groups and more than half of the weight agree on it. So a host
// full of liars has one vote, and what is needed to mislead the map is a majority of the groups that the node talks to. Even
// then it only changes the order: what a gateway maps or the operator has said stays in the record.
//
// The component is not a dialler and knows nothing of reachability beyond this: an address that peers have
// come in by works. State is a book under one mutex, a few hundred votes at most, and reached from the loops
// (PeerConnect) and from natmap. Callbacks take microseconds. There are no errors: what makes no sense is not
// counted.
package addressmap

import (
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// A Config says what the operator knows. The zero Config is a node that finds out for itself.
type Config struct {
	// Public are addresses that lead to this node from outside, by a router's settings for instance. They come first.
	Public []transport.Addr

	// HidePrivate leaves the private addresses out of the record. Nodes in the same network then reach each other only if
	// their router leads them back in.
	HidePrivate bool

	// TryPrivate has Order keep private addresses, whatever else a record says, those in this host's networks first: for
	// the network of a company, a data centre or a desk, whose nodes may have no others. Elsewhere any peer could have this
	// node knock at its neighbours' doors.
	TryPrivate bool
}

// A Component is the address map of one Network. Any goroutine.
type Component struct {
	engine.Component

	mu    sync.Mutex
	net   *engine.Network // nil before Startup
	book  *book
	shown []transport.Addr
}

// New makes the component. cfg is copied.
func New(cfg Config) *Component {
	return &Component{book: newBook(cfg)}
}

// Opcodes: none.
func (c *Component) Opcodes() []opcode.Opcode { return []opcode.Opcode{} }

// Startup puts what is known into the record.
func (c *Component) Startup(net *engine.Network) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.net = net
	c.book.SetHost(net.Addrs(), hostAddrs())
	c.showLocked()
}

// hostAddrs are the addresses of this host with their networks.
func hostAddrs() (out []netip.Prefix) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil // a host that does not know its addresses has none to show
	}
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, netip.PrefixFrom(p.Addr().Unmap(), p.Bits()))
		}
	}
	return out
}

// SetMapped replaces the addresses that a gateway maps to this node: natmap.AddressBook.
func (c *Component) SetMapped(_, external []transport.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.book.SetMapped(external)
	if c.net != nil { // gateways change when the host moves, and then its addresses do
		c.book.SetHost(c.net.Addrs(), hostAddrs())
		c.showLocked()
	}
}

// PeerConnect counts what the peer says about this node. One that comes through a relay sees the relay.
func (c *Component) PeerConnect(p *engine.PeerClient) {
	if p.Relayed() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	o := observation{From: p.Origin().Addr().Unmap(), Seen: p.Observed(), Dialled: p.Dialled()}
	if c.book.Observe(p.Network().Now(), o) && c.net != nil { // else Startup shows it
		c.showLocked()
	}
}

// PeerDisconnect lets its vote grow old.
func (c *Component) PeerDisconnect(p *engine.PeerClient) {
	if p.Relayed() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.book.Forget(p.Network().Now(), p.Origin().Addr().Unmap())
}

// showLocked signs a new record if the addresses are others than before. Relayed addresses, and what flags say, are other
// components' business and stay.
func (c *Component) showLocked() {
	addrs := c.book.Advertise(c.net.Now())
	if slices.Equal(addrs, c.shown) {
		return
	}
	c.shown = addrs
	err := c.net.Readvertise(func(have *identity.Record) ([]transport.Addr, identity.Flags) {
		out := slices.Clone(addrs)
		for _, a := range have.Addrs {
			if a.Proto == transport.Relay {
				out = append(out, a)
			}
		}
		return out[:min(len(out), identity.AddrLimit)], have.Flags
	})
	if err != nil {
		c.net.Publish(engine.Event{Kind: engine.Reachability, Text: "the node record cannot hold the addresses", Err: err})
	}
}

// Addrs are the addresses that the component has put into the record, best first.
func (c *Component) Addrs() []transport.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.shown)
}

// External are the public addresses of this host as far as they are known, best first.
func (c *Component) External() []netip.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.net == nil {
		return nil
	}
	return c.book.External(c.net.Now())
}

// Order says which of a peer's addresses to try, best first, and leaves out those that lead to another host from here: private
// ones of another network. The slice is new. Any goroutine, loops included.
func (c *Component) Order(addrs []transport.Addr) []transport.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.net == nil {
		return slices.Clone(addrs)
	}
	return c.book.Order(c.net.Now(), addrs)
}
