package identity_test

import (
	"context"
	"fmt"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// A network's puzzle is solved once; after that every record says where the node is and proves who says so.
func Example() {
	puzzle := identity.Puzzle{StaticBits: 4, DynamicBits: 8} // small, for an example; see DefaultPuzzle
	id, err := identity.Generate(context.Background(), puzzle, identity.GenerateOptions{})
	if err != nil {
		panic(err)
	}
	home, err := transport.ParseAddr("tcp://198.51.100.7:4001")
	if err != nil {
		panic(err)
	}
	mine, err := id.NewRecord([]transport.Addr{home}, 1, 0)
	if err != nil {
		panic(err)
	}
	wire := mine.Append(nil)

	// Anyone who gets these bytes:
	theirs, err := identity.ParseRecord(wire)
	if err != nil {
		panic(err)
	}
	fmt.Println(len(wire), "bytes, verified:", theirs.Verify(puzzle) == nil, theirs.Addrs, theirs.ID() == id.ID())
	fmt.Println(id)
	// Output:
	// 155 bytes, verified: true [tcp://198.51.100.7:4001] true
	// (private)
}
