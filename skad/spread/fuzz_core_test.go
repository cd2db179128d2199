package spread

import (
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/skad"
)

// A tape is the input of a fuzz test, read as numbers. It ends in zeros.
type tape []byte

func (p *tape) next(n int) int {
	if len(*p) == 0 {
		return 0
	}
	v := int((*p)[0])
	*p = (*p)[1:]
	return v % n
}

// FuzzCore feeds a core with any events in any order. Laws, after every event: the invariants hold; no message is
// delivered twice, none that its origin has not signed; every push is signed, with the height that is its receiver's
// and a hop that it will take; one message received makes at most beta of them for each bucket, one Want as many as it
// names, and time or a Have none.
func FuzzCore(f *testing.F) {
	rnd := newRand(3)
	for n := range 5 {
		b := make([]byte, 60<<n)
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 4096 {
			return
		}
		s := newStage(t, func(c *Config) { c.OriginRate, c.OriginBurst = 4, 24 })
		play(t, s, tape(b))
	})
}

// play turns a tape into events.
func play(t testing.TB, s *stage, p tape) {
	var ids []MessageID
	delivered := map[MessageID]bool{}
	person := func() *skad.Contact {
		if bucket := p.next(stageBuckets + 1); bucket < stageBuckets {
			return s.peer(bucket, p.next(stageContacts))
		}
		return s.origin
	}
	someIDs := func() (list []MessageID) {
		for range p.next(8) {
			if len(ids) > 0 && p.next(3) > 0 {
				list = append(list, ids[p.next(len(ids))])
			} else {
				list = append(list, MessageID{1, byte(p.next(256))})
			}
		}
		return list
	}
	for len(p) > 0 {
		event := p.next(10)
		switch event {
		case 0, 1, 2, 3: // a message, often good
			size := p.next(200)
			if p.next(6) == 0 {
				size = announceAbove + 1
			}
			m := s.message(person(), uint64(1+p.next(12)), string(make([]byte, size)))
			from := person()
			m = s.via(from, m)
			switch p.next(8) {
			case 0:
				m.Hop = uint8(p.next(8))
			case 1:
				m.Height = uint8(p.next(8))
			case 2:
				m.Signature[p.next(64)]++
			case 3:
				m.ID[p.next(16)]++
			case 4:
				m.Hop = 0
			}
			ids = append(ids[max(0, len(ids)-64):], m.ID)
			s.core.Receive(s.now, from, &m)
		case 4:
			m := have(someIDs()...)
			s.core.Receive(s.now, person(), &m)
		case 5:
			m := wish(someIDs()...)
			s.core.Receive(s.now, person(), &m)
		case 6: // time passes
			s.now += time.Duration(p.next(256)) * time.Duration(p.next(256)) * 4 * time.Millisecond
			s.core.Expire(s.now)
		case 7:
			if id, err := s.core.Broadcast(s.now, make([]byte, p.next(256))); err == nil {
				ids = append(ids, id)
			}
		case 8:
			id := MessageID{}
			if len(ids) > 0 && p.next(4) > 0 {
				id = ids[p.next(len(ids))]
			}
			s.core.SendFailed(s.now, person(), id)
		case 9:
			s.core.Disconnected(s.now, person())
		}
		list := s.drain()
		if n := len(pushes(list)); n > 4*stageBuckets && event < 4 || n > 8 && event == 5 || n > 0 && (event == 4 || event == 6) {
			t.Fatalf("%d pushes at once, after event %d", n, event)
		}
		for _, a := range list {
			m := &a.Message
			switch {
			case a.Kind == ActionDeliver:
				if delivered[m.ID] {
					t.Fatalf("%v delivered again", m.ID)
				}
				if err := s.checks.Verify(s.core.domain, m); err != nil {
					t.Fatalf("delivered: %v", err)
				}
				delivered[m.ID] = true
			case a.Kind == ActionSend && m.Op == opcode.BroadcastCode:
				if int(m.Height) != skad.CommonPrefix(s.core.self.ID, a.To.ID) || int(m.Hop) > int(m.Height)+1 {
					t.Fatalf("pushed with hop %d, height %d", m.Hop, m.Height)
				}
				if err := s.checks.Verify(s.core.domain, m); err != nil {
					t.Fatalf("pushed: %v", err)
				}
			case a.Kind == ActionSend && (len(m.IDs) == 0 || len(m.IDs) > IDLimit):
				t.Fatalf("%v with %d ids", m.Op, len(m.IDs))
			}
		}
	}
}
