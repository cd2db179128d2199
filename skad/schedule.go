package skad

import "cmp"

// A schedule holds at most one instant for each of a small set of indices and tells which comes first. It is a binary
// heap over indices; equal instants come in the order of their indices, so that two runs agree.
type schedule[T cmp.Ordered] struct {
	at   []T      // by index; meaningful while pos says so
	pos  []uint16 // by index: place in heap plus one, 0 if not armed
	heap []uint16
}

func (s *schedule[T]) armed(i uint16) bool { return int(i) < len(s.pos) && s.pos[i] != 0 }

// first returns the earliest index.
func (s *schedule[T]) first() (i uint16, at T, ok bool) {
	if len(s.heap) == 0 {
		return 0, at, false
	}
	i = s.heap[0]
	return i, s.at[i], true
}

// set arms index i, or moves it.
func (s *schedule[T]) set(i uint16, at T) {
	for int(i) >= len(s.pos) {
		var zero T
		s.at, s.pos = append(roomy(s.at), zero), append(roomy(s.pos), 0)
	}
	s.at[i] = at
	if s.pos[i] == 0 {
		s.heap = append(roomy(s.heap), i)
		s.pos[i] = uint16(len(s.heap))
	}
	s.down(s.up(int(s.pos[i]) - 1))
}

// stop disarms index i.
func (s *schedule[T]) stop(i uint16) {
	if !s.armed(i) {
		return
	}
	hole, last := int(s.pos[i])-1, len(s.heap)-1
	s.swap(hole, last)
	s.heap, s.pos[i] = s.heap[:last], 0
	if hole < last {
		s.down(s.up(hole))
	}
}

func (s *schedule[T]) less(a, b int) bool {
	i, j := s.heap[a], s.heap[b]
	if s.at[i] != s.at[j] {
		return s.at[i] < s.at[j]
	}
	return i < j
}

func (s *schedule[T]) swap(a, b int) {
	s.heap[a], s.heap[b] = s.heap[b], s.heap[a]
	s.pos[s.heap[a]], s.pos[s.heap[b]] = uint16(a+1), uint16(b+1)
}

func (s *schedule[T]) up(i int) int {
	for i > 0 && s.less(i, (i-1)/2) {
		s.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
	return i
}

func (s *schedule[T]) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(s.heap); child++ {
			if s.less(child, least) {
				least = child
			}
		}
		if least == i {
			return
		}
		s.swap(i, least)
		i = least
	}
}
