package sim

import (
	"net/netip"
	"testing"
)

// TestHosts: who lives where, at home and elsewhere, until they leave.
func TestHosts(t *testing.T) {
	h := hosts{others: map[netip.Addr]*Node{}}
	places := []netip.Addr{homeAddr(0), homeAddr(70_000), homeAddr(nodeLimit - 1), nowhere(1), netip.MustParseAddr("5.0.0.1"), netip.MustParseAddr("203.10.0.0")}
	nodes := make([]Node, len(places))
	for i, at := range places {
		if n := h.at(at); n != nil {
			t.Errorf("%v is taken before anybody came", at)
		}
		h.put(at, &nodes[i])
	}
	for i, at := range places {
		if h.at(at) != &nodes[i] {
			t.Errorf("at %v is %v, want node %d", at, h.at(at), i)
		}
		h.remove(at)
		h.remove(at)
		if n := h.at(at); n != nil {
			t.Errorf("at %v is somebody who has left", at)
		}
	}
	h.remove(homeAddr(nodeLimit))
	if n, home := homeNumber(homeAddr(70_000)); n != 70_000 || !home {
		t.Errorf("home 70000 has the number %d, home %v", n, home)
	}
}
