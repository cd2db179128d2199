package spread

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/skad"
)

// TestRoundsOfRepair: three beats, 300 to 500 ms apart, three different contacts in each, all messages in one Have;
// then silence.
func TestRoundsOfRepair(t *testing.T) {
	s := newStage(t, nil)
	from := s.peer(1, 0)
	var ids []MessageID
	for seq := range uint64(5) {
		m := s.message(s.origin, seq+1, "x")
		ids = append(ids, m.ID)
		s.receive(from, s.via(from, m))
	}
	last := s.now
	for round := range 3 {
		at := s.core.Deadline()
		if at-last < repairLeast || at-last > repairMost {
			t.Errorf("round %d after %v", round, at-last)
		}
		last = at
		list := s.pass(at - s.now)
		told := map[skad.ID]bool{}
		for _, a := range haves(list) {
			told[a.To.ID] = true
			if !slices.Equal(a.Message.IDs, ids) {
				t.Errorf("round %d announces %v", round, a.Message.IDs)
			}
		}
		if len(told) != 3 || len(list) != 3 {
			t.Errorf("round %d: %d actions to %d contacts", round, len(list), len(told))
		}
	}
	if list := s.pass(time.Hour); len(list) != 0 || s.core.Deadline() != Never {
		t.Errorf("%d actions afterwards, deadline %v", len(list), s.core.Deadline())
	}
}

// TestFreshMessagesWait: what has come just before a beat, and is still being pushed everywhere, is first announced in
// the next one.
func TestFreshMessagesWait(t *testing.T) {
	s := newStage(t, nil)
	from := s.peer(1, 0)
	first, second := s.message(s.origin, 1, "x"), s.message(s.origin, 2, "y")
	s.receive(from, s.via(from, first))
	s.pass(s.core.Deadline() - s.now - 50*time.Millisecond)
	s.receive(from, s.via(from, second))
	beats := map[time.Duration][]MessageID{}
	for range 6 {
		at := s.core.Deadline()
		for _, a := range haves(s.pass(at - s.now)) {
			beats[at] = a.Message.IDs
		}
	}
	counts := map[MessageID]int{}
	for at, ids := range beats {
		for _, id := range ids {
			counts[id]++
		}
		if at < 500*time.Millisecond && slices.Contains(ids, second.ID) {
			t.Errorf("announced at %v, it came %v before", at, 50*time.Millisecond)
		}
	}
	if counts[first.ID] != 3 || counts[second.ID] != 3 {
		t.Errorf("announced %d and %d times", counts[first.ID], counts[second.ID])
	}
}

// TestRepairIsDrawnOverTheNetwork: half of the draws hit bucket 0, a quarter bucket 1, and so on, whatever the sizes of
// the buckets in the table.
func TestRepairIsDrawnOverTheNetwork(t *testing.T) {
	s := newStage(t, func(c *Config) { c.Fanout = 1 })
	s.table.buckets[0] = s.table.buckets[0][:2]
	const draws = 4000
	count := make([]float64, stageBuckets)
	for range draws {
		s.core.draw()
		count[skad.CommonPrefix(s.core.self.ID, s.core.chosen[0].ID)]++
	}
	all := 1 - math.Pow(0.5, stageBuckets) // draws beyond the table are repeated
	for bucket, n := range count {
		p := math.Pow(0.5, float64(bucket+1)) / all
		if sigma := math.Sqrt(draws * p * (1 - p)); math.Abs(n-draws*p) > 5*sigma {
			t.Errorf("bucket %d drawn %v times, want %.0f", bucket, n, draws*p)
		}
	}
}

// TestManyAnnouncements: more messages than one Have holds go in the next beats; all get their rounds.
func TestManyAnnouncements(t *testing.T) {
	s := newStage(t, func(c *Config) { c.OriginBurst = 1000 })
	from := s.peer(1, 0)
	for seq := range uint64(300) {
		s.receive(from, s.via(from, s.message(s.origin, seq+1, "x")))
	}
	count := map[MessageID]int{}
	for _, a := range haves(s.pass(20 * time.Second)) {
		if len(a.Message.IDs) > IDLimit {
			t.Fatalf("%d ids", len(a.Message.IDs))
		}
		for _, id := range a.Message.IDs {
			count[id]++
		}
	}
	if len(count) != 300 {
		t.Errorf("%d messages announced", len(count))
	}
	for id, n := range count {
		if n != 9 {
			t.Errorf("%v announced %d times", id, n)
		}
	}
}

// TestWantAndAnswer: what is missing is asked for once, its answer is delivered without a duty, and announced in turn.
func TestWantAndAnswer(t *testing.T) {
	s := newStage(t, nil)
	a, b := s.peer(0, 0), s.peer(2, 0)
	m := s.message(s.origin, 1, "x")
	list := s.receive(a, have(m.ID))
	if w := wishes(list); len(list) != 1 || len(w) != 1 || w[0].To.ID != a.ID || !slices.Equal(w[0].Message.IDs, []MessageID{m.ID}) {
		t.Fatalf("asked: %+v", list)
	}
	if list := append(s.receive(a, have(m.ID)), s.receive(b, have(m.ID))...); len(list) != 0 {
		t.Errorf("asked again: %d actions", len(list))
	}
	answer := m
	answer.Height = uint8(skad.CommonPrefix(s.core.self.ID, a.ID))
	list = s.receive(a, answer)
	if len(delivered(list)) != 1 || len(pushes(list)) != 0 || s.core.Stats().Repaired != 1 {
		t.Errorf("%d delivered, %d passed on", len(delivered(list)), len(pushes(list)))
	}
	if n := len(haves(s.pass(3 * time.Second))); n != 9 {
		t.Errorf("%d announcements, want 9", n)
	}
	if list := s.pass(time.Hour); len(list) != 0 {
		t.Errorf("%d actions later", len(list))
	}
}

// TestWantIsNotCalledOff: what is asked for stays so whatever a peer says under its id. Only the message itself, of an origin
// that nothing is taken of now, ends it; a made-up one costs its sender what a false id costs.
func TestWantIsNotCalledOff(t *testing.T) {
	for name, spoil := range map[string]func(s *stage, m *Message){
		"as if our own":  func(s *stage, m *Message) { m.Origin = s.core.self.Record.PublicKey },
		"as if old":      func(s *stage, m *Message) { m.Seq = 1; m.Payload = []byte("old") },
		"as if too much": func(_ *stage, m *Message) { m.Payload = make([]byte, PayloadLimit) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, func(c *Config) { c.TotalBurst = costOf(PayloadLimit) })
			a, b, c := s.peer(0, 0), s.peer(2, 0), s.peer(1, 0)
			first := s.message(s.origin, 1, "old")
			s.receive(c, s.via(c, first))
			s.pass(seenFor) // now it is below the origin's floor
			wanted := s.message(s.origin, 2, "x")
			s.receive(a, have(wanted.ID))
			s.receive(b, have(wanted.ID))
			if name == "as if too much" {
				large := s.message(s.peer(3, 1), 1, string(make([]byte, PayloadLimit-4<<10)))
				s.receive(c, s.via(c, large))
			}
			lie := wanted
			spoil(s, &lie)
			lie = s.via(a, lie)
			lie.Hop = 0
			list := s.receive(a, lie)
			if why := s.blamed(list, a); !slices.Equal(why, []skad.Reason{skad.SpreadID}) {
				t.Errorf("blamed for %v", why)
			}
			if w := wishes(list); len(w) != 1 || w[0].To.ID != b.ID || !slices.Equal(w[0].Message.IDs, []MessageID{wanted.ID}) {
				t.Errorf("the next who has it was not asked: %+v", w)
			}
			other := s.via(c, lie)
			other.Hop = 0
			s.receive(c, other)
			if s.core.wantOf(&wanted.ID) < 0 {
				t.Error("somebody who was not asked has called it off")
			}
		})
	}
	s := newStage(t, nil)
	a := s.peer(0, 0)
	own := s.message(s.core.self, 1, "x")
	s.receive(a, have(own.ID))
	own = s.via(a, own)
	own.Hop = 0
	if list := s.receive(a, own); len(list) != 0 || len(s.core.wants) != 0 {
		t.Errorf("what is not welcome, as it says, is still asked for: %+v", list)
	}
}

// TestNextSource: who does not give what it announced loses its turn: after a second, at once if it cannot be reached,
// if its session ends, or if what it gives is forged.
func TestNextSource(t *testing.T) {
	for name, fail := range map[string]func(s *stage, a *skad.Contact, m Message) []Action{
		"silence": func(s *stage, _ *skad.Contact, _ Message) []Action { return s.pass(wantTimeout) },
		"unreachable": func(s *stage, a *skad.Contact, _ Message) []Action {
			s.core.SendFailed(s.now, a, MessageID{})
			return s.drain()
		},
		"session ends": func(s *stage, a *skad.Contact, _ Message) []Action {
			s.core.Disconnected(s.now, a)
			return s.drain()
		},
		"forged": func(s *stage, a *skad.Contact, m Message) []Action {
			m = s.via(a, m)
			m.Hop = 0
			m.Signature[3]++
			return s.receive(a, m)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, nil)
			a, b := s.peer(0, 0), s.peer(2, 0)
			m := s.message(s.origin, 1, "x")
			s.receive(a, have(m.ID))
			s.receive(b, have(m.ID))
			list := fail(s, a, m)
			if w := wishes(list); len(w) != 1 || w[0].To.ID != b.ID || w[0].Message.IDs[0] != m.ID {
				t.Fatalf("asked: %+v", w)
			}
			reasons := s.blamed(list, a)
			want := map[string][]skad.Reason{"silence": {skad.SpreadUnkept}, "forged": {skad.BadSignature}}[name]
			if !slices.Equal(reasons, want) {
				t.Errorf("blamed for %v, want %v", reasons, want)
			}
			if list := s.pass(time.Minute); len(wishes(list)) != 0 || len(s.core.wants) != 0 {
				t.Errorf("asked %d more, %d wants left", len(wishes(list)), len(s.core.wants))
			}
		})
	}
}

// TestWantsAreBounded: neither one peer nor many can make us ask for more than the limits; what they announced and did
// not give frees its place.
func TestWantsAreBounded(t *testing.T) {
	s := newStage(t, nil)
	n := 0
	flood := func(from *skad.Contact) {
		var ids []MessageID
		for range IDLimit {
			n++
			ids = append(ids, MessageID{1, byte(n), byte(n >> 8)})
		}
		s.receive(from, have(ids...))
	}
	for range 3 {
		flood(s.peer(0, 0))
	}
	if len(s.core.wants) != wantsPerPeer {
		t.Errorf("%d wants of one peer, limit %d", len(s.core.wants), wantsPerPeer)
	}
	for i := range stageContacts {
		flood(s.peer(1, i))
	}
	if len(s.core.wants) != wantLimit {
		t.Errorf("%d wants, limit %d", len(s.core.wants), wantLimit)
	}
	m := s.message(s.origin, 1, "x")
	from := s.peer(2, 0)
	if list := s.receive(from, s.via(from, m)); len(delivered(list)) != 1 {
		t.Error("a message is not taken while the wants are full")
	}
	s.pass(wantTimeout)
	if len(s.core.wants) != 0 || len(wishes(s.receive(from, have(MessageID{2})))) != 1 {
		t.Errorf("%d wants left", len(s.core.wants))
	}
}

// TestOnlyWhatWasAnnouncedIsGiven: to whom, once.
func TestOnlyWhatWasAnnouncedIsGiven(t *testing.T) {
	s := newStage(t, nil)
	from := s.peer(1, 0)
	m := s.message(s.origin, 1, "x")
	s.receive(from, s.via(from, m))
	told := haves(s.pass(s.core.Deadline() - s.now))
	if len(told) != 3 {
		t.Fatalf("%d told", len(told))
	}
	for _, d := range told[:2] {
		list := s.receive(d.To, wish(m.ID, m.ID))
		p := pushes(list)
		if len(p) != 1 || p[0].Message.Hop != 0 || string(p[0].Message.Payload) != "x" ||
			int(p[0].Message.Height) != skad.CommonPrefix(d.To.ID, s.core.self.ID) {
			t.Errorf("given %+v", p)
		}
		if got := s.blamed(list, d.To); !slices.Equal(got, []skad.Reason{skad.SpreadUnoffered}) {
			t.Errorf("the second: blamed for %v", got)
		}
	}
	if n := len(s.core.cache.find(&m.ID).held.offers); n != 1 {
		t.Errorf("%d offers left, want 1", n)
	}
	list := s.receive(s.origin, wish(m.ID, m.ID, m.ID))
	if got := s.blamed(list, s.origin); len(pushes(list)) != 0 || !slices.Equal(got, []skad.Reason{skad.SpreadUnoffered}) {
		t.Errorf("a stranger is given %d, blamed for %v", len(pushes(list)), got)
	}
	if list := s.receive(told[0].To, wish(MessageID{9})); len(list) != 0 || s.core.Stats().Dropped[skad.SpreadGone] != 1 {
		t.Errorf("a want of nothing: %d actions", len(list))
	}
	s.pass(heldFor)
	if list := s.receive(told[2].To, wish(m.ID)); len(list) != 0 {
		t.Errorf("given after it is let go: %+v", list)
	}
}
