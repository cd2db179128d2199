package quicio

import (
	"crypto/ed25519"
	"crypto/rand"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/transporttest"
)

// patience is how long a test waits for something that must happen. It is no measure of anything: a broken test ends by it.
const patience = 60 * time.Second

// TestContract holds this transport to what every transport promises.
func TestContract(t *testing.T) {
	for name, cfg := range map[string]Config{"loops=1": {Loops: 1}, "loops=3": {Loops: 3}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it waits more than it works: for dials that nobody answers, and for closing connections
			transporttest.Run(t, func(t testing.TB) *transporttest.Net {
				silent := silentAddr(t)
				return &transporttest.Net{
					New:      func() transport.Transport { return withKey(t, cfg) },
					Listen:   loopback,
					Refusing: func() transport.Addr { return silent }, // UDP does not tell the two apart
					Silent:   func() transport.Addr { return silent },
					Step: func(changed <-chan struct{}) bool {
						select {
						case <-changed:
							return true
						case <-time.After(patience):
							return false
						}
					},
				}
			})
		})
	}
}

// withKey makes a Transport with a key of its own.
func withKey(t testing.TB, cfg Config) *Transport {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tr := New(cfg)
	tr.Prove(key)
	return tr
}

// loopback is an address to listen on.
func loopback() transport.Addr {
	return transport.Addr{Proto: transport.QUIC, AddrPort: netip.MustParseAddrPort("127.0.0.1:0")}
}

// silentAddr is an address whose owner takes datagrams and says nothing.
func silentAddr(t testing.TB) transport.Addr {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return addrOf(c.LocalAddr())
}
