package docs_test

import (
	"context"
	"fmt"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/natmap"
	"github.com/carrier-p2p/carrier/engine/node"
)

// Not run by the tests: it would ask the router of whoever runs them.
func Example_mapPorts() {
	ctx := context.Background()
	n, err := node.New(node.Config{Listen: []string{"tcp://0.0.0.0:4001"}, IdentityFile: "carrier.id", MapPorts: true})
	check(err)
	events := n.Events(ctx)
	check(n.Start(ctx)) // does not wait for the router

	for e := range events {
		if e.Kind == engine.Reachability {
			fmt.Println(e.Text) // mapped (NAT-PMP at 192.168.1.1) tcp/4001 25.64.0.10:4001
			fmt.Println(n.Record().Addrs)
		}
	}
}

// Not run by the tests, for the same reason.
func Example_mapReport() {
	ctx := context.Background()
	n, err := node.New(node.Config{MapPorts: true})
	check(err)
	check(n.Start(ctx))

	router, _ := engine.ComponentOf[*natmap.Component](n)
	r := router.Report()
	fmt.Println(r.Kind(), r.Gateway.Addr, r.Mappings)
	for _, protocol := range r.Agents {
		fmt.Println(protocol.Via, protocol.Answers, protocol.Address, protocol.Err)
	}
}
