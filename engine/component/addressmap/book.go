package addressmap

import (
	"net/netip"
	"slices"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// A book decides which addresses are this node's and which of a peer's to try. It makes no call and reads no
// clock; whoever has it owns it.
type book struct {
	cfg    Config
	bound  []transport.Addr // where the node listens
	hosts  []netip.Prefix   // this host's addresses, each with its network
	mapped []transport.Addr // by a gateway, to one of bound
	votes  votes
}

// newBook makes a book that knows what the operator knows. cfg is copied.
func newBook(cfg Config) *book {
	cfg.Public = slices.Clone(cfg.Public)
	return &book{cfg: cfg, votes: newVotes()}
}

// SetHost says where the node listens and which addresses its host has, each with its network.
func (b *book) SetHost(bound []transport.Addr, hosts []netip.Prefix) {
	b.bound, b.hosts = slices.Clone(bound), slices.Clone(hosts)
}

// SetMapped replaces the addresses that a gateway maps to this node.
func (b *book) SetMapped(external []transport.Addr) { b.mapped = slices.Clone(external) }

// Observe takes a connected peer's word. It reports whether that may have changed anything.
func (b *book) Observe(now time.Duration, o observation) bool { return b.votes.add(now, o) }

// Forget is for a peer that has left. Its word grows old.
func (b *book) Forget(now time.Duration, from netip.Addr) { b.votes.drop(now, from) }

// External are the public addresses of this host as far as they are known, best first: the operator's, a gateway's, the
// host's own, the peers'.
func (b *book) External(now time.Duration) (out []netip.Addr) {
	add := func(a netip.Addr) {
		if public(a) && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	for _, list := range [][]transport.Addr{b.cfg.Public, b.mapped, b.expanded()} {
		for _, a := range list {
			add(a.Addr())
		}
	}
	for _, is4 := range []bool{true, false} {
		if a, ok := b.votes.address(now, is4); ok {
			add(a)
		}
	}
	return out
}

// Advertise are the addresses for the node record, best first:
//
//	what the operator has configured
//	what a gateway maps, unless peers see another address
//	what the node listens on, where it is public
//	what peers from outside have reached
//	what a gateway maps and peers doubt: they may be wrong
//	what the node listens on, where it is private, for peers in the same network
func (b *book) Advertise(now time.Duration) []transport.Addr {
	var out, doubted, private []transport.Addr
	out = append(out, b.cfg.Public...)
	for _, a := range b.mapped {
		if b.doubts(now, a.Addr()) {
			doubted = append(doubted, a)
		} else {
			out = append(out, a)
		}
	}
	for _, a := range b.expanded() {
		if public(a.Addr()) {
			out = append(out, a)
		} else if !b.cfg.HidePrivate {
			private = append(private, a)
		}
	}
	out = append(out, b.reached(now)...)
	return unique(slices.Concat(out, doubted, private))
}

// unique keeps the first of equal addresses, as many as a record holds.
func unique(in []transport.Addr) []transport.Addr {
	out := make([]transport.Addr, 0, min(len(in), identity.AddrLimit))
	for _, a := range in {
		if len(out) < identity.AddrLimit && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// doubts: enough peers see this node under another address.
func (b *book) doubts(now time.Duration, claimed netip.Addr) bool {
	seen, ok := b.votes.address(now, claimed.Is4())
	return ok && seen != claimed
}

// reached are addresses under which peers from outside have come in. They count only on the IP address that all kinds of
// peers agree on: else a few of them could send everybody else to a victim.
func (b *book) reached(now time.Duration) (out []transport.Addr) {
	for _, a := range b.bound {
		for _, is4 := range []bool{true, false} {
			at, ok := b.votes.reached(now, a.Proto, is4)
			if ip, agreed := b.votes.address(now, is4); ok && agreed && at.Addr() == ip && at.Port() != 0 {
				out = append(out, at)
			}
		}
	}
	return out
}

// expanded are the listening addresses with "all of this host" spelled out.
func (b *book) expanded() (out []transport.Addr) {
	for _, a := range b.bound {
		if !a.Addr().IsUnspecified() {
			out = append(out, a)
			continue
		}
		for _, h := range b.hosts {
			ip := h.Addr()
			if ip.Is4() || a.Addr().Is6() { // an IPv6 socket takes both
				if !ip.IsLoopback() && !ip.IsLinkLocalUnicast() {
					out = append(out, transport.Addr{Proto: a.Proto, AddrPort: netip.AddrPortFrom(ip, a.Port())})
				}
			}
		}
	}
	return out
}

// Order says which of a peer's addresses to try, best first, and leaves out what cannot lead to it from here. In the same
// network, which shows by a common public address, or by nobody having one, the private addresses come first; anywhere else a
// private address would be another host's, so that a record could send this node knocking at its own neighbours.
func (b *book) Order(now time.Duration, addrs []transport.Addr) []transport.Addr {
	own := b.External(now)
	near, global := false, false
	for _, a := range addrs {
		if public(a.Addr()) {
			global = true
			near = near || slices.Contains(own, a.Addr())
		}
	}
	near = near || !global && len(own) == 0 || b.cfg.TryPrivate
	var first, rest []transport.Addr
	for _, a := range addrs {
		switch {
		case a.Addr().IsLoopback():
			if b.onLoopback() || b.cfg.TryPrivate {
				rest = append(rest, a)
			}
		case public(a.Addr()):
			rest = append(rest, a)
		case near && b.attached(a.Addr()):
			first = append(first, a)
		case b.cfg.TryPrivate:
			rest = append(rest, a)
		}
	}
	return append(first, rest...)
}

// attached: the address is in a network that this host is in.
func (b *book) attached(a netip.Addr) bool {
	return slices.ContainsFunc(b.hosts, func(h netip.Prefix) bool { return h.Contains(a) })
}

// onLoopback: this node can only be reached on its own host, or not at all, so others there are its neighbours.
func (b *book) onLoopback() bool {
	return !slices.ContainsFunc(b.bound, func(a transport.Addr) bool { return !a.Addr().IsLoopback() })
}
