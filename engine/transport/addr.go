package transport

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// ErrClosed is returned by a Link that is closed, and reported for dials that a stopped Transport drops.
var ErrClosed = errors.New("transport: closed")

// ErrTooLong is returned by UnreliableLink.WriteUnreliable for a datagram above the limit.
var ErrTooLong = errors.New("transport: datagram too long")

// ErrAddress is wrapped by every error of ParseAddr.
var ErrAddress = errors.New("transport: not an address")

// A Proto names what carries the bytes. The numbers are on the wire, in node records: they never change.
type Proto uint8

const (
	TCP  Proto = 1
	UDP  Proto = 2
	QUIC Proto = 3

	// Relay is a connection through another node: the address is that node's, and whom it leads to is the one who is
	// named beside it, "relay://<id>@198.51.100.7:4001". See PeerDialer.
	Relay Proto = 4

	// PrivateProto and what lies above it are for transports that are not carrier's own. They are written as a number:
	// "proto-128://198.51.100.7:4001".
	PrivateProto Proto = 128
)

// String returns the scheme used in addresses: "tcp", "udp", "quic", "relay", else "proto-" and the number.
func (p Proto) String() string {
	switch p {
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	case QUIC:
		return "quic"
	case Relay:
		return "relay"
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
	p, ok := parseProto(scheme)
	if !ok {
		return Addr{}, fmt.Errorf("%w: %q: unknown scheme %q (tcp, udp, quic, relay)", ErrAddress, s, scheme)
	}
	ap, err := netip.ParseAddrPort(rest)
	if err != nil {
		return Addr{}, fmt.Errorf("%w: %q: want an IP address and a port, such as %s://198.51.100.7:4001 (%v)", ErrAddress, s, scheme, err)
	}
	return Addr{p, netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())}, nil
}

// parseProto is the reverse of Proto.String.
func parseProto(scheme string) (Proto, bool) {
	for _, p := range [...]Proto{TCP, UDP, QUIC, Relay} {
		if scheme == p.String() {
			return p, true
		}
	}
	digits, ok := strings.CutPrefix(scheme, "proto-")
	n, err := strconv.ParseUint(digits, 10, 8)
	p := Proto(n)
	return p, ok && err == nil && p != 0 && p.String() == scheme
}
