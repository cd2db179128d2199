package spread

import (
	"net/netip"

	"github.com/carrier-p2p/carrier/skad"
)

// groupOf returns what of an address says whose it is: the /24 of IPv4, the /48 of IPv6. Addresses of a LAN say
// nothing; for them ok is false. skad has put only usable addresses into a contact, so those that may not count do not
// come here.
func groupOf(ip netip.Addr) (p netip.Prefix, ok bool) {
	ip = ip.Unmap()
	if ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() {
		return netip.Prefix{}, false
	}
	size := 48
	if ip.Is4() {
		size = 24
	}
	p, err := ip.Prefix(size)
	return p, err == nil
}

// sharesGroup reports whether a and b have an IP group in common.
func sharesGroup(a, b *skad.Contact) bool {
	for i := range a.Addrs {
		p, ok := groupOf(a.Addrs[i].Addr())
		if !ok {
			continue
		}
		for k := range b.Addrs {
			if p.Contains(b.Addrs[k].Addr().Unmap()) {
				return true
			}
		}
	}
	return false
}
