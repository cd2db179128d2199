package discovery_test

import (
	"context"
	"fmt"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/discovery"
	ready "github.com/carrier-p2p/carrier/engine/node"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
)

// Three nodes on loopback: the second and the third know the first and not each other. The third finds the second by its ID,
// and is connected with it.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	start := func(bootstrap ...string) (*engine.Network, *discovery.Component) {
		n, err := ready.New(ready.Config{
			Listen: []string{"tcp://127.0.0.1:0"},
			Puzzle: &identity.Puzzle{}, WeakPuzzle: true, // for an example: identities cost nothing
			Overlay: &ready.Overlay{Bootstrap: bootstrap, Scope: skad.Private}, // addresses of this machine count
		})
		if err == nil {
			err = n.Start(ctx)
		}
		if err != nil {
			panic(err)
		}
		d, _ := engine.ComponentOf[*discovery.Component](n)
		if len(bootstrap) > 0 {
			if err := d.Wait(ctx); err != nil { // joined
				panic(err)
			}
		}
		return n, d
	}
	first, _ := start()
	defer first.Shutdown(ctx)
	at := first.Target().String()
	second, _ := start(at)
	defer second.Shutdown(ctx)
	third, d := start(at)
	defer third.Shutdown(ctx)

	peer, err := d.FindPeer(ctx, second.ID())
	if err != nil {
		panic(err)
	}
	fmt.Println("found:", peer.ID() == second.ID(), peer.Connected())

	near, err := d.Closest(ctx, skad.IDOf(first.ID()), skad.LookupOptions{}) // whoever is responsible for a key
	if err != nil {
		panic(err)
	}
	fmt.Println("closest to the first one's ID:", near.Closest[0].ID == skad.IDOf(first.ID()))
	// Output:
	// found: true true
	// closest to the first one's ID: true
}
