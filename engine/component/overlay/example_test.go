package overlay_test

import (
	"context"
	"fmt"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/discovery"
	"github.com/carrier-p2p/carrier/engine/component/overlay"
	ready "github.com/carrier-p2p/carrier/engine/node"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
)

// Three nodes on loopback. The third sends a message to the second, of which it knows the ID and nothing else; and one to
// whoever is closest to a key, which is whose ID the key is, if there is one.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	start := func(heard chan overlay.Message, bootstrap ...string) (*engine.Network, *overlay.Component) {
		n, err := ready.New(ready.Config{
			Listen: []string{"tcp://127.0.0.1:0"},
			Puzzle: &identity.Puzzle{}, WeakPuzzle: true, // for an example: identities cost nothing
			Overlay: &ready.Overlay{
				Bootstrap: bootstrap, Scope: skad.Private, // addresses of this machine count
				Routed: overlay.Config{Deliver: overlay.To(heard)},
			},
		})
		if err == nil {
			err = n.Start(ctx)
		}
		if d, _ := engine.ComponentOf[*discovery.Component](n); err == nil && len(bootstrap) > 0 {
			err = d.Wait(ctx) // joined
		}
		if err != nil {
			panic(err)
		}
		o, _ := engine.ComponentOf[*overlay.Component](n)
		return n, o
	}
	heard := [3]chan overlay.Message{make(chan overlay.Message, 8), make(chan overlay.Message, 8), make(chan overlay.Message, 8)}
	first, _ := start(heard[0])
	defer first.Shutdown(ctx)
	at := first.Target().String()
	second, _ := start(heard[1], at)
	defer second.Shutdown(ctx)
	third, o := start(heard[2], at)
	defer third.Shutdown(ctx)

	if err := o.SendTo(ctx, second.ID(), []byte("psst")); err != nil { // returns when the second says that it has it
		panic(err)
	}
	m := <-heard[1]
	fmt.Printf("the second: %s, from the third: %v\n", m.Payload, m.Origin == third.ID())

	if err := o.Route(ctx, skad.IDOf(first.ID()), []byte("for the closest")); err != nil {
		panic(err)
	}
	fmt.Printf("the first: %s\n", (<-heard[0]).Payload)
	// Output:
	// the second: psst, from the third: true
	// the first: for the closest
}
