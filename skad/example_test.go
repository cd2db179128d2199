package skad_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
)

// Two nodes on one machine, with the whole network between them being a loop: what one wants to send the other
// receives. A real node does the same with sessions instead of a map, and a timer instead of counting.
func Example() {
	puzzle := identity.Puzzle{} // a network of examples asks for no work
	nodes := map[skad.ID]*skad.Core{}
	now := time.Duration(0)

	newNode := func(port int) *skad.Core {
		key, err := identity.Generate(context.Background(), puzzle, identity.GenerateOptions{})
		if err != nil {
			panic(err)
		}
		addr, _ := transport.ParseAddr(fmt.Sprintf("tcp://127.0.0.1:%d", port))
		record, err := key.NewRecord([]transport.Addr{addr}, 1, 0)
		if err != nil {
			panic(err)
		}
		cfg := skad.Config{Verifier: skad.Records(puzzle), Scope: skad.Private}
		core, err := skad.New(cfg, skad.NewContact(*record, skad.Private), rand.New(rand.NewPCG(uint64(port), 0)), now)
		if err != nil {
			panic(err)
		}
		nodes[core.Self().ID] = core
		return core
	}

	// carry takes the actions of a core to their ends, and then those that this causes.
	var carry func(from *skad.Core)
	carry = func(from *skad.Core) {
		for {
			a, ok := from.Next()
			if !ok {
				return
			}
			switch a.Kind {
			case skad.ActionSend:
				to := nodes[a.To.ID]
				message, err := skad.ParseMessage(a.Message.Op, a.Message.Append(nil), skad.Private)
				if err != nil {
					panic(err)
				}
				to.Receive(now, skad.Peer{Contact: from.Self(), Reached: true}, &message)
				carry(to)
			case skad.ActionReady:
				fmt.Println("joined")
			case skad.ActionDeliver:
				fmt.Printf("received %q\n", a.Message.Payload)
			}
		}
	}

	first, second := newNode(4001), newNode(4002)
	second.Bootstrap(now, []*skad.Contact{first.Self()})
	carry(second)
	fmt.Println("they know each other:", first.Len() == 1 && second.Len() == 1)

	if _, err := second.Route(now, first.Self().ID, []byte("hello"), 1); err != nil {
		panic(err)
	}
	carry(second)
	// Output:
	// joined
	// they know each other: true
	// received "hello"
}
