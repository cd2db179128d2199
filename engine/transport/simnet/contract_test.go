package simnet_test

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/engine/transport/transporttest"
)

var (
	home   = netip.MustParseAddr("10.0.0.1")
	nobody = netip.MustParseAddr("10.0.0.98")
	gone   = netip.MustParseAddr("10.0.0.99")
)

func tcp(ip netip.Addr, port uint16) transport.Addr {
	return transport.Addr{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(ip, port)}
}

// contractNet is a Net for the contract's tests: every transport at one address, one address that is silent.
func contractNet(n *simnet.Net) *transporttest.Net {
	n.Host(gone).Vanish()
	return &transporttest.Net{
		New:      func() transport.Transport { return n.Host(home) },
		Listen:   func() transport.Addr { return tcp(home, 0) },
		Refusing: func() transport.Addr { return tcp(nobody, 4001) },
		Silent:   func() transport.Addr { return tcp(gone, 4001) },
	}
}

// TestContract is the transport contract under manual stepping, in good weather and in bad.
func TestContract(t *testing.T) {
	for name, w := range map[string]simnet.Weather{
		"calm":   {},
		"stormy": {Jitter: 2 * time.Millisecond, Loss: 0.01, Cut: 0.5},
		"narrow": {Rate: 4 << 20, Cut: 0.1},
	} {
		t.Run(name, func(t *testing.T) {
			transporttest.Run(t, func(testing.TB) *transporttest.Net {
				n := simnet.New(1, w)
				c := contractNet(n)
				c.Serial = true
				c.Step = func(<-chan struct{}) bool { return n.Step() }
				return c
			})
		})
	}
}

// TestContractServed is the contract while Serve runs in real time, with calls from several goroutines. The latency is
// short, as it is really waited for.
func TestContractServed(t *testing.T) {
	transporttest.Run(t, func(t testing.TB) *transporttest.Net {
		n := simnet.New(1, simnet.Weather{Latency: 10 * time.Microsecond, Cut: 0.2})
		ctx, cancel := context.WithCancel(t.Context())
		var serving sync.WaitGroup
		serving.Go(func() { n.Serve(ctx) })
		t.Cleanup(func() { cancel(); serving.Wait() })
		c := contractNet(n)
		c.Step = func(changed <-chan struct{}) bool {
			select {
			case <-changed:
				return true
			case <-time.After(time.Minute):
				return false
			}
		}
		return c
	})
}
