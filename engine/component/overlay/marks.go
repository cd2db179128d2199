package overlay

import "github.com/carrier-p2p/carrier/skad"

// A mark tells one message from all others.
type mark struct {
	origin skad.ID
	number uint64
}

// marks are messages that were delivered: seenLimit at most. One more takes the place of the oldest of the origin that has
// most of them, so that nobody who sends much has the messages of others forgotten.
type marks struct {
	index   map[mark]struct{}
	origins map[skad.ID]*originMarks
	clock   uint64
}

// originMarks are those of one origin, the oldest first.
type originMarks struct {
	numbers []uint64
	addedAt uint64 // marks.clock at the last one
}

func (s *marks) has(m mark) bool {
	_, ok := s.index[m]
	return ok
}

func (s *marks) add(m mark) {
	if s.index == nil {
		s.index, s.origins = map[mark]struct{}{}, map[skad.ID]*originMarks{}
	}
	if len(s.index) >= seenLimit {
		s.forget()
	}
	o := s.origins[m.origin]
	if o == nil {
		o = &originMarks{}
		s.origins[m.origin] = o
	}
	s.clock++
	o.numbers, o.addedAt = append(o.numbers, m.number), s.clock
	s.index[m] = struct{}{}
}

// forget makes room for one more. Of origins with equally many it is the one that was heard longest ago.
func (s *marks) forget() {
	var most skad.ID
	var have *originMarks
	for id, o := range s.origins {
		if have == nil || len(o.numbers) > len(have.numbers) || len(o.numbers) == len(have.numbers) && o.addedAt < have.addedAt {
			most, have = id, o
		}
	}
	delete(s.index, mark{most, have.numbers[0]})
	if have.numbers = have.numbers[1:]; len(have.numbers) == 0 {
		delete(s.origins, most)
	}
}
