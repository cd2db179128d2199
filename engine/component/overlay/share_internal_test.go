package overlay

import (
	"testing"

	"github.com/carrier-p2p/carrier/skad"
)

// One origin that sends without end has none but its own messages forgotten.
func TestMarksOfOthersStay(t *testing.T) {
	var s marks
	honest, loud := skad.ID{1}, skad.ID{2}
	for n := range uint64(100) {
		s.add(mark{honest, n})
	}
	for n := range uint64(3 * seenLimit) {
		s.add(mark{loud, n})
	}
	for n := range uint64(100) {
		if !s.has(mark{honest, n}) {
			t.Fatalf("message %d of an honest origin is forgotten", n)
		}
	}
	if len(s.index) != seenLimit || s.has(mark{loud, 0}) || !s.has(mark{loud, 3*seenLimit - 1}) {
		t.Errorf("%d messages are known; the loud one's first: %v, its last: %v", len(s.index), s.has(mark{loud, 0}), s.has(mark{loud, 3*seenLimit - 1}))
	}
}

// As many origins as there is room for, with a message each: the one heard longest ago goes, whatever a map's order is.
func TestMarksOfManyOrigins(t *testing.T) {
	var s marks
	for n := range uint64(seenLimit + 10) {
		s.add(mark{skad.ID{n}, 7})
	}
	for n := range uint64(seenLimit + 10) {
		if known := s.has(mark{skad.ID{n}, 7}); known != (n >= 10) {
			t.Fatalf("origin %d: %v", n, known)
		}
	}
	if s.kept.Owners() != seenLimit {
		t.Errorf("%d origins are kept", s.kept.Owners())
	}
}

// One last hop has an eighth of the room, in messages and in bytes; others find theirs.
func TestArrivalsHaveShares(t *testing.T) {
	for _, size := range []int{0, skad.RoutePayloadLimit} {
		var s arrivals
		from := func(hop *skad.Contact) bool {
			return s.put(&skad.Action{To: hop, Message: skad.Message{Payload: make([]byte, size)}})
		}
		fill := func(hop *skad.Contact) (n int) {
			for from(hop) {
				n++
			}
			return n
		}
		share := arrivalsLimit / arrivalsShare
		if size > 0 {
			share = arrivalsBytes / arrivalsShare / size
		}
		loud := &skad.Contact{ID: skad.ID{1}}
		if n := fill(loud); n != share {
			t.Fatalf("%d messages of %d bytes of one hop wait, and not %d", n, size, share)
		}
		for n := range uint64(arrivalsShare - 1) {
			if got := fill(&skad.Contact{ID: skad.ID{2, n}}); got != share {
				t.Fatalf("hop %d finds room for %d", n, got)
			}
		}
		if from(nil) || from(&skad.Contact{ID: skad.ID{3}}) {
			t.Error("there is room for more than all")
		}
		if _, ok := s.take(); !ok || !from(loud) {
			t.Error("what was taken has left no room")
		}
		for range arrivalsShare * share {
			s.take()
		}
		if _, more := s.take(); more || s.bytes != 0 || len(s.hops) != 0 {
			t.Errorf("more: %v; %d bytes and %d hops are left", more, s.bytes, len(s.hops))
		}
	}
}
