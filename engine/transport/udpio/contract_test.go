package udpio

import (
	"net/netip"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/transporttest"
)

// patience is how long a test waits for something that must happen.
const patience = time.Minute

// configs are the shapes of a transport that every test is run with.
var configs = map[string]Config{"loops=1": {Loops: 1}, "loops=3": {Loops: 3}, "plain": {Plain: true}}

// TestContract holds this transport to what every transport over datagrams promises.
func TestContract(t *testing.T) {
	for name, cfg := range configs {
		t.Run(name, func(t *testing.T) {
			transporttest.RunDatagrams(t, func(testing.TB) *transporttest.Net {
				return &transporttest.Net{
					New:      func() transport.Transport { return New(cfg) },
					Listen:   func() transport.Addr { return at("127.0.0.1:0") },
					Refusing: func() transport.Addr { return at("127.0.0.1:1") },
					Silent:   func() transport.Addr { return at("127.0.0.1:1") },
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

func at(s string) transport.Addr {
	return transport.Addr{Proto: transport.UDP, AddrPort: netip.MustParseAddrPort(s)}
}
