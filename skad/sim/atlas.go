package sim

import (
	"math/rand/v2"
	"slices"
	"sort"

	"github.com/carrier-p2p/carrier/skad"
)

// An atlas is a list of nodes in the order of their IDs: what somebody knows who sees everything. All nodes
// that share a prefix lie side by side in it.
type atlas []*Node

func newAtlas(nodes []*Node, keep func(*Node) bool) atlas {
	var a atlas
	for _, n := range nodes {
		if keep(n) {
			a = append(a, n)
		}
	}
	slices.SortFunc(a, func(x, y *Node) int { return x.contact.ID.Compare(y.contact.ID) })
	return a
}

// sharing returns the nodes that share at least bits bits with id.
func (a atlas) sharing(id skad.ID, bits int) atlas {
	from := sort.Search(len(a), func(i int) bool {
		return skad.CommonPrefix(a[i].contact.ID, id) >= bits || a[i].contact.ID.Compare(id) >= 0
	})
	if from < len(a) && skad.CommonPrefix(a[from].contact.ID, id) < bits {
		return nil
	}
	n := sort.Search(len(a)-from, func(i int) bool { return skad.CommonPrefix(a[from+i].contact.ID, id) < bits })
	return a[from : from+n]
}

// nearest returns the n nodes closest to key, closest first.
func (a atlas) nearest(key skad.ID, n int) []*Node {
	for bits := 1; ; bits++ {
		inner := a.sharing(key, bits)
		if len(inner) < n {
			break
		}
		a = inner
	}
	list := slices.Clone(a)
	slices.SortFunc(list, func(x, y *Node) int { return x.contact.ID.Xor(key).Compare(y.contact.ID.Xor(key)) })
	return list[:min(n, len(list))]
}

// fill gives n the table that it would have if it had been offered all nodes of the atlas in random order: K
// random ones for each bucket, then the siblings, which are the closest.
func (a atlas) fill(n *Node, k, siblings int, rnd *rand.Rand) {
	id := n.contact.ID
	around := a
	for bits := 0; len(around) > 1 && bits < skad.IDBits; bits++ {
		inner := around.sharing(id, bits+1)
		at := 0 // the rest of around, on one side of inner, is the bucket
		if len(inner) > 0 && &inner[0] == &around[0] {
			at = len(inner)
		}
		bucket := around[at : at+len(around)-len(inner)]
		n.adopt(bucket, k, rnd)
		around = inner
	}
	for _, m := range a.nearest(id, siblings+1) {
		if m != n {
			n.core.Adopt(0, m.contact)
		}
	}
}

// adopt takes k random nodes of a bucket.
func (n *Node) adopt(bucket atlas, k int, rnd *rand.Rand) {
	if len(bucket) <= 2*k { // a permutation of few
		for i, p := range rnd.Perm(len(bucket)) {
			if i == k {
				break
			}
			n.core.Adopt(0, bucket[p].contact)
		}
		return
	}
	for taken := 0; taken < k; {
		if n.core.Adopt(0, bucket[rnd.IntN(len(bucket))].contact) { // false: drawn before
			taken++
		}
	}
}
