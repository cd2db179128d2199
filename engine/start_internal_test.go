package engine

import (
	"context"
	"net/netip"
	"slices"
	"testing"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// A node may listen where its record cannot send others: on a link, everywhere. The record leaves it out, and the node starts.
func TestBoundAddressesInRecord(t *testing.T) {
	id, err := identity.FromSeed(context.Background(), [32]byte{1}, identity.Puzzle{})
	if err != nil {
		t.Fatal(err)
	}
	var listen, want []transport.Addr
	for _, s := range []string{"[fe80::1%lo]:1", "0.0.0.0:2", "127.0.0.1:3", "[::ffff:127.0.0.1]:3", "[ff02::1]:4", "[::1]:5"} {
		listen = append(listen, transport.Addr{Proto: transport.TCP, AddrPort: netip.MustParseAddrPort(s)})
	}
	want = append(want, listen[2], listen[5])
	n, err := New(Config{Transport: &benchTransport{}, Identity: id, Puzzle: &identity.Puzzle{}, WeakPuzzle: true, Listen: listen})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer n.workers.stop()
	if got := n.Record().Addrs; !slices.Equal(got, want) {
		t.Errorf("the record says %v, want %v", got, want)
	}
	if got := n.Addrs(); !slices.Equal(got, listen) {
		t.Errorf("the node listens on %v, want %v", got, listen)
	}
}
