package metric_test

import (
	"context"
	"fmt"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/metric"
	"github.com/carrier-p2p/carrier/engine/node"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// The stock node measures its peers when it is asked to, and answers those who measure it.
func Example() {
	ctx := context.Background()
	start := func(listen ...string) *engine.Network {
		n, err := node.New(node.Config{Listen: listen, Puzzle: &identity.Puzzle{}, WeakPuzzle: true})
		if err == nil {
			err = n.Start(ctx)
		}
		if err != nil {
			panic(err)
		}
		return n
	}
	server, client := start("tcp://127.0.0.1:0"), start()
	defer server.Shutdown(ctx)
	defer client.Shutdown(ctx)
	peer, err := client.Dial(ctx, server.Target().String())
	if err != nil {
		panic(err)
	}
	meter, _ := engine.ComponentOf[*metric.Component](client)
	rate, err := meter.Measure(ctx, peer, 1<<20)
	fmt.Println(rate.Bytes, rate.RTT > 0, rate.Second > 0, err)
	peers, err := meter.Peers(ctx, 10)
	fmt.Println(len(peers), err)
	// Output:
	// 1048576 true true <nil>
	// 1 <nil>
}
