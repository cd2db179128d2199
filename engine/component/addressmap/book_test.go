package addressmap

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// tb is what *testing.T and *rapid.T have in common.
type tb interface {
	Helper()
	Fatal(...any)
}

func addrs(t tb, in string) (out []transport.Addr) {
	t.Helper()
	for _, s := range strings.Fields(in) {
		a, err := transport.ParseAddr(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, a)
	}
	return out
}

func text(in []transport.Addr) string {
	var out []string
	for _, a := range in {
		out = append(out, a.String())
	}
	return strings.Join(out, " ")
}

func prefixes(in string) (out []netip.Prefix) {
	for _, s := range strings.Fields(in) {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// see has a peer of group n say that it sees seen; a trailing "<" says that the peer has come in, and that seen is what it
// has dialled.
func see(t tb, b *book, now time.Duration, n int, seen string) bool {
	t.Helper()
	seen, inbound := strings.CutSuffix(seen, "<")
	return b.Observe(now, observation{From: group(n), Seen: addrs(t, seen)[0], Dialled: !inbound})
}

// group is an address in the nth group.
func group(n int) netip.Addr { return netip.AddrFrom4([4]byte{30, byte(n), 1, 1}) }

// What is advertised, in which order.
func TestAdvertise(t *testing.T) {
	const home = "192.168.1.7/24"
	for _, c := range []struct {
		name, configured, bound, hosts, mapped string
		seen                                   []string // by groups 0, 1, …
		hide                                   bool
		want                                   string
	}{
		{"a server", "", "tcp://0.0.0.0:4001", "25.64.0.1/24 127.0.0.1/8", "", nil, false, "tcp://25.64.0.1:4001"},
		{"at home, alone", "", "tcp://0.0.0.0:4001", home, "", nil, false, "tcp://192.168.1.7:4001"},
		{"at home, hidden", "", "tcp://0.0.0.0:4001", home, "", nil, true, ""},
		{"mapped", "", "tcp://0.0.0.0:4001", home, "tcp://25.64.0.10:4001", nil, false, "tcp://25.64.0.10:4001 tcp://192.168.1.7:4001"},
		{"mapped and confirmed", "", "tcp://0.0.0.0:4001", home, "tcp://25.64.0.10:4001",
			[]string{"tcp://25.64.0.10:1", "tcp://25.64.0.10:2", "tcp://25.64.0.10:3"}, false, "tcp://25.64.0.10:4001 tcp://192.168.1.7:4001"},
		{"configured comes first", "tcp://25.64.0.99:1", "tcp://0.0.0.0:4001", home, "tcp://25.64.0.10:4001", nil, false,
			"tcp://25.64.0.99:1 tcp://25.64.0.10:4001 tcp://192.168.1.7:4001"},
		{"the gateway's word against three groups", "", "tcp://25.64.0.5:4001", home, "tcp://25.64.0.10:4001",
			[]string{"tcp://25.64.0.11:1", "tcp://25.64.0.11:2", "tcp://25.64.0.11:3"}, false, "tcp://25.64.0.5:4001 tcp://25.64.0.10:4001"},
		{"the gateway's word against two", "", "tcp://25.64.0.5:4001", home, "tcp://25.64.0.10:4001",
			[]string{"tcp://25.64.0.11:1", "tcp://25.64.0.11:2"}, false, "tcp://25.64.0.10:4001 tcp://25.64.0.5:4001"},
		{"forwarded by hand: peers come in", "", "tcp://0.0.0.0:4001", home, "",
			[]string{"tcp://25.64.0.10:80<", "tcp://25.64.0.10:80<", "tcp://25.64.0.10:80<"}, false, "tcp://25.64.0.10:80 tcp://192.168.1.7:4001"},
		{"not by this protocol", "", "udp://0.0.0.0:4001", home, "",
			[]string{"tcp://25.64.0.10:80<", "tcp://25.64.0.10:80<", "tcp://25.64.0.10:80<"}, false, "udp://192.168.1.7:4001"},
		{"seen from outside, never reached", "", "tcp://0.0.0.0:4001", home, "",
			[]string{"tcp://25.64.0.10:1", "tcp://25.64.0.10:2", "tcp://25.64.0.10:3"}, false, "tcp://192.168.1.7:4001"},
		{"those it has dialled have not reached it", "", "tcp://0.0.0.0:4001", home, "",
			[]string{"tcp://25.64.0.10:7", "tcp://25.64.0.10:7", "tcp://25.64.0.10:7"}, false, "tcp://192.168.1.7:4001"},
		{"sent to a victim by those who come in", "", "tcp://0.0.0.0:4001", home, "",
			[]string{"tcp://25.64.0.66:80<", "tcp://25.64.0.66:80<", "tcp://25.64.0.66:80<", "tcp://25.64.0.10:1", "tcp://25.64.0.10:2"}, false,
			"tcp://192.168.1.7:4001"},
		{"IPv6 and IPv4 on one socket", "", "tcp://[::]:4001", home + " 2a00::7/64 fe80::1/64 ::1/128", "", nil, false,
			"tcp://[2a00::7]:4001 tcp://192.168.1.7:4001"},
		{"IPv4 socket", "", "tcp://0.0.0.0:4001", home + " 2a00::7/64", "", nil, false, "tcp://192.168.1.7:4001"},
		{"loopback", "", "tcp://127.0.0.1:4001", home, "", nil, false, "tcp://127.0.0.1:4001"},
		{"two protocols", "", "tcp://0.0.0.0:4001 quic://0.0.0.0:4001", home, "tcp://25.64.0.10:4001 quic://25.64.0.10:4002", nil, false,
			"tcp://25.64.0.10:4001 quic://25.64.0.10:4002 tcp://192.168.1.7:4001 quic://192.168.1.7:4001"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBook(Config{Public: addrs(t, c.configured), HidePrivate: c.hide})
			b.SetHost(addrs(t, c.bound), prefixes(c.hosts))
			b.SetMapped(addrs(t, c.mapped))
			for i, s := range c.seen {
				see(t, b, 0, i, s)
			}
			if got := text(b.Advertise(0)); got != c.want {
				t.Errorf("%s\nwant %s", got, c.want)
			}
		})
	}
}

// More addresses than a record holds: the best stay.
func TestAdvertiseLimit(t *testing.T) {
	b := newBook(Config{})
	var hosts []netip.Prefix
	for i := range 100 {
		hosts = append(hosts, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 24))
	}
	b.SetHost(addrs(t, "tcp://0.0.0.0:4001"), hosts)
	b.SetMapped(addrs(t, "tcp://25.64.0.10:4001 tcp://25.64.0.10:4001"))
	got := b.Advertise(0)
	if len(got) != identity.AddrLimit || got[0].String() != "tcp://25.64.0.10:4001" || got[1].String() != "tcp://10.0.0.0:4001" {
		t.Errorf("%v", got)
	}
}

// Elections: groups, weights, age.
func TestVotes(t *testing.T) {
	const real, lie = "tcp://25.64.0.10:1", "tcp://66.6.6.6:1"
	for _, c := range []struct {
		name string
		do   func(t *testing.T, b *book) time.Duration
		want string
	}{
		{"nobody", func(*testing.T, *book) time.Duration { return 0 }, ""},
		{"two groups are too few", func(t *testing.T, b *book) time.Duration { see(t, b, 0, 1, real); see(t, b, 0, 2, real); return 0 }, ""},
		{"three groups", three(real), "25.64.0.10"},
		{"a hundred peers of one group", func(t *testing.T, b *book) time.Duration {
			for range 100 {
				see(t, b, 0, 1, lie)
			}
			return 0
		}, ""},
		{"three who were dialled against five who came in", func(t *testing.T, b *book) time.Duration {
			three(real)(t, b)
			for i := range 5 {
				see(t, b, 0, 10+i, lie+"<")
			}
			return 0
		}, "25.64.0.10"},
		{"three against three", func(t *testing.T, b *book) time.Duration {
			three(real)(t, b)
			for i := range 3 {
				see(t, b, 0, 10+i, lie)
			}
			return 0
		}, ""},
		{"who came in does not speak for who was dialled", func(t *testing.T, b *book) time.Duration {
			three(real)(t, b)
			for i := range 3 {
				see(t, b, 0, i, lie+"<")
			}
			return 0
		}, "25.64.0.10"},
		{"who was dialled speaks for who came in", func(t *testing.T, b *book) time.Duration {
			for i := range 3 {
				see(t, b, 0, i, lie+"<")
			}
			return three(real)(t, b)
		}, "25.64.0.10"},
		{"the last word counts", func(t *testing.T, b *book) time.Duration { three(lie)(t, b); return three(real)(t, b) }, "25.64.0.10"},
		{"connected peers' votes do not age", func(t *testing.T, b *book) time.Duration { three(real)(t, b); return 24 * time.Hour }, "25.64.0.10"},
		{"of those who have left they do", func(t *testing.T, b *book) time.Duration {
			three(real)(t, b)
			for i := range 3 {
				b.Forget(time.Minute, group(i))
			}
			return time.Minute + voteLife
		}, ""},
		{"but not at once", func(t *testing.T, b *book) time.Duration {
			three(real)(t, b)
			for i := range 3 {
				b.Forget(time.Minute, group(i))
			}
			return voteLife
		}, "25.64.0.10"},
		{"a private address is nobody's outside", three("tcp://192.168.1.7:1"), ""},
		{"a carrier's is not, either", three("tcp://100.64.0.7:1"), ""},
		{"another family's", three("tcp://[2a00::1]:1"), ""},
		{"neighbours do not know", func(t *testing.T, b *book) time.Duration {
			for i := range 5 {
				b.Observe(0, observation{From: netip.AddrFrom4([4]byte{10, byte(i), 1, 1}), Seen: addrs(t, real)[0], Dialled: true})
			}
			return 0
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBook(Config{})
			now := c.do(t, b)
			got := ""
			if ip, ok := b.votes.address(now, true); ok {
				got = ip.String()
			}
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			if ext := b.External(now); len(ext) > 0 != (c.want != "") {
				t.Errorf("external: %v", ext)
			}
		})
	}
}

func three(seen string) func(*testing.T, *book) time.Duration {
	return func(t *testing.T, b *book) time.Duration {
		for i := range 3 {
			see(t, b, 0, i, seen)
		}
		return 0
	}
}

// IPv6 has elections of its own, by /32.
func TestVotes6(t *testing.T) {
	b := newBook(Config{})
	for i := range 3 {
		from := netip.MustParseAddr(fmt.Sprintf("2a0%d::1", i))
		b.Observe(0, observation{From: from, Seen: addrs(t, "tcp://[2b00::9]:5")[0], Dialled: true})
		see(t, b, 0, i, "tcp://25.64.0.10:1")
	}
	if got := b.External(0); !slices.Equal(got, []netip.Addr{netip.MustParseAddr("25.64.0.10"), netip.MustParseAddr("2b00::9")}) {
		t.Errorf("%v", got)
	}
	if a, b := groupOf(netip.MustParseAddr("2a00:1::1")), groupOf(netip.MustParseAddr("2a00:1:ffff::1")); a != b {
		t.Errorf("%v, %v", a, b)
	}
}

// The table of groups is bounded; peers that were dialled find room in it, and lose none to those who came in.
func TestVotesFull(t *testing.T) {
	b := newBook(Config{})
	for i := range groupLimit {
		see(t, b, time.Duration(i), i, "tcp://66.6.6.6:1<")
	}
	late := observation{From: netip.MustParseAddr("40.1.1.1"), Seen: addrs(t, "tcp://25.64.0.10:1")[0]}
	if b.Observe(time.Second, late) || len(b.votes.groups) != groupLimit {
		t.Errorf("there was room for one more, %d groups", len(b.votes.groups))
	}
	late.Dialled = true
	if !b.Observe(time.Second, late) || len(b.votes.groups) != groupLimit || b.votes.groups[groupOf(group(0))] != nil {
		t.Errorf("no room for a peer that was dialled, %d groups", len(b.votes.groups))
	}
	b.Forget(time.Second, group(7))
	late.From = netip.MustParseAddr("41.1.1.1")
	late.Dialled = false
	if !b.Observe(time.Second+voteLife, late) {
		t.Error("no room although a group's word has aged")
	}
}

// A group that loses its place and gets one again keeps count of its peers: as long as one is connected its word counts.
func TestVotesOfAGroupThatComesBack(t *testing.T) {
	b := newBook(Config{})
	const real = "tcp://25.64.0.10:1"
	see(t, b, 0, 0, real+"<") // the oldest, and two more of its peers
	see(t, b, 0, 0, real+"<")
	for i := 1; i < groupLimit; i++ {
		see(t, b, time.Second, i, real+"<")
	}
	late := observation{From: netip.MustParseAddr("40.1.1.1"), Seen: addrs(t, real)[0], Dialled: true}
	if !b.Observe(2*time.Second, late) || b.votes.groups[groupOf(group(0))] != nil {
		t.Fatal("the oldest group has its place still")
	}
	b.Forget(3*time.Second, group(1)) // its word will have aged
	at := 4*time.Second + voteLife
	if !see(t, b, at, 0, real+"<") {
		t.Fatal("no place for the group's third peer")
	}
	b.Forget(at, group(0)) // the first two go
	b.Forget(at, group(0))
	if v := b.votes.groups[groupOf(group(0))]; !b.votes.live(groupOf(group(0)), v, at+2*voteLife) {
		t.Error("its third peer is connected, and its word has aged")
	}
	b.Forget(at, group(0))
	b.Forget(at, group(0)) // once too often
	if v := b.votes.groups[groupOf(group(0))]; b.votes.live(groupOf(group(0)), v, at+2*voteLife) {
		t.Error("all have gone, and its word has not aged")
	}
}

// A full table of peers that were dialled has no room for another.
func TestVotesFullOfDialled(t *testing.T) {
	b := newBook(Config{})
	for i := range groupLimit {
		see(t, b, 0, i, "tcp://25.64.0.10:1")
	}
	late := observation{From: netip.MustParseAddr("40.1.1.1"), Seen: addrs(t, "tcp://66.6.6.6:1")[0], Dialled: true}
	if b.Observe(time.Second, late) || b.votes.groups[groupOf(late.From)] != nil {
		t.Error("there was room")
	}
}

// Which of a peer's addresses are tried, from a host at home behind 25.64.0.10, and from others.
func TestOrder(t *testing.T) {
	for _, c := range []struct {
		name, bound, hosts, mapped, peer, want string
	}{
		{"a peer elsewhere: its private address would be somebody else's", "tcp://0.0.0.0:4001", "192.168.1.7/24", "tcp://25.64.0.10:4001",
			"tcp://25.64.0.20:4001 tcp://192.168.1.9:4001", "tcp://25.64.0.20:4001"},
		{"behind the same router: the private one first", "tcp://0.0.0.0:4001", "192.168.1.7/24", "tcp://25.64.0.10:4001",
			"tcp://25.64.0.10:4002 tcp://192.168.1.9:4001", "tcp://192.168.1.9:4001 tcp://25.64.0.10:4002"},
		{"behind the same router, in another network of it", "tcp://0.0.0.0:4001", "192.168.1.7/24", "tcp://25.64.0.10:4001",
			"tcp://25.64.0.10:4002 tcp://192.168.2.9:4001", "tcp://25.64.0.10:4002"},
		{"a network without an outside", "tcp://0.0.0.0:4001", "192.168.1.7/24", "", "tcp://192.168.1.9:4001", "tcp://192.168.1.9:4001"},
		{"it has an outside, the peer does not", "tcp://0.0.0.0:4001", "192.168.1.7/24", "tcp://25.64.0.10:4001", "tcp://192.168.1.9:4001", ""},
		{"a server has no neighbours", "tcp://0.0.0.0:4001", "25.64.0.1/24", "", "tcp://10.0.0.9:4001 tcp://25.64.0.20:4001", "tcp://25.64.0.20:4001"},
		{"a record that points at the reader", "tcp://0.0.0.0:4001", "192.168.1.7/24", "", "tcp://127.0.0.1:22 tcp://192.168.9.1:80", ""},
		{"all on one host", "tcp://127.0.0.1:4001", "127.0.0.1/8", "", "tcp://127.0.0.1:4002", "tcp://127.0.0.1:4002"},
		{"a node that only dials, on one host", "", "127.0.0.1/8", "", "tcp://127.0.0.1:4002", "tcp://127.0.0.1:4002"},
		{"nothing", "tcp://0.0.0.0:4001", "192.168.1.7/24", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBook(Config{})
			b.SetHost(addrs(t, c.bound), prefixes(c.hosts))
			b.SetMapped(addrs(t, c.mapped))
			if got := text(b.Order(0, addrs(t, c.peer))); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// In a network whose nodes are trusted, private addresses are tried, those next to this host first.
func TestOrderTryPrivate(t *testing.T) {
	b := newBook(Config{TryPrivate: true})
	b.SetHost(addrs(t, "tcp://0.0.0.0:4001"), prefixes("10.0.0.7/24 25.64.0.1/24"))
	if got := text(b.Order(0, addrs(t, "tcp://25.64.0.20:1 tcp://10.0.9.9:1 tcp://127.0.0.1:1 tcp://10.0.0.9:1"))); got !=
		"tcp://10.0.0.9:1 tcp://25.64.0.20:1 tcp://10.0.9.9:1 tcp://127.0.0.1:1" {
		t.Errorf("%q", got)
	}
}

// As long as liars have less than half of the weight, whatever they say and in whatever order: the address is the real one,
// and a mapping of it stays first in the record.
func TestOutvoted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBook(Config{})
		b.SetHost(addrs(t, "tcp://0.0.0.0:4001"), prefixes("192.168.1.7/24"))
		b.SetMapped(addrs(t, "tcp://25.64.0.10:4001"))
		honest := rapid.IntRange(quorum, 40).Draw(t, "honest groups, dialled")
		liars := rapid.IntRange(0, honest-1).Draw(t, "lying groups, dialled")
		intruders := 2 * rapid.IntRange(0, honest-liars-1).Draw(t, "lying groups that came in, in pairs")
		var says []func()
		for i := range honest {
			says = append(says, func() { see(t, b, 0, i, "tcp://25.64.0.10:9") })
		}
		for i := range liars + intruders {
			lie := rapid.SampledFrom([]string{"tcp://66.6.6.6:9", "tcp://25.64.0.11:4001", "tcp://10.0.0.1:9"}).Draw(t, "lie")
			if i >= liars {
				lie += "<"
			}
			for range rapid.IntRange(1, 3).Draw(t, "peers") {
				says = append(says, func() { see(t, b, 0, 100+i, lie) })
			}
		}
		for _, say := range rapid.Permutation(says).Draw(t, "order") {
			say()
		}
		if ip, ok := b.votes.address(0, true); !ok || ip.String() != "25.64.0.10" {
			t.Fatalf("%d honest groups, %d lying, %d intruders: %v, %v", honest, liars, intruders, ip, ok)
		}
		if got := b.Advertise(0)[0].String(); got != "tcp://25.64.0.10:4001" {
			t.Fatalf("advertised first: %v", got)
		}
		if len(b.votes.groups) > groupLimit {
			t.Fatalf("%d groups", len(b.votes.groups))
		}
	})
}

// Law: whatever observations come, the record's addresses are few, different, and such as a record can hold; what is
// configured or mapped is among them.
func FuzzBook(f *testing.F) {
	f.Add([]byte{30, 1, 66, 6, 1, 0, 30, 2, 66, 6, 1, 0, 30, 3, 66, 6, 1, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		b := newBook(Config{Public: addrs(t, "tcp://25.64.0.99:1")})
		b.SetHost(addrs(t, "tcp://0.0.0.0:4001 udp://[::]:4001"), prefixes("192.168.1.7/24 2a00::7/64"))
		b.SetMapped(addrs(t, "tcp://25.64.0.10:4001"))
		for now := time.Duration(0); len(in) >= 6; now += time.Minute {
			from, seen := netip.AddrFrom4([4]byte{in[0], in[1], 1, 1}), netip.AddrFrom4([4]byte{in[2], in[3], 1, 1})
			if in[5]&1 == 0 {
				b.Observe(now, observation{from, transport.Addr{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(seen, uint16(in[4]))}, in[5]&2 == 0})
			} else {
				b.Forget(now, from)
			}
			got := b.Advertise(now)
			if len(got) > identity.AddrLimit || len(unique(got)) != len(got) || got[0] != addrs(t, "tcp://25.64.0.99:1")[0] ||
				slices.ContainsFunc(got, func(a transport.Addr) bool { return a.Port() == 0 }) ||
				!slices.Contains(got, addrs(t, "tcp://25.64.0.10:4001")[0]) || len(b.votes.groups) > groupLimit {
				t.Fatalf("%v", got)
			}
			for _, a := range b.Order(now, got) {
				if a.Addr().IsLoopback() {
					t.Fatalf("%v is tried", a)
				}
			}
			in = in[6:]
		}
	})
}
