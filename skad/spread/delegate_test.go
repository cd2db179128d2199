package spread

import (
	"net/netip"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/skad"
)

// TestOneDelegatePerGroup: of contacts in one /24 only one becomes a delegate of a bucket, however many there are.
func TestOneDelegatePerGroup(t *testing.T) {
	s := newStage(t, nil)
	for bucket := range s.table.buckets {
		for i, d := range s.table.buckets[bucket][2:] { // two stay where they are
			moved := d.Record
			ip := netip.AddrFrom4([4]byte{99, 1, byte(bucket), byte(i + 1)})
			moved.Addrs = []transport.Addr{{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(ip, 4001)}}
			s.table.buckets[bucket][i+2] = skad.NewContact(moved, skad.Public)
		}
	}
	if _, err := s.core.Broadcast(0, nil); err != nil {
		t.Fatal(err)
	}
	count := map[uint8]int{}
	crowd := map[uint8]int{}
	for _, a := range pushes(s.drain()) {
		count[a.Message.Height]++
		if a.To.Addrs[0].Addr().As4()[0] == 99 {
			crowd[a.Message.Height]++
		}
	}
	for bucket := range uint8(stageBuckets) {
		if count[bucket] != 3 || crowd[bucket] != 1 {
			t.Errorf("bucket %d: %d delegates, %d of one /24, want 3, 1", bucket, count[bucket], crowd[bucket])
		}
	}
}

// TestTheOriginIsNoDelegate: who has said it is not told.
func TestTheOriginIsNoDelegate(t *testing.T) {
	for i := range stageContacts {
		s := newStage(t, func(c *Config) { c.Beta = []int{betaLimit} })
		origin, from := s.peer(4, i), s.peer(2, 0)
		for _, a := range pushes(s.receive(from, s.via(from, s.message(origin, 1, "x")))) {
			if a.To.ID == origin.ID {
				t.Error("the origin is told its own message")
			}
		}
	}
}

// TestUnreachableDelegateIsReplaced: at once, by another contact of the same bucket with the same duty, until nobody is
// left; one report counts once, and a report about somebody who was not given the message does nothing.
func TestUnreachableDelegateIsReplaced(t *testing.T) {
	s := newStage(t, func(c *Config) { c.Beta = []int{1} })
	id, err := s.core.Broadcast(0, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	first := pushes(s.drain())
	if len(first) != stageBuckets {
		t.Fatalf("%d delegates", len(first))
	}
	tried := map[skad.ID]bool{first[2].To.ID: true}
	to := first[2]
	for n := 1; ; n++ {
		s.core.SendFailed(s.now, to.To, id)
		next := s.drain()
		if len(next) == 0 {
			if n != stageContacts {
				t.Errorf("given up after %d of %d contacts", n, stageContacts)
			}
			break
		}
		m := next[0].Message
		if len(next) != 1 || m.Height != to.Message.Height || m.Hop != to.Message.Hop || m.ID != id || tried[next[0].To.ID] {
			t.Fatalf("replaced by %+v", next)
		}
		s.core.SendFailed(s.now, to.To, id)
		if again := s.drain(); len(again) != 0 {
			t.Fatalf("a second report of the same: %d actions", len(again))
		}
		to = next[0]
		tried[to.To.ID] = true
	}
	s.core.SendFailed(s.now, s.origin, id)
	s.core.SendFailed(s.now, first[0].To, MessageID{1})
	if list := s.drain(); len(list) != 0 {
		t.Errorf("%d actions for reports about nothing", len(list))
	}
	if st := s.core.Stats(); st.Redelegated != stageContacts-1 || st.Abandoned != 1 {
		t.Errorf("%+v", st)
	}
}

// TestEndOfSessionIsDoubt: what was delegated just before a session ends is delegated anew; what is older is taken as
// received.
func TestEndOfSessionIsDoubt(t *testing.T) {
	s := newStage(t, func(c *Config) { c.Beta, c.PushOnly = []int{1}, true })
	give := func() (id MessageID, to *skad.Contact) {
		id, err := s.core.Broadcast(s.now, nil)
		if err != nil {
			t.Fatal(err)
		}
		return id, pushes(s.drain())[0].To
	}
	_, to := give()
	s.pass(doubtFor + time.Millisecond)
	s.core.Disconnected(s.now, to)
	if list := s.drain(); len(list) != 0 {
		t.Errorf("%d actions for an old message", len(list))
	}
	id, to := give()
	s.pass(doubtFor / 2)
	s.core.Disconnected(s.now, to)
	if list := pushes(s.drain()); len(list) != 1 || list[0].Message.ID != id || list[0].Message.Height != 0 || list[0].To.ID == to.ID {
		t.Errorf("delegated anew: %+v", list)
	}
	s.core.Disconnected(s.now, to)
	if list := s.drain(); len(list) != 0 {
		t.Errorf("%d actions for the same again", len(list))
	}
}

// TestLargePayloadIsAnnounced: beyond two hops delegates are asked first, and get message and duty when they want it;
// before that, and below the size, they get it at once. A delegate that cannot be reached is replaced there too.
func TestLargePayloadIsAnnounced(t *testing.T) {
	large := string(make([]byte, announceAbove+1))
	for _, test := range []struct {
		name    string
		hop     uint8
		payload string
		asked   bool
	}{{"first hop", 1, large, false}, {"second hop", 2, large, true}, {"third hop", 3, large, true}, {"just not large", 3, large[1:], false}} {
		t.Run(test.name, func(t *testing.T) {
			s := newStage(t, func(c *Config) { c.PushOnly = true })
			from := s.peer(2, 0)
			if test.hop == 1 {
				from = s.origin
			}
			m := s.via(from, s.message(s.origin, 1, test.payload))
			m.Hop = test.hop
			list := s.receive(from, m)
			if !test.asked {
				if len(pushes(list)) == 0 || len(haves(list)) != 0 {
					t.Fatalf("%d pushed, %d announced", len(pushes(list)), len(haves(list)))
				}
				return
			}
			told := haves(list)
			if len(pushes(list)) != 0 || len(told) != 2*2 {
				t.Fatalf("%d pushed, %d announced, want 0, 4", len(pushes(list)), len(told))
			}
			d := told[0]
			answer := pushes(s.receive(d.To, wish(m.ID)))
			height := uint8(skad.CommonPrefix(s.core.self.ID, d.To.ID))
			if len(answer) != 1 || answer[0].To.ID != d.To.ID || answer[0].Message.ID != m.ID ||
				answer[0].Message.Hop != test.hop+1 || answer[0].Message.Height != height {
				t.Errorf("the answer is %+v", answer)
			}
			if d.Message.ID != m.ID {
				t.Error("the action does not name the message for SendFailed")
			}
			s.core.SendFailed(0, told[1].To, told[1].Message.ID)
			self := s.core.self.ID
			if next := haves(s.drain()); len(next) != 1 || skad.CommonPrefix(next[0].To.ID, self) != skad.CommonPrefix(told[1].To.ID, self) {
				t.Errorf("replaced by %+v", next)
			}
			if list := s.receive(told[1].To, wish(m.ID)); len(pushes(list)) != 0 {
				t.Error("the one that could not be reached still has its offer")
			}
		})
	}
}

// TestEmptyTable: a node alone can broadcast, to nobody.
func TestEmptyTable(t *testing.T) {
	s := newStage(t, nil)
	s.table.buckets = nil
	if _, err := s.core.Broadcast(0, nil); err != nil {
		t.Fatal(err)
	}
	if list := append(s.drain(), s.pass(time.Hour)...); len(list) != 0 {
		t.Errorf("%d actions", len(list))
	}
}

// TestLinkedDelegates: of the delegates of a bucket every other one can be sent to at once where there are such, and no
// more than chance would have it of the rest; one that failed is replaced by such a one.
func TestLinkedDelegates(t *testing.T) {
	linked := map[skad.ID]bool{}
	s := newStage(t, func(c *Config) { c.Linked = func(d *skad.Contact) bool { return linked[d.ID] } })
	for bucket := range s.table.buckets {
		for i := range 5 { // of stageContacts
			linked[s.peer(bucket, i).ID] = true
		}
	}
	if _, err := s.core.Broadcast(0, nil); err != nil {
		t.Fatal(err)
	}
	list := pushes(s.drain())
	at, strangers := map[uint8]int{}, 0
	for _, a := range list {
		if n := at[a.Message.Height]; n%2 == 0 && n < 8 && !linked[a.To.ID] {
			t.Errorf("bucket %d: delegate %d has to be dialled", a.Message.Height, n)
		}
		at[a.Message.Height]++
		if !linked[a.To.ID] {
			strangers++
		}
	}
	if strangers == 0 || strangers > len(list)/2 {
		t.Errorf("%d of %d delegates have to be dialled", strangers, len(list))
	}
	unused := 5 // of those of bucket 0 that can be sent to at once
	for _, a := range list {
		if a.Message.Height == 0 && linked[a.To.ID] {
			unused--
		}
	}
	s.core.SendFailed(time.Second, list[0].To, list[0].Message.ID)
	again := pushes(s.drain())
	if len(again) != 1 || again[0].Message.Height != 0 || linked[again[0].To.ID] != (unused > 0) {
		t.Errorf("%d unused, replaced by %+v", unused, again)
	}
}
