package spread

import (
	"time"

	"github.com/carrier-p2p/carrier/handshake/identity"
)

// An origin is what is known of one who broadcasts.
type origin struct {
	key        identity.PublicKey
	fullAt     time.Duration // of its token bucket
	floor      uint64        // its messages up to this number are over: they were forgotten, and would be taken for new
	generation uint32
	newer      uint32 // neighbours in the order of use, as index+1; 0: none
	older      uint32
}

// An originRef names an origin, if it is still known.
type originRef struct{ index, generation uint32 }

// A census knows the origins heard last, originLimit of them.
//
// Invariant: index holds exactly the keys of list; newest, older, older ... oldest is all of list.
type census struct {
	list   []origin
	index  map[identity.PublicKey]uint32
	newest uint32 // index+1
	oldest uint32
}

// find returns an origin, nil if it is not known.
func (s *census) find(key *identity.PublicKey) *origin {
	if i, ok := s.index[*key]; ok {
		return &s.list[i]
	}
	return nil
}

// use returns the origin with that key, made if need be, as the newest. Whoever was silent for longest makes room.
func (s *census) use(key *identity.PublicKey) (*origin, originRef) {
	i, ok := s.index[*key]
	switch {
	case ok:
		s.unlink(i)
	case len(s.list) < originLimit:
		if s.index == nil {
			s.index = make(map[identity.PublicKey]uint32)
		}
		i = uint32(len(s.list))
		s.list = append(s.list, origin{key: *key})
	default:
		i = s.oldest - 1
		s.unlink(i)
		delete(s.index, s.list[i].key)
		s.list[i] = origin{key: *key, generation: s.list[i].generation + 1}
	}
	s.index[*key] = i
	o := &s.list[i]
	o.newer, o.older = 0, s.newest
	if s.newest != 0 {
		s.list[s.newest-1].newer = i + 1
	} else {
		s.oldest = i + 1
	}
	s.newest = i + 1
	return o, originRef{i, o.generation}
}

func (s *census) unlink(i uint32) {
	o := &s.list[i]
	if o.newer != 0 {
		s.list[o.newer-1].older = o.older
	} else {
		s.newest = o.older
	}
	if o.older != 0 {
		s.list[o.older-1].newer = o.newer
	} else {
		s.oldest = o.newer
	}
}

// over raises the floor of an origin, if it is still known.
func (s *census) over(ref originRef, seq uint64) {
	if int(ref.index) < len(s.list) {
		if o := &s.list[ref.index]; o.generation == ref.generation {
			o.floor = max(o.floor, seq)
		}
	}
}
