package backoff_test

import (
	"context"
	"fmt"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/backoff"
	"github.com/carrier-p2p/carrier/engine/node"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// A peer that is to stay connected: it is dialled now, and again whenever it is lost.
func Example() {
	ctx := context.Background()
	home, away := example("tcp://127.0.0.1:0"), example()
	defer home.Shutdown(ctx)
	defer away.Shutdown(ctx)
	events := away.Events(ctx)

	again, _ := engine.ComponentOf[*backoff.Component](away)
	target := home.Target()
	if err := again.Enable(target); err != nil {
		panic(err)
	}
	for ups := 0; ups < 2; {
		if e := <-events; e.Kind == engine.PeerUp {
			ups++
			fmt.Println(e.ID == home.ID())
			e.Peer.Disconnect(engine.CodeTimeout, "as if it had been silent")
		}
	}
	fmt.Println(again.Disable(home.ID())) // from now on it is not dialled
	// Output:
	// true
	// true
	// <nil>
}

// example starts a node that reconnects at once.
func example(listen ...string) *engine.Network {
	n, err := node.New(node.Config{Listen: listen, Puzzle: &identity.Puzzle{}, WeakPuzzle: true, Reconnect: &backoff.Config{First: 1e6}})
	if err == nil {
		err = n.Start(context.Background())
	}
	if err != nil {
		panic(err)
	}
	return n
}
