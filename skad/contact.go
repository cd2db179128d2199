package skad

import (
	"net/netip"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// Scope says what addresses mean in a network.
type Scope uint8

const (
	// Public is the Internet: only public addresses are used, and every address counts towards the limits per IP group.
	Public Scope = iota

	// Private is one LAN, one data centre or one machine: private and loopback addresses are used too, and those are
	// not grouped, because they say nothing about who owns them. Public addresses are grouped as in Public.
	Private
)

// A Contact is a node record in the form the core works with: its ID computed, its addresses sorted out. It is never
// changed after NewContact, so any number of cores and goroutines may share one; thousands of simulated nodes do.
//
// Making a Contact proves nothing. Whether the record is genuine is for the Verifier to say.
type Contact struct {
	_ [0]func() // contacts are compared by ID, never with ==

	ID ID

	// Addrs are the addresses of the record that may be dialled in this scope, best first, at most usableAddrLimit.
	// Dial no others: these are the ones that the limits per IP group have counted.
	Addrs []transport.Addr

	Record identity.Record

	size   int                     // length of the encoded record
	groups [usableAddrLimit]uint64 // IP groups of Addrs, without duplicates; 0 ends the list
}

// NewContact works out the ID (one BLAKE2b hash) and the usable addresses of rec. rec.Addrs is kept and must not be
// changed.
func NewContact(rec identity.Record, scope Scope) *Contact {
	c := &Contact{ID: IDOf(rec.ID()), Record: rec, size: recordSize(&rec)}
	c.Addrs = usable(rec.Addrs, scope)
	n := 0
	for _, a := range c.Addrs {
		if g := groupOf(a.Addr(), scope); g != 0 && !c.inGroup(g) {
			c.groups[n] = g
			n++
		}
	}
	return c
}

// Client reports whether the node only asks: it is never put into a table nor handed out.
func (c *Contact) Client() bool { return c.Record.Flags&identity.FlagClient != 0 }

// Lists reports whether ip is the host of one of the usable addresses.
func (c *Contact) Lists(ip netip.Addr) bool {
	ip = ip.Unmap()
	for _, a := range c.Addrs {
		if a.Addr() == ip {
			return true
		}
	}
	return false
}

// sameRecord reports whether two contacts of one node carry the same signed statement. The signature is over everything
// else and deterministic, so for genuine records it decides; the sequence number and the addresses spare a look at
// forged ones.
func (c *Contact) sameRecord(d *Contact) bool {
	if c == d {
		return true
	}
	if c.Record.Seq != d.Record.Seq || c.Record.Flags != d.Record.Flags || c.Record.Signature != d.Record.Signature ||
		c.Record.Solution != d.Record.Solution || c.Record.Static != d.Record.Static || len(c.Record.Addrs) != len(d.Record.Addrs) {
		return false
	}
	for i, a := range c.Record.Addrs {
		if a != d.Record.Addrs[i] {
			return false
		}
	}
	return true
}

func (c *Contact) inGroup(g uint64) bool {
	for _, have := range c.groups {
		if have == 0 {
			break
		}
		if have == g {
			return true
		}
	}
	return false
}

// SharesGroup reports whether c and d have an IP group in common.
func (c *Contact) SharesGroup(d *Contact) bool {
	for _, g := range c.groups {
		if g == 0 {
			break
		}
		if d.inGroup(g) {
			return true
		}
	}
	return false
}

// A Peer is a Contact that has spoken to us over a session that proved its key.
type Peer struct {
	*Contact

	// Reached says that its address is proven: we dialled it, or it came from an IP address that its record lists
	// (Lists). Others may ask us, but stay out of the table: one host could otherwise fill it with records that name
	// the addresses of strangers.
	Reached bool
}

func recordSize(rec *identity.Record) int {
	var buf [identity.RecordSizeLimit]byte
	return len(rec.Append(buf[:0]))
}

// usable returns the addresses that may be dialled.
func usable(addrs []transport.Addr, scope Scope) []transport.Addr {
	n := 0
	for n < len(addrs) && n < usableAddrLimit && dialable(addrs[n].Addr(), scope) {
		n++
	}
	if n == len(addrs) || n == usableAddrLimit { // the common case keeps the record's own slice
		return addrs[:n:n]
	}
	list := append([]transport.Addr(nil), addrs[:n]...)
	for _, a := range addrs[n:] {
		if len(list) < usableAddrLimit && dialable(a.Addr(), scope) {
			list = append(list, a)
		}
	}
	return list
}

// Dialable reports whether an address may be dialled in this scope: those that no stranger should have named are not.
func (s Scope) Dialable(ip netip.Addr) bool { return dialable(ip, s) }

func dialable(ip netip.Addr, scope Scope) bool {
	if !ip.IsValid() || ip.IsUnspecified() || ip.IsMulticast() {
		return false
	}
	return scope == Private || public(ip)
}

// public reports whether ip can belong to somebody on the Internet. An IPv6 address that carries an IPv4 address is as
// public as that: a NAT64 in front of this node would lead it to its neighbours.
func public(ip netip.Addr) bool {
	ip = carried(ip)
	if !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return false
	}
	for _, p := range special {
		if p.Contains(ip) {
			return false
		}
	}
	return true
}

// special holds the prefixes of the IANA special-purpose registries that netip does not tell from public ones.
var special = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),       // this network
	netip.MustParsePrefix("100.64.0.0/10"),   // carriers' NAT
	netip.MustParsePrefix("192.0.0.0/24"),    // protocol assignments
	netip.MustParsePrefix("192.0.2.0/24"),    // documentation, as the next two
	netip.MustParsePrefix("198.51.100.0/24"), //
	netip.MustParsePrefix("203.0.113.0/24"),  //
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarks
	netip.MustParsePrefix("240.0.0.0/4"),     // reserved
	netip.MustParsePrefix("100::/64"),        // discard
	netip.MustParsePrefix("64:ff9b:1::/48"),  // a network's own NAT64
	netip.MustParsePrefix("2001:db8::/32"),   // documentation
	netip.MustParsePrefix("3fff::/20"),       // documentation
}

var (
	sixToFour = netip.MustParsePrefix("2002::/16")
	nat64     = netip.MustParsePrefix("64:ff9b::/96")
)

// groupOf returns the IP group of an address: the /24 of IPv4, the /48 of IPv6, which is what one customer usually
// gets. IPv6 addresses that carry an IPv4 address are that address. 0 means "not grouped".
func groupOf(ip netip.Addr, scope Scope) uint64 {
	if scope == Private && !public(ip) {
		return 0
	}
	ip = carried(ip)
	if ip.Is4() {
		b := ip.As4()
		return 4<<56 | uint64(b[0])<<16 | uint64(b[1])<<8 | uint64(b[2])
	}
	b := ip.As16()
	return 6<<56 | uint64(b[0])<<40 | uint64(b[1])<<32 | uint64(b[2])<<24 | uint64(b[3])<<16 | uint64(b[4])<<8 | uint64(b[5])
}

// carried is the IPv4 address in an IPv6 address that carries one, and ip itself otherwise.
func carried(ip netip.Addr) netip.Addr {
	switch b := ip.As16(); {
	case ip.Is4():
	case sixToFour.Contains(ip):
		return netip.AddrFrom4([4]byte(b[2:6]))
	case nat64.Contains(ip):
		return netip.AddrFrom4([4]byte(b[12:16]))
	}
	return ip.Unmap()
}
