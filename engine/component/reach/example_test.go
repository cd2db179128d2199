package reach_test

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/reach"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// A node and three of its peers, each in a network of its own, on a simulated Internet. The peers dial the node back, and it
// knows that it can be a server. In a real program node.Config.Overlay adds the component.
func Example() {
	sim := simnet.New(1, simnet.Weather{Latency: 20 * time.Millisecond})
	start := func(number byte, ip string) (*engine.Network, *reach.Component) {
		id, err := identity.FromSeed(context.Background(), [32]byte{number}, identity.Puzzle{})
		if err != nil {
			panic(err)
		}
		at := netip.MustParseAddr(ip)
		n, err := engine.New(engine.Config{
			Transport: sim.Host(at), Identity: id, Puzzle: &identity.Puzzle{}, WeakPuzzle: true,
			Listen: []transport.Addr{{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(at, 4001)}},
		})
		if err != nil {
			panic(err)
		}
		r, err := reach.New(reach.Config{})
		if err == nil {
			err = n.AddComponent(r)
		}
		if err == nil {
			err = n.Start(context.Background())
		}
		if err != nil {
			panic(err)
		}
		return n, r
	}
	n, r := start(1, "25.64.0.10")
	for i, ip := range []string{"30.1.0.1", "30.2.0.1", "30.3.0.1"} {
		peer, _ := start(byte(i+2), ip)
		if err := n.DialAsync(peer.Target(), func(*engine.PeerClient, error) {}); err != nil {
			panic(err)
		}
	}
	fmt.Println(r.Reachability())
	sim.Run(10 * time.Second)

	fmt.Println(r.Reachability())
	fmt.Println("client:", n.Record().Flags&identity.FlagClient != 0)
	// Output:
	// unknown, nobody was asked
	// reachable at tcp://25.64.0.10:4001, 3 of 3 networks came in
	// client: false
}
