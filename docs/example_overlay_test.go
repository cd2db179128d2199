package docs_test

import (
	"context"
	"fmt"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/broadcast"
	"github.com/carrier-p2p/carrier/engine/component/discovery"
	"github.com/carrier-p2p/carrier/engine/component/overlay"
	"github.com/carrier-p2p/carrier/engine/component/reach"
	"github.com/carrier-p2p/carrier/engine/node"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
)

func Example_overlay() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	first, done := member(ctx, make(chan broadcast.Message, 8), make(chan overlay.Message, 8))
	defer done()

	heard, told := make(chan broadcast.Message, 64), make(chan overlay.Message, 64)
	net, err := node.New(node.Config{
		Listen: []string{"tcp://127.0.0.1:0"},
		Puzzle: &identity.Puzzle{}, WeakPuzzle: true, // for an example: identities cost nothing
		Overlay: &node.Overlay{
			Bootstrap: []string{first.Target().String()},
			Scope:     skad.Private, // addresses of this machine count
			Broadcast: broadcast.Config{Deliver: broadcast.To(heard)},
			Routed:    overlay.Config{Deliver: overlay.To(told)},
		},
	})
	check(err)
	check(net.Start(ctx))
	defer func() { _ = net.Shutdown(ctx) }()
	disc, _ := engine.ComponentOf[*discovery.Component](net)
	check(disc.Wait(ctx)) // joined

	all, _ := engine.ComponentOf[*broadcast.Component](first)
	_, err = all.Broadcast(ctx, []byte("to everybody"))
	check(err)
	one, _ := engine.ComponentOf[*overlay.Component](first)
	check(one.SendTo(ctx, net.ID(), []byte("to you")))
	fmt.Printf("%s, %s\n", (<-heard).Payload, (<-told).Payload)
	// Output: to everybody, to you
}

func Example_reachability() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	net, done := member(ctx, make(chan broadcast.Message, 8), make(chan overlay.Message, 8))
	defer done()

	others, _ := engine.ComponentOf[*reach.Component](net)
	r := others.Reachability()
	fmt.Println(r.Verdict, r.Client, r) // on the Internet: unreachable true unreachable, 0 of 3 networks came in
	for _, v := range r.Votes {
		fmt.Println(v.Network, v.Addr, v.Answer)
	}
	// Output: unknown false unknown, nobody was asked
}

// member starts the first node of an overlay.
func member(ctx context.Context, heard chan broadcast.Message, told chan overlay.Message) (*engine.Network, func()) {
	n, err := node.New(node.Config{
		Listen: []string{"tcp://127.0.0.1:0"}, Puzzle: &identity.Puzzle{}, WeakPuzzle: true,
		Overlay: &node.Overlay{
			Scope: skad.Private, Broadcast: broadcast.Config{Deliver: broadcast.To(heard)}, Routed: overlay.Config{Deliver: overlay.To(told)},
		},
	})
	check(err)
	check(n.Start(ctx))
	return n, func() { _ = n.Shutdown(ctx) }
}
