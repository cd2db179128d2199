package natmap

import (
	"net/netip"
	"strconv"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// A Port is what is mapped: a port of this host, of TCP or UDP.
type Port struct {
	UDP    bool
	Number uint16
}

// String is "tcp/4001".
func (p Port) String() string { return p.network() + "/" + strconv.Itoa(int(p.Number)) }

func (p Port) network() string {
	if p.UDP {
		return "udp"
	}
	return "tcp"
}

// portOf is the port that an address needs: QUIC goes over UDP.
func portOf(a transport.Addr) Port { return Port{UDP: a.Proto != transport.TCP, Number: a.Port()} }

// A Gateway is the router between this host and the rest of the world.
type Gateway struct {
	Addr      netip.Addr `json:"address"`
	Local     netip.Addr `json:"local"` // the address of this host that the gateway sees
	Interface string     `json:"interface,omitempty"`
}

func (g Gateway) isZero() bool { return !g.Addr.IsValid() }

// reserved are the IPv4 networks that are nobody's address on the internet, where package netip has no word for them.
var reserved = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // carrier-grade NAT, RFC 6598
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
}

// public reports whether an address can be reached from anywhere.
func public(a netip.Addr) bool {
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, p := range reserved {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// A Mapping is an external address that leads to a port of this host.
type Mapping struct {
	Port     Port
	External netip.AddrPort
	Via      Protocol
}
