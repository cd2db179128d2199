// Command hello embeds two nodes in one program and has one greet the other over an authenticated, encrypted connection.
//
//	go run ./examples/hello
//
// It takes a few seconds: each node first solves the proof of work behind its identity. A node that sets IdentityFile
// does that once in its life. Both nodes are in one process only to make the example one command; nothing is shared
// between them but the type of the message and its number.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/node"
)

// A Greeting is a message: any Go type, sent as plain little-endian bytes.
type Greeting struct{ Text string }

func main() {
	ctx := context.Background()
	server, client := start(ctx, "tcp://127.0.0.1:0"), start(ctx)
	defer server.Shutdown(ctx)
	defer client.Shutdown(ctx)

	target := server.Target()
	peer, err := client.Dial(ctx, target.String())
	check(err)
	reply, err := engine.Call[*Greeting](ctx, peer, &Greeting{"hello"})
	check(err)
	fmt.Println(reply.Text)
}

// start runs a node that answers greetings.
func start(ctx context.Context, listen ...string) *engine.Network {
	net, err := node.New(node.Config{Listen: listen})
	check(err)
	check(engine.Handle(net, 1000, func(ctx *engine.ComponentContext, g *Greeting) error {
		return ctx.Reply(&Greeting{g.Text + " to you, " + ctx.Client().ID().Short()})
	}))
	check(net.Start(ctx))
	return net
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
