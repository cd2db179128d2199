package reach

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

func candidate(i, k int, seen string, dialled bool) voter {
	return voter{id: identity.ID{byte(i), byte(k)}, group: network(i), seen: netip.MustParseAddr(seen), dialled: dialled}
}

// Who is asked: of a network that was not, one that this node has dialled, one that sees it at the address, and each time others
// where there are others.
func TestPick(t *testing.T) {
	e := electorate{groups: map[netip.Prefix][]voter{}}
	at := netip.MustParseAddr("25.0.0.1")
	for i := range 4 {
		e.add(candidate(i, 0, "25.0.0.1", i < 2))
		e.add(candidate(i, 1, "25.0.0.1", false))
	}
	e.add(candidate(4, 0, "25.0.0.2", true))
	rnd := rand.New(rand.NewPCG(1, 1))
	none := map[netip.Prefix]bool{}
	seen := map[identity.ID]int{}
	for range 1000 {
		v, ok := e.pick(at, none, none, rnd)
		if !ok || !v.dialled || v.group == network(4) {
			t.Fatalf("%+v, %v", v, ok)
		}
		seen[v.id]++
	}
	if a, b := seen[identity.ID{0, 0}], seen[identity.ID{1, 0}]; a < 400 || b < 400 {
		t.Errorf("%d and %d times", a, b)
	}
	for range 100 {
		if v, _ := e.pick(at, none, map[netip.Prefix]bool{network(0): true}, rnd); v.group != network(1) {
			t.Fatalf("the one of the last round was asked: %+v", v)
		}
		if v, _ := e.pick(at, map[netip.Prefix]bool{network(0): true, network(1): true}, none, rnd); v.group != network(2) && v.group != network(3) {
			t.Fatalf("%+v", v)
		}
	}
	if v, ok := e.pick(netip.MustParseAddr("25.0.0.3"), none, none, rnd); ok {
		t.Errorf("%+v sees the node elsewhere", v)
	}
}

// Nobody fills the list: so many of a network, so many networks; who was dialled finds a place all the same.
func TestElectorateIsBounded(t *testing.T) {
	e := electorate{groups: map[netip.Prefix][]voter{}}
	for i := range 250 {
		for k := range 10 {
			e.add(candidate(i, k, "25.0.0.1", false))
		}
	}
	if e.count() != groupLimit {
		t.Fatalf("%d networks", e.count())
	}
	for i := range 250 {
		e.add(candidate(i, 99, "25.0.0.1", true))
	}
	dialled := 0
	for g, list := range e.groups {
		if len(list) > perGroup {
			t.Errorf("%v has %d", g, len(list))
		}
		for _, v := range list {
			if v.dialled {
				dialled++
			}
		}
	}
	if e.count() != groupLimit || dialled != groupLimit {
		t.Errorf("%d networks, %d dialled", e.count(), dialled)
	}
}

// An address, its network and everybody have what they have, and it comes back with time; an IPv6 host has one share.
func TestMeter(t *testing.T) {
	take := func(m *meter, now time.Duration, format string, times int) (took int) {
		for i := range times {
			a := format
			if format[len(format)-1] != '0' {
				a = fmt.Sprintf(format, i)
			}
			if m.take(now, netip.MustParseAddr(a)) {
				took++
			}
		}
		return took
	}
	for name, x := range map[string]struct {
		from string
		want int
	}{
		"one address":    {"25.0.0.10", addressBurst},
		"one IPv6 host":  {"2a00:1::%x", addressBurst},
		"one network":    {"25.0.%d.1", networkBurst},
		"an IPv6 net":    {"2a00:1:%x::1", networkBurst},
		"all":            {"26.%d.0.1", totalBurst},
		"all other IPv6": {"2a%02x:1::1", totalBurst},
	} {
		m := newMeter()
		if got := take(m, 0, x.from, 200); got != x.want {
			t.Errorf("%s: %d, want %d", name, got, x.want)
		}
		if got := take(m, time.Hour, x.from, 200); got != x.want {
			t.Errorf("%s, an hour later: %d, want %d", name, got, x.want)
		}
	}
	m := newMeter()
	take(m, 0, "25.0.0.10", 10)
	if got := take(m, addressEvery+time.Millisecond, "25.0.0.10", 10); got != 1 {
		t.Errorf("%d after the time for one", got)
	}
}

// What is remembered is bounded; who is known is served on, and strangers again when there is room.
func TestMeterIsBounded(t *testing.T) {
	m := newMeter()
	for i := range 3 * meterLimit {
		m.take(time.Duration(i)*totalEvery, netip.AddrFrom4([4]byte{byte(i >> 12), byte(i >> 4), byte(i), 1}))
	}
	if len(m.hosts) > meterLimit || len(m.nets) > meterLimit {
		t.Errorf("%d addresses, %d networks", len(m.hosts), len(m.nets))
	}
	for i := range meterLimit { // none of them is full again
		m.hosts[netip.PrefixFrom(netip.AddrFrom4([4]byte{99, byte(i >> 8), byte(i), 0}), 32)] = &bucket{used: 4, at: time.Hour}
	}
	if m.take(time.Hour, netip.MustParseAddr("98.0.0.1")) {
		t.Error("there was no room")
	}
	if !m.take(time.Hour+4*addressEvery, netip.MustParseAddr("98.0.0.1")) || len(m.hosts) > meterLimit {
		t.Errorf("%d addresses, and no room", len(m.hosts))
	}
}

// An answer counts once, from the peer that was asked.
func TestAsks(t *testing.T) {
	a := asks{open: map[uint64]identity.ID{}}
	a.add(7, identity.ID{1})
	for _, x := range []struct {
		nonce uint64
		id    identity.ID
		want  bool
	}{{7, identity.ID{2}, false}, {8, identity.ID{1}, false}, {8, identity.ID{}, false}, {7, identity.ID{1}, true}, {7, identity.ID{1}, false}} {
		if got := a.take(x.nonce, x.id); got != x.want {
			t.Errorf("%d of %v: %v", x.nonce, x.id, got)
		}
	}
	a.add(9, identity.ID{1})
	if a.clear(); a.take(9, identity.ID{1}) {
		t.Error("its round is over")
	}
}

// A peer that has left is nobody's witness any more, wherever it was last: over datagrams peers move.
func TestWitnessThatMovedLeaves(t *testing.T) {
	gone, stays := new(engine.PeerClient), new(engine.PeerClient)
	e := electorate{groups: map[netip.Prefix][]voter{
		network(1): {{peer: gone, group: network(1)}},
		network(2): {{peer: stays, group: network(2)}, {peer: gone, group: network(2)}},
	}}
	e.remove(gone)
	if list := e.groups[network(2)]; e.count() != 1 || len(list) != 1 || list[0].peer != stays {
		t.Errorf("%d networks, and %v of the second", e.count(), list)
	}
}
