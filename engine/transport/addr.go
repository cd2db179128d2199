package transport

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// ErrClosed is returned by a Link that is closed, and reported for dials that a stopped Transport drops.
var ErrClosed = errors.New("transport: closed")

// ErrAddress is wrapped by every error of ParseAddr.
var ErrAddress = errors.New("transport: not an address")

// A Proto names what carries the bytes. The numbers are on the wire, in node records: they never change.
type Proto uint8

const (
	TCP  Proto = 1
	UDP  Proto = 2
	QUIC Proto = 3
)

// String returns the scheme used in addresses: "tcp", "udp", "quic".
func (p Proto) String() string {
	switch p {
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	case QUIC:
		return "quic"
	}
	return fmt.Sprintf("proto-%d", uint8(p))
}

// An Addr is where a node can be reached: a transport, an IP address and a port. It is comparable, and the zero Addr is
// no address. Names are resolved before they become an Addr.
type Addr struct {
	Proto Proto
	netip.AddrPort
}

// String returns the form ParseAddr reads: "tcp://198.51.100.7:4001".
func (a Addr) String() string {
	if a == (Addr{}) {
		return "none"
	}
	return a.Proto.String() + "://" + a.AddrPort.String()
}

// IsZero reports whether a is no address.
func (a Addr) IsZero() bool { return a == Addr{} }

// ParseAddr reads "tcp://198.51.100.7:4001", "udp://[2001:db8::1]:4001", "quic://0.0.0.0:0". IPv4 addresses inside IPv6
// are unmapped, so that equal places are equal values. Every error wraps ErrAddress.
func ParseAddr(s string) (Addr, error) {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return Addr{}, fmt.Errorf("%w: %q has no scheme such as tcp://", ErrAddress, s)
	}
	var p Proto
	switch scheme {
	case "tcp":
		p = TCP
	case "udp":
		p = UDP
	case "quic":
		p = QUIC
	default:
		return Addr{}, fmt.Errorf("%w: %q: unknown scheme %q (tcp, udp, quic)", ErrAddress, s, scheme)
	}
	ap, err := netip.ParseAddrPort(rest)
	if err != nil {
		return Addr{}, fmt.Errorf("%w: %q: %v", ErrAddress, s, err)
	}
	return Addr{p, netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())}, nil
}
