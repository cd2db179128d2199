package spread_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
	"github.com/carrier-p2p/carrier/skad/spread"
)

// newNode makes a node on this machine with its table and its broadcast.
func newNode(seed byte) (*skad.Core, *spread.Core, error) {
	puzzle := identity.Puzzle{} // a real network asks for more: identity.DefaultPuzzle
	id, err := identity.FromSeed(context.Background(), [32]byte{seed}, puzzle)
	if err != nil {
		return nil, nil, err
	}
	addr := transport.Addr{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), 4000+uint16(seed))}
	rec, err := id.NewRecord([]transport.Addr{addr}, 1, 0)
	if err != nil {
		return nil, nil, err
	}
	self, rnd := skad.NewContact(*rec, skad.Private), rand.New(rand.NewPCG(uint64(seed), 1))
	table, err := skad.New(skad.Config{Verifier: skad.Records(puzzle), Scope: skad.Private}, self, rnd, 0)
	if err != nil {
		return nil, nil, err
	}
	core, err := spread.New(spread.Config{Signer: id, Verifier: spread.Origins(puzzle)}, self, table, rnd, 0)
	return table, core, err
}

// Two nodes that know each other, and the bytes that go from one to the other.
func Example() {
	aliceTable, alice, err := newNode(1)
	if err != nil {
		panic(err)
	}
	bobTable, bob, err := newNode(2)
	if err != nil {
		panic(err)
	}
	aliceTable.Adopt(0, bobTable.Self())

	if _, err := alice.Broadcast(0, []byte("good morning")); err != nil {
		panic(err)
	}
	for a, ok := alice.Next(); ok; a, ok = alice.Next() {
		m, err := spread.ParseMessage(a.Message.Op, a.Message.Append(nil), nil)
		if err != nil {
			panic(err)
		}
		bob.Receive(0, aliceTable.Self(), &m)
	}
	for a, ok := bob.Next(); ok; a, ok = bob.Next() {
		if a.Kind == spread.ActionDeliver {
			fmt.Printf("%s, hop %d\n", a.Message.Payload, a.Message.Hop)
		}
	}
	// Output: good morning, hop 1
}
