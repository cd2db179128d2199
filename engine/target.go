package engine

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// A Target is whom to dial: an address, and who must answer there.
type Target struct {
	Addr transport.Addr
	ID   identity.ID // zero: whoever answers
}

// String returns the form ParseTarget reads, or says that there is no address.
func (t Target) String() string {
	if t.Addr.IsZero() && !t.ID.IsZero() {
		return "no address of " + t.ID.String()
	}
	if t.ID.IsZero() {
		return t.Addr.String()
	}
	return t.Addr.Proto.String() + "://" + t.ID.String() + "@" + t.Addr.AddrPort.String()
}

// Target is how others dial this node: its identity at the first address that it listens on. If that is of no
// interface, as tcp://0.0.0.0:4001 is of none, only this machine can use it; what others see of the node is
// in its Record. The zero Addr before Start, and of a node that listens nowhere.
func (n *Network) Target() Target {
	t := Target{ID: n.ID()}
	if addrs := n.Addrs(); len(addrs) > 0 {
		t.Addr = addrs[0]
	}
	return t
}

// ParseTarget reads "tcp://<id>@198.51.100.7:4001", or the same without "<id>@". The host must be an IP address; Dial
// resolves names.
func ParseTarget(s string) (Target, error) {
	id, addr, err := splitTarget(s)
	if err != nil {
		return Target{}, err
	}
	a, err := transport.ParseAddr(addr)
	return Target{Addr: a, ID: id}, err
}

// splitTarget takes the ID out of an address.
func splitTarget(s string) (identity.ID, string, error) {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return identity.ID{}, "", fmt.Errorf("%w: %q has no scheme such as tcp://", transport.ErrAddress, s)
	}
	name, host, ok := strings.Cut(rest, "@")
	if !ok {
		return identity.ID{}, s, nil
	}
	id, err := identity.ParseID(name)
	if err != nil {
		return identity.ID{}, "", fmt.Errorf("%w: %q: %w", transport.ErrAddress, s, err)
	}
	if id.IsZero() { // in a Target it would mean whoever answers
		return identity.ID{}, "", fmt.Errorf("%w: %q: nobody has this ID", transport.ErrAddress, s)
	}
	return id, scheme + "://" + host, nil
}

// resolve is ParseTarget for hosts that may be names, which may lead to several addresses, the likeliest first (RFC 6724). It may
// wait for a name server until ctx ends.
func resolve(ctx context.Context, s string) ([]Target, error) {
	id, addr, err := splitTarget(s)
	if err != nil {
		return nil, err
	}
	scheme, hostport, _ := strings.Cut(addr, "://")
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, fmt.Errorf("%w: %q: want a host and a port, such as %s://198.51.100.7:4001", transport.ErrAddress, s, scheme)
	}
	if _, err := netip.ParseAddr(host); err != nil {
		ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if err != nil {
			return nil, &failure{"dial " + s, err}
		}
		var ts []Target
		for _, ip := range ips[:min(len(ips), namedAddrs)] {
			a, err := transport.ParseAddr(scheme + "://" + net.JoinHostPort(ip.Unmap().String(), port))
			if err != nil {
				return nil, err
			}
			ts = append(ts, Target{Addr: a, ID: id})
		}
		return ts, nil
	}
	a, err := transport.ParseAddr(addr)
	return []Target{{Addr: a, ID: id}}, err
}
