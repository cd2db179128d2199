package spread

import (
	"slices"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/skad"
)

// TestTooManyIDs: one id more than a message may have, and none of them is looked at.
func TestTooManyIDs(t *testing.T) {
	ids := make([]MessageID, IDLimit+1)
	for i := range ids {
		ids[i] = MessageID{1, byte(i)}
	}
	for name, m := range map[string]Message{"have": have(ids...), "want": wish(ids...)} {
		s := newStage(t, nil)
		list := s.receive(s.peer(1, 0), m)
		if reasons := s.blamed(list, s.peer(1, 0)); !slices.Equal(reasons, []skad.Reason{skad.SpreadTooLarge}) || len(list) != 1 || len(s.core.wants) != 0 {
			t.Errorf("%s: blamed for %v, %d actions, %d wants", name, reasons, len(list), len(s.core.wants))
		}
	}
}

// TestTimeNeverGoesBack: a call with a time that is over counts as one of now.
func TestTimeNeverGoesBack(t *testing.T) {
	s := newStage(t, nil)
	s.core.Expire(time.Hour)
	if _, err := s.core.Broadcast(time.Minute, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if at := s.core.Deadline(); at < time.Hour+repairLeast {
		t.Errorf("a message of now is due at %v", at)
	}
}

// TestUnwelcomeIsAskedOfNobody: a message that comes and is not taken, as its origin says too much, is not asked for again.
func TestUnwelcomeIsAskedOfNobody(t *testing.T) {
	s := newStage(t, func(c *Config) { c.OriginBurst = 16 })
	a, b := s.peer(1, 0), s.peer(2, 0)
	for seq := range uint64(16) {
		s.receive(a, s.via(a, s.message(s.origin, seq+1, "x")))
	}
	m := s.message(s.origin, 17, "one too many")
	s.receive(a, have(m.ID))
	s.receive(b, have(m.ID))
	list := s.receive(a, s.via(a, m))
	if len(delivered(list)) != 0 || s.core.Stats().Dropped[skad.SpreadLimited] != 1 || len(s.core.wants) != 0 {
		t.Fatalf("delivered %d, dropped %v, %d wants", len(delivered(list)), s.core.Stats().Dropped, len(s.core.wants))
	}
	later := s.pass(10 * time.Second)
	if len(wishes(later)) != 0 || len(only(later, ActionBlame, 0)) != 0 {
		t.Errorf("asked again %d times, blamed %d", len(wishes(later)), len(only(later, ActionBlame, 0)))
	}
}

// TestForgeryOfAnother: what somebody forges who was not asked takes the turn of nobody who was.
func TestForgeryOfAnother(t *testing.T) {
	s := newStage(t, nil)
	asked, forger := s.peer(0, 0), s.peer(2, 0)
	m := s.message(s.origin, 1, "x")
	s.receive(asked, have(m.ID))
	s.receive(forger, have(m.ID))
	bad := s.via(forger, m)
	bad.Payload = []byte("y")
	list := s.receive(forger, bad)
	if reasons := s.blamed(list, forger); !slices.Equal(reasons, []skad.Reason{skad.SpreadID}) || len(wishes(list)) != 0 {
		t.Errorf("blamed for %v, asked %d", reasons, len(wishes(list)))
	}
	if w := s.core.wants; len(w) != 1 || w[0].sources[0].ID != asked.ID || w[0].n != 2 {
		t.Errorf("wants %+v", w)
	}
}

// TestSaidTwiceIsOneSource: who announces a message again and again is asked for it once.
func TestSaidTwiceIsOneSource(t *testing.T) {
	s := newStage(t, nil)
	a, id := s.peer(0, 0), MessageID{1}
	for range sourceLimit + 1 {
		s.receive(a, have(id))
	}
	list := s.pass(time.Minute)
	if len(wishes(list)) != 0 || len(s.blamed(list, a)) != 1 {
		t.Errorf("asked %d times more, blamed %d times", len(wishes(list)), len(s.blamed(list, a)))
	}
}

// TestDrawnOnce: of a few contacts none is announced to twice in a beat.
func TestDrawnOnce(t *testing.T) {
	s := newStage(t, func(c *Config) { c.Fanout = 3 })
	s.table.buckets = [][]*skad.Contact{s.table.buckets[0][:3]}
	full := 0
	for range 500 {
		s.core.draw()
		seen := map[skad.ID]bool{}
		for _, d := range s.core.chosen {
			seen[d.ID] = true
		}
		if len(seen) != len(s.core.chosen) {
			t.Fatalf("%d contacts drawn, %d of them different", len(s.core.chosen), len(seen))
		}
		if len(seen) == 3 {
			full++
		}
	}
	if full == 0 {
		t.Error("three of three were never drawn")
	}
}

// TestRetriesEnd: of a bucket in which nobody can be reached so many are tried, and no more.
func TestRetriesEnd(t *testing.T) {
	s := newStage(t, nil)
	rnd := newRand(7)
	s.table.buckets = s.table.buckets[:1]
	for host := 1 << 20; len(s.table.buckets[0]) < 64; host++ {
		if d := newContact(rnd, host); skad.CommonPrefix(s.core.self.ID, d.ID) == 0 {
			s.table.add(d)
		}
	}
	if _, err := s.core.Broadcast(0, []byte("x")); err != nil {
		t.Fatal(err)
	}
	sent := pushes(s.drain())
	first := len(sent)
	for i := 0; i < len(sent); i++ {
		s.core.SendFailed(0, sent[i].To, sent[i].Message.ID)
		sent = append(sent, pushes(s.drain())...)
	}
	if st := s.core.Stats(); len(sent)-first != retryLimit || st.Redelegated != retryLimit || st.Abandoned != uint64(first) {
		t.Errorf("%d first, %d instead of them, want %d; counted %+v", first, len(sent)-first, retryLimit, st)
	}
}
