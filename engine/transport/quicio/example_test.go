package quicio_test

import (
	"context"
	"fmt"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/node"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/quicio"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// A node that listens on TCP and QUIC, and one that reaches it by whichever leads there.
func Example() {
	ctx := context.Background()
	start := func(listen ...string) *engine.Network {
		net, err := node.New(node.Config{
			Listen:     listen,
			Transports: []transport.Transport{quicio.New(quicio.Config{})}, // beside TCP
			Puzzle:     &identity.Puzzle{}, WeakPuzzle: true,               // for an example that takes no time
		})
		if err == nil {
			err = net.Start(ctx)
		}
		if err != nil {
			panic(err)
		}
		return net
	}
	server, client := start("tcp://127.0.0.1:0", "quic://127.0.0.1:0"), start()
	defer server.Shutdown(ctx)
	defer client.Shutdown(ctx)

	peer, err := client.DialNode(ctx, server.ID(), server.Record().Addrs)
	if err != nil {
		panic(err)
	}
	fmt.Println("over", peer.RemoteAddr().Proto, "and known:", peer.ID() == server.ID())
	// Output: over tcp and known: true
}
