package addressmap_test

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/addressmap"
	"github.com/carrier-p2p/carrier/engine/node"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// A node has the address map from the beginning; here it is told what a router maps, as component/natmap would tell it.
func Example() {
	n, err := node.New(node.Config{Listen: []string{"tcp://127.0.0.1:0"}, Puzzle: &identity.Puzzle{}, WeakPuzzle: true})
	if err != nil {
		panic(err)
	}
	if err := n.Start(context.Background()); err != nil {
		panic(err)
	}
	defer n.Shutdown(context.Background())

	addresses, _ := engine.ComponentOf[*addressmap.Component](n)
	mapped := transport.Addr{Proto: transport.TCP, AddrPort: netip.MustParseAddrPort("25.64.0.10:4001")}
	addresses.SetMapped(n.Addrs(), []transport.Addr{mapped})

	fmt.Println(n.Record().Addrs[0], addresses.External())
	// Output:
	// tcp://25.64.0.10:4001 [25.64.0.10]
}
