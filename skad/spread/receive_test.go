package spread

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/internal/invariant"
	"github.com/carrier-p2p/carrier/skad"
)

// TestSourceDelegatesToAllBuckets: eight delegates in each, with the height of the bucket, all different.
func TestSourceDelegatesToAllBuckets(t *testing.T) {
	s := newStage(t, nil)
	id, err := s.core.Broadcast(0, []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	list := s.drain()
	if len(list) != 8*stageBuckets || len(pushes(list)) != len(list) {
		t.Fatalf("%d actions, %d messages, want %d", len(list), len(pushes(list)), 8*stageBuckets)
	}
	seen := map[skad.ID]bool{}
	for _, a := range list {
		m := a.Message
		if int(m.Height) != skad.CommonPrefix(s.core.self.ID, a.To.ID) || m.Hop != 1 || m.ID != id ||
			string(m.Payload) != "hello" || seen[a.To.ID] {
			t.Errorf("to %v: %+v", a.To.ID, m)
		}
		seen[a.To.ID] = true
		if err := s.checks.Verify(s.core.domain, &m); err != nil {
			t.Error(err)
		}
	}
}

// TestDutyIsWhatSharesMore: a receiver delivers, and delegates in the buckets beyond its height only; four delegates
// each for the origin's own, two for others.
func TestDutyIsWhatSharesMore(t *testing.T) {
	for _, test := range []struct{ bucket, beta int }{{1, 2}, {2, 2}, {4, 2}, {0, 4}} {
		s := newStage(t, nil)
		from := s.peer(test.bucket, 0)
		m := s.message(s.origin, 1, "x")
		if test.beta == 4 {
			from = s.origin
		}
		in := s.via(from, m)
		list := s.receive(from, in)
		if d := delivered(list); len(d) != 1 || d[0].To != from || string(d[0].Message.Payload) != "x" {
			t.Errorf("bucket %d: delivered %+v", test.bucket, d)
		}
		count := map[uint8]int{}
		for _, a := range pushes(list) {
			if a.Message.Hop != in.Hop+1 || int(a.Message.Height) != skad.CommonPrefix(s.core.self.ID, a.To.ID) {
				t.Errorf("hop %d, height %d", a.Message.Hop, a.Message.Height)
			}
			count[a.Message.Height]++
		}
		for bucket := range uint8(stageBuckets) {
			want := 0
			if int(bucket) > test.bucket {
				want = test.beta
			}
			if count[bucket] != want {
				t.Errorf("from bucket %d: %d delegates in bucket %d, want %d", test.bucket, count[bucket], bucket, want)
			}
		}
	}
}

// TestRefused: nothing that is wrong is delivered, passed on or answered; the sender is blamed for what it could have
// known; the Verifier is not even asked where something cheaper tells. Afterwards the message itself, as it should be,
// is still welcome.
func TestRefused(t *testing.T) {
	for _, test := range []struct {
		name     string
		spoil    func(s *stage, m *Message)
		reason   skad.Reason
		verified int
	}{
		{"height too small", func(_ *stage, m *Message) { m.Height, m.Hop = 0, 2 }, skad.SpreadHeight, 0},
		{"height one less", func(_ *stage, m *Message) { m.Height-- }, skad.SpreadHeight, 0},
		{"height too large", func(_ *stage, m *Message) { m.Height++ }, skad.SpreadHeight, 0},
		{"hop beyond height", func(_ *stage, m *Message) { m.Hop = m.Height + 2 }, skad.SpreadHop, 0},
		{"hop of the origin's delegates", func(_ *stage, m *Message) { m.Hop = 1 }, skad.SpreadHop, 0},
		{"payload too large", func(_ *stage, m *Message) { m.Payload = make([]byte, PayloadLimit+1) }, skad.SpreadTooLarge, 0},
		{"other payload", func(_ *stage, m *Message) { m.Payload = []byte("y") }, skad.SpreadID, 1},
		{"other seq", func(_ *stage, m *Message) { m.Seq++ }, skad.SpreadID, 1},
		{"other id", func(_ *stage, m *Message) { m.ID[0]++ }, skad.SpreadID, 1},
		{"no work", func(_ *stage, m *Message) { m.Solution[24] = 1 }, skad.SpreadPuzzle, 1},
		{"not signed", func(_ *stage, m *Message) { m.Signature = [64]byte{} }, skad.BadSignature, 1},
		{"of another network", func(s *stage, m *Message) {
			sum := hashOf(m)
			m.Signature = s.checks.Sign(domainPrefix+"other", sum[:])
		}, skad.BadSignature, 1},
		{"of another origin", func(s *stage, m *Message) {
			m.Origin = s.peer(0, 1).Record.PublicKey
			sum := hashOf(m)
			m.ID = MessageID(sum[:16])
		}, skad.BadSignature, 1},
		{"our own", func(s *stage, m *Message) { m.Origin = s.core.self.Record.PublicKey; s.sign(m) }, skad.SpreadEcho, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStage(t, func(c *Config) { c.Network = "here" })
			from := s.peer(2, 0)
			good := s.via(from, s.message(s.origin, 1, "x"))
			bad := good
			test.spoil(s, &bad)
			list := s.receive(from, bad)
			reasons := s.blamed(list, from)
			if test.reason.Weight() > 0 && !slices.Equal(reasons, []skad.Reason{test.reason}) || test.reason.Weight() == 0 && len(reasons) > 0 {
				t.Errorf("blamed for %v, want %v", reasons, test.reason)
			}
			if s.core.Stats().Dropped[test.reason] != 1 || len(list) != len(reasons) || s.checks.verified != test.verified {
				t.Errorf("counted %v, %d actions, %d verified, want %d", s.core.Stats().Dropped, len(list), s.checks.verified, test.verified)
			}
			if list := s.receive(s.peer(1, 3), s.via(s.peer(1, 3), s.message(s.origin, 1, "x"))); len(delivered(list)) != 1 {
				t.Errorf("the good message is refused afterwards: %v", s.core.Stats().Dropped)
			}
		})
	}
}

// TestOriginsHopIsItsOwn: the origin cannot pretend to be somewhere down the tree either.
func TestOriginsHopIsItsOwn(t *testing.T) {
	s := newStage(t, nil)
	near := s.peer(3, 0)
	m := s.via(near, s.message(near, 1, "x"))
	m.Hop = 2
	if got := s.blamed(s.receive(near, m), near); !slices.Equal(got, []skad.Reason{skad.SpreadHop}) {
		t.Errorf("blamed for %v", got)
	}
	if s.core.Receive(0, s.core.self, &m); s.core.Stats().Dropped[skad.Loop] != 1 {
		t.Error("a message from ourselves is not dropped as such")
	}
}

// TestNetworksAreApart: what is signed in one network is worth nothing in another, though the nodes are the same.
func TestNetworksAreApart(t *testing.T) {
	for _, network := range []string{"one", "two"} {
		s := newStage(t, func(c *Config) { c.Network = network })
		there := newStage(t, func(c *Config) { c.Network = "one" })
		from := s.peer(1, 0)
		got := len(delivered(s.receive(from, s.via(from, there.message(s.origin, 1, "x")))))
		if want := map[string]int{"one": 1, "two": 0}[network]; got != want {
			t.Errorf("network %s: %d delivered, want %d", network, got, want)
		}
	}
}

// TestDuplicates are dropped without a hash, a look at the signature or an allocation, from wherever they come.
func TestDuplicates(t *testing.T) {
	s := newStage(t, nil)
	m := s.message(s.origin, 1, "x")
	s.receive(s.peer(2, 0), s.via(s.peer(2, 0), m))
	if list := s.receive(s.peer(1, 1), s.via(s.peer(1, 1), m)); len(list) != 0 {
		t.Errorf("%d actions", len(list))
	}
	if s.checks.verified != 1 || s.core.Stats().Dropped[skad.SpreadKnown] != 1 || s.core.Stats().Delivered != 1 {
		t.Errorf("verified %d times, %+v", s.checks.verified, s.core.Stats())
	}
	if raceEnabled || invariant.Enabled {
		t.Skip("checked builds allocate")
	}
	var room [IDLimit]MessageID
	from, in := s.peer(1, 1), s.via(s.peer(1, 1), m)
	wire, ids := in.Append(nil), (&Message{Op: have().Op, IDs: []MessageID{m.ID}}).Append(nil)
	var again Message // handed to interfaces, so one that is made anew each time is an allocation of its maker
	for name, run := range map[string]func(){
		"a duplicate": func() {
			again, _ = ParseMessage(in.Op, wire, nil)
			s.core.Receive(s.now, from, &again)
		},
		"an announcement of what is known": func() {
			again, _ = ParseMessage(have().Op, ids, room[:0])
			s.core.Receive(s.now, from, &again)
		},
	} {
		if n := testing.AllocsPerRun(200, run); n != 0 {
			t.Errorf("%s costs %v allocations, promised 0", name, n)
		}
	}
	if n := s.core.Stats().Dropped[skad.SpreadKnown]; n < 200 {
		t.Errorf("only %d of them were seen as duplicates", n)
	}
}

// TestPayloadIsCopied: what the caller does with its buffer afterwards changes nothing.
func TestPayloadIsCopied(t *testing.T) {
	s := newStage(t, nil)
	from := s.peer(1, 0)
	m := s.via(from, s.message(s.origin, 1, "precious"))
	s.core.Receive(0, from, &m)
	for i := range m.Payload {
		m.Payload[i] = invariant.Spoiled
	}
	list := s.drain()
	if len(pushes(list)) == 0 || len(delivered(list)) != 1 {
		t.Errorf("%d actions", len(list))
	}
	for _, a := range list {
		if string(a.Message.Payload) != "precious" {
			t.Fatalf("kind %v carries %q", a.Kind, a.Message.Payload)
		}
	}
	mine := []byte("mine")
	if _, err := s.core.Broadcast(0, mine); err != nil {
		t.Fatal(err)
	}
	mine[0] = 0
	for _, a := range s.drain() {
		if !bytes.Equal(a.Message.Payload, []byte("mine")) {
			t.Fatalf("own payload became %q", a.Message.Payload)
		}
	}
}

// TestValidator: what the application ignores or rejects goes no further, is asked about once, and only a rejection is
// held against the sender. It is asked after the signature is checked.
func TestValidator(t *testing.T) {
	for verdict, reason := range map[Verdict]skad.Reason{Ignore: skad.SpreadIgnored, Reject: skad.SpreadRejected} {
		asked := 0
		s := newStage(t, func(c *Config) {
			c.Validate = func(_ *skad.Contact, m *Message) Verdict {
				asked++
				if strings.HasPrefix(string(m.Payload), "bad") {
					return verdict
				}
				return Accept
			}
		})
		from := s.peer(1, 0)
		forged := s.via(from, s.message(s.origin, 9, "bad and forged"))
		forged.Signature[0]++
		s.receive(from, forged)
		if asked != 0 {
			t.Error("asked about a forged message")
		}
		m := s.message(s.origin, 1, "bad")
		list := s.receive(from, s.via(from, m))
		if blames := s.blamed(list, from); len(list) != len(blames) || (len(blames) == 1) != (verdict == Reject) {
			t.Errorf("verdict %d: %d actions, blamed for %v", verdict, len(list), blames)
		}
		s.receive(s.peer(1, 1), s.via(s.peer(1, 1), m))
		if list := s.receive(s.peer(1, 1), have(m.ID)); asked != 1 || s.core.Stats().Dropped[reason] != 1 || len(list) != 0 {
			t.Errorf("verdict %d: asked %d times, %v, wanted again: %d", verdict, asked, s.core.Stats().Dropped, len(list))
		}
		if list := s.pass(2 * time.Second); len(list) != 0 {
			t.Errorf("verdict %d: announced nevertheless", verdict)
		}
		if list := s.receive(from, s.via(from, s.message(s.origin, 2, "good"))); len(delivered(list)) != 1 {
			t.Errorf("verdict %d: the next message of the origin is not delivered", verdict)
		}
	}
}

// TestOriginRate: an origin that says too much is dropped until its bucket has filled again; others are not touched,
// and messages forged in its name take nothing from it.
func TestOriginRate(t *testing.T) {
	s := newStage(t, func(c *Config) { c.OriginRate, c.OriginBurst = 10, 20 })
	from := s.peer(1, 0)
	say := func(origin *skad.Contact, seq int) int {
		return len(delivered(s.receive(from, s.via(from, s.message(origin, uint64(seq), fmt.Sprint(seq))))))
	}
	for i := range 100 {
		forged := s.via(from, s.message(s.origin, uint64(1000+i), "x"))
		forged.Signature[0]++
		s.receive(from, forged)
	}
	got := 0
	for i := range 30 {
		got += say(s.origin, i+1)
	}
	if got != 20 || s.core.Stats().Dropped[skad.SpreadLimited] != 10 {
		t.Errorf("%d of 30 delivered, %d limited, want 20, 10", got, s.core.Stats().Dropped[skad.SpreadLimited])
	}
	if say(s.peer(0, 5), 1) != 1 {
		t.Error("another origin is limited too")
	}
	s.pass(time.Second)
	for i := range 30 {
		got += say(s.origin, i+100)
	}
	if got != 30 {
		t.Errorf("%d delivered after a second, want 10 more", got)
	}
	s.pass(10 * time.Second)
	large := s.via(from, s.message(s.origin, 500, string(make([]byte, 60<<10))))
	if len(delivered(s.receive(from, large))) != 1 {
		t.Error("60 KiB are too much for 20 tokens")
	}
	got = 0
	for i := range 10 {
		got += say(s.origin, 501+i)
	}
	if got != 4 {
		t.Errorf("60 KiB cost %d of 20 tokens, want 16", 20-got)
	}
}

// TestJitterIsNoExcess: an origin that uses all that it allows itself is passed on whole, although its messages of two
// seconds arrive at one moment.
func TestJitterIsNoExcess(t *testing.T) {
	origin, s := newStage(t, nil), newStage(t, nil)
	said, end := 0, 2*time.Second
	var all []Message
	for now := time.Duration(0); now <= end; now += time.Millisecond {
		for {
			if _, err := origin.core.Broadcast(now, []byte("x")); err != nil {
				break
			}
			said++
			all = append(all, pushes(origin.drain())[0].Message)
		}
	}
	if said < 60 {
		t.Fatalf("only %d messages in %v", said, end)
	}
	s.core.self = newContact(newRand(1), 1) // both stages are the same node otherwise
	from := s.peer(1, 0)
	for _, m := range all {
		m.Hop, m.Height = 0, uint8(skad.CommonPrefix(s.core.self.ID, from.ID))
		s.core.Receive(end, from, &m)
	}
	if n := s.core.Stats().Delivered; int(n) != said {
		t.Errorf("%d of %d delivered: %v", n, said, s.core.Stats().Dropped)
	}
}

// TestTotalRate: many origins together are limited as well.
func TestTotalRate(t *testing.T) {
	s := newStage(t, func(c *Config) { c.TotalRate, c.TotalBurst = 10, 20 })
	rnd := newRand(5)
	for i := range 30 {
		m := s.message(newContact(rnd, i), 1, "x")
		s.receive(s.peer(1, 0), s.via(s.peer(1, 0), m))
	}
	if st := s.core.Stats(); st.Delivered != 20 || st.Dropped[skad.Busy] != 10 || s.checks.verified != 20 {
		t.Errorf("%d delivered, %d busy, %d verified", st.Delivered, st.Dropped[skad.Busy], s.checks.verified)
	}
}

// TestOwnRate: a node learns at once that others would not pass on what it says.
func TestOwnRate(t *testing.T) {
	s := newStage(t, func(c *Config) { c.OriginRate, c.OriginBurst = 1, 40 })
	for range 20 {
		if _, err := s.core.Broadcast(0, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.core.Broadcast(0, nil); !errors.Is(err, ErrRate) {
		t.Errorf("error %v, want ErrRate", err)
	}
	if _, err := s.core.Broadcast(time.Second, nil); err != nil {
		t.Errorf("after a second: %v", err)
	}
	if _, err := s.core.Broadcast(time.Hour, make([]byte, PayloadLimit+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("error %v, want ErrTooLarge", err)
	}
	if _, err := s.core.Broadcast(time.Hour, make([]byte, PayloadLimit)); err != nil {
		t.Errorf("the largest payload: %v", err)
	}
}

// TestReplay: a message is taken once, also when it is played again long after it was forgotten; a later one of the
// same origin is welcome, in any order within the time that messages are remembered.
func TestReplay(t *testing.T) {
	s := newStage(t, nil)
	from := s.peer(1, 0)
	take := func(seq uint64) int {
		return len(delivered(s.receive(from, s.via(from, s.message(s.origin, seq, "x")))))
	}
	if take(7) != 1 || take(5) != 1 || take(7) != 0 {
		t.Error("not taken once each")
	}
	s.pass(seenFor + time.Second)
	if n := s.core.cache.len(); n != 0 {
		t.Fatalf("%d messages still remembered", n)
	}
	if take(7)+take(5)+take(6) != 0 || s.core.Stats().Dropped[skad.SpreadOld] != 3 {
		t.Errorf("taken again: %v", s.core.Stats().Dropped)
	}
	if take(8) != 1 {
		t.Error("a new one is refused")
	}
}

// TestOldestMakesRoom: neither messages, payloads, origins nor wants grow past their limits, whatever comes; and what
// was pushed out by new messages is not taken a second time.
func TestOldestMakesRoom(t *testing.T) {
	statistical(t)
	s := newStage(t, func(c *Config) {
		c.OriginRate, c.OriginBurst, c.TotalRate, c.TotalBurst = rateLimit, rateLimit, rateLimit, rateLimit
	})
	from := s.peer(4, 0)
	take := func(origin *skad.Contact, seq uint64, payload string) bool {
		m := s.via(from, s.message(origin, seq, payload))
		before := s.core.Stats().Delivered
		s.core.Receive(s.now, from, &m)
		for _, ok := s.core.Next(); ok; _, ok = s.core.Next() {
		}
		return s.core.Stats().Delivered > before
	}
	for i := range seenLimit + 100 {
		take(s.origin, uint64(i+1), "")
	}
	verify(t, s.core)
	if s.core.cache.len() != seenLimit || take(s.origin, 1, "") {
		t.Errorf("%d messages remembered, limit %d", s.core.cache.len(), seenLimit)
	}
	large := string(make([]byte, PayloadLimit))
	for i := range heldLimit / len(large) * 2 {
		take(s.origin, uint64(seenLimit+1000+i), large)
	}
	verify(t, s.core)
	if s.core.cache.bytes > heldLimit || s.core.cache.bytes < heldLimit/2 {
		t.Errorf("%d bytes held, limit %d", s.core.cache.bytes, heldLimit)
	}
	rnd := newRand(1)
	for range originLimit + 100 {
		take(newContact(rnd, 1), 1, "")
	}
	verify(t, s.core)
	if len(s.core.census.list) != originLimit || s.core.census.find(&s.origin.Record.PublicKey) != nil {
		t.Errorf("%d origins known, limit %d", len(s.core.census.list), originLimit)
	}
	s.pass(seenFor + time.Second)
	if c := &s.core.cache; c.len() != 0 || c.bytes != 0 || c.ring != nil || s.core.Deadline() != Never {
		t.Errorf("at rest: %d messages, %d bytes, deadline %v", c.len(), c.bytes, s.core.Deadline())
	}
}
