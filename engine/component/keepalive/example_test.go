package keepalive_test

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/keepalive"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// Two nodes of a simulated network have nothing to say to each other for an hour and stay connected. Then the host of one is
// gone, without a word, and the other notices. In a real program node.New adds the component.
func Example() {
	sim := simnet.New(1, simnet.Weather{Latency: 20 * time.Millisecond})
	start := func(number byte) (*engine.Network, *simnet.Host) {
		id, err := identity.FromSeed(context.Background(), [32]byte{number}, identity.Puzzle{})
		if err != nil {
			panic(err)
		}
		addr := netip.AddrFrom4([4]byte{10, 0, 0, number})
		host := sim.Host(addr)
		n, err := engine.New(engine.Config{
			Transport: host, Identity: id, Puzzle: &identity.Puzzle{}, WeakPuzzle: true,
			Listen: []transport.Addr{{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(addr, 4001)}},
		})
		if err == nil {
			err = n.AddComponent(&keepalive.Component{Every: 15 * time.Second, Timeout: 45 * time.Second}) // the defaults
		}
		if err == nil {
			err = n.Start(context.Background())
		}
		if err != nil {
			panic(err)
		}
		return n, host
	}
	a, _ := start(1)
	b, host := start(2)
	var peer *engine.PeerClient
	if err := a.DialAsync(b.Target(), func(p *engine.PeerClient, _ error) { peer = p }); err != nil {
		panic(err)
	}
	sim.Run(time.Hour)
	fmt.Println(peer.Connected(), peer.RTT())

	host.Vanish()
	sim.Run(time.Minute)
	fmt.Println(peer.Connected(), peer.CloseReason())
	// Output:
	// true 40ms
	// false engine: closed here: timeout: silent for too long
}
