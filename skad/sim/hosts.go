package sim

import "net/netip"

// hosts says who lives at which address. It is asked with every message, so homes are found by their number.
type hosts struct {
	homes  []*Node              // at 10.x.y.z, by xyz; nil: has left
	others map[netip.Addr]*Node // looked up, never walked through
}

// homeNumber is the inverse of homeAddr; it reports false for addresses that are none.
func homeNumber(at netip.Addr) (node int, ok bool) {
	b := at.As4()
	return int(b[1])<<16 | int(b[2])<<8 | int(b[3]), b[0] == 10
}

// at returns the node at an address, nil if nobody is there.
func (h *hosts) at(addr netip.Addr) *Node {
	i, home := homeNumber(addr)
	switch {
	case !home:
		return h.others[addr]
	case i < len(h.homes):
		return h.homes[i]
	}
	return nil
}

func (h *hosts) put(addr netip.Addr, n *Node) {
	i, home := homeNumber(addr)
	if !home {
		h.others[addr] = n
		return
	}
	for i >= len(h.homes) {
		h.homes = append(h.homes, nil)
	}
	h.homes[i] = n
}

func (h *hosts) remove(addr netip.Addr) {
	if i, home := homeNumber(addr); !home {
		delete(h.others, addr)
	} else if i < len(h.homes) {
		h.homes[i] = nil
	}
}
