package skad

import (
	"math/bits"
	"sort"
)

// The members of a table are kept in one slice, sorted by their distance to the node itself. Seen from there the tree
// of Kademlia is flat: those that share exactly p bits with us are a range, those that share more stand before it,
// those that share less behind it.
//
//	distance to self   0 ...                                                       2^256
//	                   [ more than c bits ][ exactly c ][ c-1 ][ c-2 ] ... [ 0 bits ]
//
// For a target t that shares c bits with us, XOR order is therefore: the range c (they share more than c bits with t),
// then everything before it (exactly c bits), then c-1, c-2, ... Each group is searched as a whole and none twice, and
// the search ends with the group that fills the answer. (Walking c, c-1, c+1, c-2, ... and stopping at k, as older
// implementations do, misses true neighbours of keys near the node.)

// A ranking is that slice, by the first word of the distance. It needs the IDs only where two first words are equal, or
// zero.
type ranking interface {
	len() int
	word(i int) uint64 // first word of the distance to self
	id(i int) *ID
}

// prefixEnd returns how many entries share more than p bits with self; p may be -1.
func prefixEnd[R ranking](r R, self *ID, p int) int {
	if p < 0 {
		return r.len()
	}
	if p < 64 {
		bound := uint64(1) << (63 - p)
		lo, hi := 0, r.len()
		for lo < hi {
			if m := (lo + hi) / 2; r.word(m) < bound {
				lo = m + 1
			} else {
				hi = m
			}
		}
		return lo
	}
	return sort.Search(r.len(), func(i int) bool { return CommonPrefix(*r.id(i), *self) <= p })
}

// A selection is the answer so far: positions in the ranking, closest first.
type selection struct {
	word [CountLimit + 1]uint64 // first word of the distance to the target
	pos  [CountLimit + 1]uint16
	n    int
}

// closest fills s with the n entries closest to target, n <= CountLimit+1. Exact, without allocation.
func closest[R ranking](r R, self, target *ID, n int, s *selection) {
	s.n = 0
	x := target.Xor(*self)
	c := CommonPrefix(*target, *self)
	if c == IDBits { // they are sorted by just this
		s.n = min(n, r.len())
		for i := range s.n {
			s.word[i], s.pos[i] = r.word(i), uint16(i)
		}
		return
	}
	from, to := prefixEnd(r, self, c), prefixEnd(r, self, c-1)
	pick(r, target, x[0], from, to, n, s)
	pick(r, target, x[0], 0, from, n, s)
	for s.n < n && to < r.len() {
		// The next entry tells which group comes next: empty ones in between cost nothing.
		c = min(bits.LeadingZeros64(r.word(to)), 63)
		if r.word(to) == 0 {
			c = CommonPrefix(*r.id(to), *self)
		}
		from, to = to, prefixEnd(r, self, c-1)
		pick(r, target, x[0], from, to, n, s)
	}
}

// pick inserts the entries from..to behind what s holds, sorted among themselves, as far as there is room for n in all.
func pick[R ranking](r R, target *ID, x uint64, from, to, n int, s *selection) {
	start := s.n
	for i := from; i < to; i++ {
		w := r.word(i) ^ x
		at := s.n
		if at == n {
			if start == n || w > s.word[at-1] || w == s.word[at-1] && !closer(target, r.id(i), r.id(int(s.pos[at-1]))) {
				continue
			}
			at--
		} else {
			s.n++
		}
		for at > start && (w < s.word[at-1] || w == s.word[at-1] && closer(target, r.id(i), r.id(int(s.pos[at-1])))) {
			s.word[at], s.pos[at] = s.word[at-1], s.pos[at-1]
			at--
		}
		s.word[at], s.pos[at] = w, uint16(i)
	}
}
