package skad

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

func containsText(err error, s string) bool { return err != nil && strings.Contains(err.Error(), s) }

func TestPublicAddresses(t *testing.T) {
	for s, want := range map[string]bool{
		"45.1.2.3": true, "8.8.8.8": true, "2a00:1450::1": true, "64:ff9b::808:808": true, "2002:808:808::1": true,
		"10.0.0.1": false, "172.16.0.1": false, "192.168.1.1": false, "127.0.0.1": false, "169.254.1.1": false, "100.64.0.1": false,
		"0.1.2.3": false, "192.0.2.1": false, "198.51.100.1": false, "203.0.113.1": false, "198.18.0.1": false, "240.0.0.1": false,
		"255.255.255.255": false, "224.0.0.1": false, "192.0.0.8": false, "::1": false, "fe80::1": false, "fc00::1": false, "2001:db8::1": false, "ff02::1": false, "100::1": false,
		"::ffff:10.0.0.1": false, "64:ff9b::10.0.0.1": false, "64:ff9b::127.0.0.1": false, "64:ff9b:1::8.8.8.8": false, "2002:c0a8:101::1": false, "2002:7f00:1::1": false,
	} {
		if got := dialable(netip.MustParseAddr(s), Public); got != want {
			t.Errorf("%s: public %v, want %v", s, got, want)
		}
	}
	if !dialable(netip.MustParseAddr("127.0.0.1"), Private) || dialable(netip.MustParseAddr("224.0.0.1"), Private) {
		t.Error("in a LAN everything but multicast can be dialled")
	}
}

func TestGroups(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"45.1.2.3", "45.1.2.250", true}, {"45.1.2.3", "45.1.3.3", false},
		{"2a00:1450:1:2::1", "2a00:1450:1:ffff::9", true}, {"2a00:1450:1::1", "2a00:1450:2::1", false},
		{"45.1.2.3", "2002:2d01:0203::1", true}, // 6to4 carries the IPv4 address
		{"45.1.2.3", "64:ff9b::2d01:209", true}, // and so does NAT64
	} {
		a, b := groupOf(netip.MustParseAddr(tt.a), Public), groupOf(netip.MustParseAddr(tt.b), Public)
		if a == 0 || b == 0 || (a == b) != tt.same {
			t.Errorf("%s and %s: groups %x and %x, same should be %v", tt.a, tt.b, a, b, tt.same)
		}
	}
	if groupOf(netip.MustParseAddr("192.168.1.1"), Private) != 0 || groupOf(netip.MustParseAddr("45.1.2.3"), Private) == 0 {
		t.Error("in a LAN private addresses are not grouped, public ones are")
	}
}

func TestUsableAddresses(t *testing.T) {
	addr := func(s string) transport.Addr {
		a, err := transport.ParseAddr(s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	rec := identity.Record{}
	for _, s := range []string{"tcp://10.0.0.1:1", "tcp://45.1.1.1:1", "tcp://127.0.0.1:1", "quic://45.1.1.2:1", "tcp://45.1.2.1:1", "tcp://45.1.3.1:1", "tcp://45.1.4.1:1"} {
		rec.Addrs = append(rec.Addrs, addr(s))
	}
	c := NewContact(rec, Public)
	want := []string{"tcp://45.1.1.1:1", "quic://45.1.1.2:1", "tcp://45.1.2.1:1", "tcp://45.1.3.1:1"}
	if len(c.Addrs) != len(want) {
		t.Fatalf("usable: %v", c.Addrs)
	}
	for i, s := range want {
		if c.Addrs[i] != addr(s) {
			t.Errorf("usable address %d is %v, want %s", i, c.Addrs[i], s)
		}
	}
	if c.groups[2] == 0 || c.groups[3] != 0 {
		t.Errorf("four addresses in three /24 have the groups %x", c.groups)
	}
	if !c.Lists(netip.MustParseAddr("::ffff:45.1.1.2")) || c.Lists(netip.MustParseAddr("10.0.0.1")) || c.Lists(netip.MustParseAddr("45.1.4.1")) {
		t.Error("Lists must tell exactly the usable addresses")
	}
	// Every group of a contact counts: who lists addresses elsewhere first does not hide where it is.
	other := NewContact(identity.Record{Addrs: []transport.Addr{addr("tcp://99.1.1.1:1"), addr("tcp://45.1.3.77:1")}}, Public)
	if !c.SharesGroup(other) || !other.SharesGroup(c) {
		t.Error("two contacts with addresses in one /24 do not share a group")
	}
}

// TestRecordsVerifier: the real verifier believes real records, and tells a missing proof of work from a bad signature.
func TestRecordsVerifier(t *testing.T) {
	good := NewContact(realRecord(t, 1, 1, "tcp://45.1.2.3:4001"), Public)
	v := Records(identity.Puzzle{})
	if v.Puzzle(good) != nil || v.Signature(good) != nil {
		t.Fatalf("a good record: %v, %v", v.Puzzle(good), v.Signature(good))
	}
	if good.ID.Identity() != good.Record.ID() {
		t.Error("the ID is not that of the key")
	}
	rec := good.Record
	rec.Seq++
	if bad := NewContact(rec, Public); v.Puzzle(bad) != nil || v.Signature(bad) == nil {
		t.Error("a changed record is believed")
	}
	if Records(identity.Puzzle{StaticBits: 40}).Puzzle(good) == nil {
		t.Error("a record without proof of work passes the puzzle")
	}
}

// contactAt returns a contact at these addresses.
func contactAt(t testing.TB, scope Scope, addrs ...string) *Contact {
	var list []transport.Addr
	for _, a := range addrs {
		ip, err := netip.ParseAddr(a)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, transport.Addr{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(ip, 4001)})
	}
	return NewContact(identity.Record{Addrs: list}, scope)
}

// TestSharesGroup: whoever has one address in a /24 or /48 of the other; addresses of a LAN say nothing.
func TestSharesGroup(t *testing.T) {
	for _, test := range []struct {
		a, b []string
		want bool
	}{
		{[]string{"45.1.2.3"}, []string{"45.1.2.200"}, true},
		{[]string{"45.1.2.3"}, []string{"45.1.3.3"}, false},
		{[]string{"45.1.2.3", "46.0.0.1"}, []string{"46.1.0.1", "46.0.0.9"}, true},
		{[]string{"2a00:1450:1:2::3"}, []string{"2a00:1450:1:9::1"}, true},
		{[]string{"2a00:1450:1:2::3"}, []string{"2a00:1450:2:2::3"}, false},
		{[]string{"192.168.1.1"}, []string{"192.168.1.2"}, false},
		{[]string{"127.0.0.1"}, []string{"127.0.0.1"}, false},
		{[]string{"fe80::1"}, []string{"fe80::2"}, false},
		{nil, []string{"45.1.2.3"}, false},
	} {
		a, b := contactAt(t, Private, test.a...), contactAt(t, Private, test.b...)
		if got := a.SharesGroup(b); got != test.want || b.SharesGroup(a) != got {
			t.Errorf("%v and %v: %t, want %t", test.a, test.b, got, test.want)
		}
	}
}
