package gnetio

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/transporttest"
)

// patience is how long a test waits for something that must happen. It is no measure of anything: a broken test ends by it.
const patience = time.Minute

// TestContract holds this transport to what every transport promises.
func TestContract(t *testing.T) {
	for name, cfg := range map[string]Config{
		"loops=1": {Loops: 1},
		"loops=3": {Loops: 3, ReadBuffer: 64 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			transporttest.Run(t, func(t testing.TB) *transporttest.Net {
				return &transporttest.Net{
					New:      func() transport.Transport { return New(cfg) },
					Listen:   loopback,
					Refusing: func() transport.Addr { return refusing(t) },
					Silent:   silentNet(t),
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

// loopback is an address to listen on.
func loopback() transport.Addr {
	return transport.Addr{Proto: transport.TCP, AddrPort: netip.MustParseAddrPort("127.0.0.1:0")}
}

// refusing is an address that was listened on a moment ago, and is not now.
func refusing(t testing.TB) transport.Addr {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return addrOf(ln.Addr().(*net.TCPAddr).AddrPort())
}
