package identity

import (
	"bytes"
	"context"
	"net/netip"
	"testing"

	"go.uber.org/goleak"

	"github.com/carrier-p2p/carrier/engine/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// smallPuzzle is hard enough that a wrong check shows and easy enough for a test: 16 keys and 256 hashes.
var smallPuzzle = Puzzle{StaticBits: 4, DynamicBits: 8}

// generate makes an identity that depends on number only.
func generate(t testing.TB, number byte, p Puzzle) *Identity {
	t.Helper()
	id, err := Generate(context.Background(), p, GenerateOptions{Rand: bytes.NewReader(bytes.Repeat([]byte{number}, 32))})
	if err != nil {
		t.Fatalf("Generate: %v", err)
	}
	return id
}

func addr(t testing.TB, s string) transport.Addr {
	t.Helper()
	a, err := transport.ParseAddr(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// manyAddrs returns n different IPv6 addresses, the longest kind.
func manyAddrs(n int) []transport.Addr {
	var out []transport.Addr
	for i := range n {
		ip := netip.MustParseAddr("2001:db8::1").As16()
		ip[15] = byte(i + 1)
		out = append(out, transport.Addr{Proto: transport.QUIC, AddrPort: netip.AddrPortFrom(netip.AddrFrom16(ip), 4001)})
	}
	return out
}
