package handshake_test

import (
	"context"
	"fmt"
	"time"

	"github.com/carrier-p2p/carrier/handshake"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// Two machines prove themselves to each other without a network, and a first record goes across.
func Example() {
	config := func() *handshake.Config {
		id, err := identity.Generate(context.Background(), identity.Puzzle{}, identity.GenerateOptions{})
		if err != nil {
			panic(err)
		}
		record, err := id.NewRecord(nil, 1, identity.FlagClient)
		if err != nil {
			panic(err)
		}
		return &handshake.Config{Identity: id, Record: record.Append(nil), NetworkID: "example"}
	}
	alice, bob := config(), config()

	now := 3 * time.Second // engine time, an argument
	a, _ := handshake.NewInitiator(alice, now, bob.Identity.ID())
	b, _ := handshake.NewResponder(bob, now)
	for from, to := a, b; ; from, to = to, from {
		out, ok := from.Next()
		if !ok {
			break
		}
		msg, _, err := handshake.NextMessage(out) // on a stream: cuts it, says how far it got
		if err != nil {
			panic(err)
		}
		if err := to.Receive(now, msg); err != nil {
			panic(err)
		}
	}
	fmt.Println("done:", a.Done(), b.Done())
	ra, rb := a.Result(), b.Result()
	fmt.Println("proven:", ra.ID == bob.Identity.ID(), rb.ID == alice.Identity.ID(), "same session:", ra.Binding == rb.Binding)

	rec := append([]byte{5 + 16, 0, 0, 0}, "hello"...)
	rec = append(rec, make([]byte, 16)...)
	if err := ra.Send.Seal(ra.Send.Expand(), rec); err != nil {
		panic(err)
	}
	plain, err := rb.Recv.Open(rb.Recv.Expand(), rec[:4], rec[4:])
	fmt.Printf("%s %v\n", plain, err)
	// Output:
	// done: true true
	// proven: true true same session: true
	// hello <nil>
}
