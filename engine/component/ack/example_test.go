package ack_test

import (
	"context"
	"fmt"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/ack"
	"github.com/carrier-p2p/carrier/engine/node"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

type order struct{ Number uint32 }

// A message that its receiver refuses at first is handed to it again, until it has been taken.
func Example() {
	ctx := context.Background()
	start := func(listen ...string) *engine.Network {
		n, err := node.New(node.Config{Listen: listen, Puzzle: &identity.Puzzle{}, WeakPuzzle: true, Ack: ack.Config{Retry: time.Millisecond}})
		if err != nil {
			panic(err)
		}
		return n
	}
	shop, customer := start("tcp://127.0.0.1:0"), start()
	defer shop.Shutdown(ctx)
	defer customer.Shutdown(ctx)
	busy := true
	_ = engine.Register[order](customer, 1000)
	_ = engine.Handle(shop, 1000, func(ctx *engine.ComponentContext, o *order) error {
		if busy {
			busy = false
			return fmt.Errorf("come back later")
		}
		fmt.Println("order", o.Number)
		return nil
	})
	if shop.Start(ctx) != nil || customer.Start(ctx) != nil {
		return
	}
	peer, err := customer.Dial(ctx, shop.Target().String())
	if err != nil {
		panic(err)
	}
	acks, _ := engine.ComponentOf[*ack.Component](customer)
	fmt.Println(acks.SendAck(ctx, peer.ID(), &order{7}))
	s := acks.Stats()
	fmt.Println(s.Sent, s.Acked, s.Resent >= 1)
	// Output:
	// order 7
	// <nil>
	// 1 1 true
}
