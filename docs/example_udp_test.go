package docs_test

import (
	"context"
	"fmt"

	"github.com/carrier-p2p/carrier/engine/node"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/udpio"
)

// Not run by the tests: it makes an identity and binds a port.
func Example_overUDP() {
	ctx := context.Background()
	n, err := node.New(node.Config{
		Listen:     []string{"tcp://0.0.0.0:4001", "udp://0.0.0.0:4001"},
		Transports: []transport.Transport{udpio.New(udpio.Config{})},
	})
	check(err)
	check(n.Start(ctx))

	p, err := n.Dial(ctx, "udp://198.51.100.7:4001")
	check(err)
	fmt.Println(p.Reliable(), p.MessageLimit()) // false 1155
}
