package protobuf_test

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/node"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode/codec/protobuf"
)

// Generated types are messages. Both ends name the codec where they register them.
func Example() {
	ctx := context.Background()
	start := func(listen ...string) *engine.Network {
		n, err := node.New(node.Config{
			Listen: listen,
			Puzzle: &identity.Puzzle{}, WeakPuzzle: true, // for an example that takes no time
		})
		if err == nil {
			err = engine.Handle(n, 1000, func(ctx *engine.ComponentContext, m *wrapperspb.StringValue) error {
				return ctx.Reply(wrapperspb.String(m.GetValue() + " to you"))
			}, engine.WithCodec(protobuf.Codec()))
		}
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
	reply, err := engine.Call[*wrapperspb.StringValue](ctx, peer, wrapperspb.String("hello"))
	fmt.Println(reply.GetValue(), err)
	// Output: hello to you <nil>
}
