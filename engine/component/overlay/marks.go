package overlay

import (
	"github.com/carrier-p2p/carrier/engine/internal/fair"
	"github.com/carrier-p2p/carrier/skad"
)

// A mark tells one message from all others.
type mark struct {
	origin skad.ID
	number uint64
}

// marks are messages that were delivered: seenLimit at most. One more takes the place of the oldest of the origin that has
// most of them, so that nobody who sends much has the messages of others forgotten.
type marks struct {
	index map[mark]struct{}
	kept  fair.Memory[skad.ID, uint64] // numbers, by origin
}

func (s *marks) has(m mark) bool {
	_, ok := s.index[m]
	return ok
}

func (s *marks) add(m mark) {
	if s.index == nil {
		s.index = map[mark]struct{}{}
	}
	s.index[m] = struct{}{}
	s.kept.Add(m.origin, m.number)
	for s.kept.Len() > seenLimit {
		s.forget()
	}
}

// forget makes room for one more. Of origins with equally many it is the one that was heard longest ago.
func (s *marks) forget() {
	o := s.kept.Victim()
	delete(s.index, mark{s.kept.Owner(o), o.Value})
	s.kept.Remove(o)
}
