package transport_test

import (
	"errors"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/carrier-p2p/carrier/engine/transport"
)

func TestParseAddr(t *testing.T) {
	for _, c := range []struct {
		in    string
		proto transport.Proto
		at    string
	}{
		{"tcp://198.51.100.7:4001", transport.TCP, "198.51.100.7:4001"},
		{"udp://[2001:db8::1]:1", transport.UDP, "[2001:db8::1]:1"},
		{"quic://0.0.0.0:0", transport.QUIC, "0.0.0.0:0"},
		{"tcp://[::ffff:192.0.2.1]:9", transport.TCP, "192.0.2.1:9"},
		{"proto-128://127.0.0.1:9", transport.PrivateProto, "127.0.0.1:9"},
		{"proto-255://127.0.0.1:9", 255, "127.0.0.1:9"},
	} {
		got, err := transport.ParseAddr(c.in)
		if want := (transport.Addr{Proto: c.proto, AddrPort: netip.MustParseAddrPort(c.at)}); err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", c.in, got, err, want)
		}
	}
	for _, in := range []string{"", "tcp", "://1.2.3.4:5", "198.51.100.7:4001", "TCP://198.51.100.7:4001", "tcp://198.51.100.7", "tcp://host:1",
		"tcp://198.51.100.7:65536", "tcp://1:2:3", "sctp://198.51.100.7:1", "proto-://1.2.3.4:5", "proto-0://1.2.3.4:5",
		"proto-1://1.2.3.4:5", "proto-0128://1.2.3.4:5", "proto-256://1.2.3.4:5", "proto-+9://1.2.3.4:5", "9://1.2.3.4:5"} {
		if got, err := transport.ParseAddr(in); !errors.Is(err, transport.ErrAddress) {
			t.Errorf("%q: %v, %v; want ErrAddress", in, got, err)
		}
	}
}

// Whatever is written is read back as the same address.
func TestAddrRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "ip")
		if rapid.Bool().Draw(t, "six") {
			raw = rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "ip6")
		}
		ip, _ := netip.AddrFromSlice(raw)
		a := transport.Addr{
			Proto:    transport.Proto(rapid.Uint8Min(1).Draw(t, "proto")),
			AddrPort: netip.AddrPortFrom(ip.Unmap(), rapid.Uint16().Draw(t, "port")),
		}
		if got, err := transport.ParseAddr(a.String()); err != nil || got != a {
			t.Fatalf("%v was read as %v, %v", a, got, err)
		}
	})
	if got := (transport.Addr{}).String(); got != "none" {
		t.Errorf("no address is %q", got)
	}
}
