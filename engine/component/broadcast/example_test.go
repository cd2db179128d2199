package broadcast_test

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/broadcast"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
)

// Three nodes in a simulated network, connected with each other; one speaks, the others hear it, once. In a real program
// node.Config.Overlay makes nodes find each other and adds the component.
func Example() {
	sim := simnet.New(1, simnet.Weather{Latency: 20 * time.Millisecond})
	var nodes []*engine.Network
	var casts []*broadcast.Component
	for i := range byte(3) {
		id, err := identity.FromSeed(context.Background(), [32]byte{i}, identity.Puzzle{})
		if err != nil {
			panic(err)
		}
		addr := netip.AddrFrom4([4]byte{10, 0, 0, i + 1})
		n, err := engine.New(engine.Config{
			Transport: sim.Host(addr), Identity: id, Puzzle: &identity.Puzzle{}, WeakPuzzle: true,
			Listen: []transport.Addr{{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(addr, 4001)}},
		})
		if err != nil {
			panic(err)
		}
		c, err := broadcast.New(broadcast.Config{
			Scope: skad.Private,
			Deliver: func(m broadcast.Message) bool {
				fmt.Printf("node %d: %s\n", i, m.Payload)
				return true
			},
		})
		if err != nil {
			panic(err)
		}
		if err := n.AddComponent(c); err != nil {
			panic(err)
		}
		if err := n.Start(context.Background()); err != nil {
			panic(err)
		}
		for _, other := range nodes {
			if err := n.DialAsync(other.Target(), func(*engine.PeerClient, error) {}); err != nil {
				panic(err)
			}
		}
		nodes, casts = append(nodes, n), append(casts, c)
	}
	sim.Run(time.Second)

	if err := casts[0].BroadcastAsync([]byte("for everybody"), nil); err != nil {
		panic(err)
	}
	sim.Run(time.Second)
	// Unordered output:
	// node 1: for everybody
	// node 2: for everybody
}
