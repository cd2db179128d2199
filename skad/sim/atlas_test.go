package sim

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/carrier-p2p/carrier/skad"
)

func newNetwork(t testing.TB, cfg Config) *Network {
	t.Helper()
	w, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestNearest: the closest nodes are those that sorting all of them gives, for random keys, keys of nodes and keys beside them.
func TestNearest(t *testing.T) {
	w := newNetwork(t, Config{Nodes: 300, Seed: 3})
	a := newAtlas(w.nodes, func(*Node) bool { return true })
	rnd := rand.New(rand.NewPCG(3, 3))
	for i := range 400 {
		key := randomID(rnd)
		switch i % 3 {
		case 1:
			key = w.nodes[rnd.IntN(300)].ID()
		case 2:
			key = w.nodes[rnd.IntN(300)].ID()
			key[rnd.IntN(4)] ^= 1 << rnd.IntN(64)
		}
		n := 1 + rnd.IntN(40)
		if i%50 == 0 {
			n = 400
		}
		want := slices.Clone(w.nodes)
		slices.SortFunc(want, func(x, y *Node) int { return x.ID().Xor(key).Compare(y.ID().Xor(key)) })
		if got := a.nearest(key, n); !slices.Equal(got, want[:min(n, 300)]) {
			t.Fatalf("the %d closest to %v are others", n, key)
		}
	}
}

// TestFill: every table has the closest nodes as siblings, and as many contacts for each prefix as a bucket
// holds or as there are; clients know others, and nobody knows them.
func TestFill(t *testing.T) {
	w := newNetwork(t, Config{Nodes: 600, Seed: 4, Clients: .25})
	w.Fill()
	servers := newAtlas(w.nodes, func(n *Node) bool { return !n.contact.Client() })
	if len(servers) != 450 {
		t.Fatalf("%d servers", len(servers))
	}
	for _, n := range w.nodes {
		var want []*Node
		for _, x := range servers.nearest(n.ID(), 49) {
			if x != n && len(want) < 48 {
				want = append(want, x)
			}
		}
		have := n.core.Siblings(nil)
		if !slices.EqualFunc(have, want, func(c *skad.Contact, x *Node) bool { return c == x.contact }) {
			t.Fatalf("node %d: its siblings are not the closest", n.index)
		}
		counts := map[int]int{}
		for _, x := range servers {
			if x != n {
				counts[skad.CommonPrefix(x.ID(), n.ID())]++
			}
		}
		for prefix := range 9 {
			if got := len(n.core.Sharing(prefix, nil)); got < min(16, counts[prefix]) || got > max(16, 48) {
				t.Errorf("node %d knows %d nodes with prefix %d of %d", n.index, got, prefix, counts[prefix])
			}
		}
	}
}
