package broadcast

import (
	"slices"

	"github.com/carrier-p2p/carrier/skad"
	"github.com/carrier-p2p/carrier/skad/spread"
)

// linked is a table of the connected peers, by common prefix with the node, in the order in which they came. It belongs
// to the home loop.
type linked struct {
	self    skad.ID
	buckets [][]*skad.Contact
}

var _ spread.Table = (*linked)(nil)

// add takes a peer in, unless it only asks, its bucket is full or it is there.
func (l *linked) add(d *skad.Contact) {
	prefix := skad.CommonPrefix(l.self, d.ID)
	if d.Client() || d.ID == l.self {
		return
	}
	for len(l.buckets) <= prefix {
		l.buckets = append(l.buckets, nil)
	}
	b := l.buckets[prefix]
	if i := index(b, d.ID); i >= 0 {
		b[i] = d
	} else if len(b) < linkedPerBucket {
		l.buckets[prefix] = append(b, d)
	}
}

func (l *linked) remove(id skad.ID) {
	prefix := skad.CommonPrefix(l.self, id)
	if prefix >= len(l.buckets) {
		return
	}
	b := l.buckets[prefix]
	if i := index(b, id); i >= 0 {
		l.buckets[prefix] = slices.Delete(b, i, i+1)
	}
	for n := len(l.buckets); n > 0 && len(l.buckets[n-1]) == 0; n-- {
		l.buckets = l.buckets[:n-1]
	}
}

func index(b []*skad.Contact, id skad.ID) int {
	return slices.IndexFunc(b, func(d *skad.Contact) bool { return d.ID == id })
}

// Sharing implements spread.Table.
func (l *linked) Sharing(prefix int, dst []*skad.Contact) []*skad.Contact {
	if prefix >= len(l.buckets) {
		return dst
	}
	return append(dst, l.buckets[prefix]...)
}

// Closest implements spread.Table. The one closest to the node itself, which is asked for with every message, is in the
// last bucket.
func (l *linked) Closest(key skad.ID, n int, dst []*skad.Contact) []*skad.Contact {
	nearer := func(a, b *skad.Contact) int { return a.ID.Xor(key).Compare(b.ID.Xor(key)) }
	if n == 1 && key == l.self && len(l.buckets) > 0 {
		return append(dst, slices.MinFunc(l.buckets[len(l.buckets)-1], nearer))
	}
	from := len(dst)
	for _, b := range l.buckets {
		dst = append(dst, b...)
	}
	slices.SortFunc(dst[from:], nearer)
	return dst[:min(len(dst), from+n)]
}
