package gnetio

import (
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// claims are addresses held for the reactor until it listens on them itself.
type claims struct{ held []claim }

// A claim is one address, bound by a socket of ours.
type claim struct {
	fd int // -1 when closed
	at transport.Addr
}

// claimAll claims every address, or none: then the error names the one that could not be had.
func claimAll(listen []transport.Addr) (*claims, error) {
	c := new(claims)
	for _, a := range listen {
		got, err := claimOne(a)
		if err != nil {
			c.release()
			return nil, fmt.Errorf("gnetio: listen on %v: %w", a, err)
		}
		c.held = append(c.held, got)
	}
	return c, nil
}

func claimOne(a transport.Addr) (claim, error) {
	if a.Proto != transport.TCP || !a.IsValid() {
		return claim{}, ErrUnsupported
	}
	sa, family, err := socketAddr(a.AddrPort)
	if err != nil {
		return claim{}, err
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
	if err != nil {
		return claim{}, os.NewSyscallError("socket", err)
	}
	unix.CloseOnExec(fd)
	if err := bindClaim(fd, family, sa); err != nil {
		closeFD(fd)
		return claim{}, err
	}
	at := localAddr(fd)
	if at.Addr().Zone() != "" || a.Addr().Zone() != "" {
		at = addrOf(netip.AddrPortFrom(a.Addr(), at.Port())) // as it was asked for: a zone has a name and a number
	}
	return claim{fd, at}, nil
}

// bindClaim binds as gnet will: an IPv6 address, the unspecified one too, does not stand for IPv4 addresses.
func bindClaim(fd, family int, sa unix.Sockaddr) error {
	if family == unix.AF_INET6 {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return os.NewSyscallError("setsockopt IPV6_V6ONLY", err)
		}
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return os.NewSyscallError("setsockopt SO_REUSEADDR", err)
	}
	deafen(fd)
	if err := unix.Bind(fd, sa); err != nil {
		return os.NewSyscallError("bind", err)
	}
	// An address that is bound but not listened on could be bound by somebody else, SO_REUSEADDR given.
	return os.NewSyscallError("listen", unix.Listen(fd, 1))
}

// socketAddr is ap as the kernel wants it.
func socketAddr(ap netip.AddrPort) (unix.Sockaddr, int, error) {
	a := ap.Addr().Unmap()
	if a.Is4() {
		return &unix.SockaddrInet4{Port: int(ap.Port()), Addr: a.As4()}, unix.AF_INET, nil
	}
	sa := &unix.SockaddrInet6{Port: int(ap.Port()), Addr: a.As16()}
	if zone := a.Zone(); zone != "" {
		index, err := zoneIndex(zone)
		if err != nil {
			return nil, 0, err
		}
		sa.ZoneId = index
	}
	return sa, unix.AF_INET6, nil
}

// bound returns the claimed addresses, with their ports.
func (c *claims) bound() []transport.Addr {
	out := make([]transport.Addr, len(c.held))
	for i, h := range c.held {
		out[i] = h.at
	}
	return out
}

// addrs returns the claimed addresses as gnet wants them.
func (c *claims) addrs() []string {
	out := make([]string, len(c.held))
	for i, h := range c.held {
		out[i] = h.at.String()
	}
	return out
}

// release gives up what is still held.
func (c *claims) release() {
	for i := range c.held {
		if c.held[i].fd >= 0 {
			closeFD(c.held[i].fd)
			c.held[i].fd = -1
		}
	}
}
