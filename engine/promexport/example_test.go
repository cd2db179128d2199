package promexport_test

import (
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/carrier-p2p/carrier/engine/node"
	"github.com/carrier-p2p/carrier/engine/promexport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

func Example() {
	net, err := node.New(node.Config{Puzzle: &identity.Puzzle{}, WeakPuzzle: true})
	if err != nil {
		panic(err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(promexport.NewCollector(net))
	families, err := registry.Gather()
	if err != nil {
		panic(err)
	}
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "carrier_peers") {
			fmt.Println(f.GetName(), f.GetHelp())
		}
	}
	// Output:
	// carrier_peers Open peers, by the side that dialled.
	// carrier_peers_limit The most there may be.
}
