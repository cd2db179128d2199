package spread

import (
	"slices"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/skad"
)

// A stage is one core with twelve contacts in each of its first five buckets, and strangers to play the other parts.
type stage struct {
	t      testing.TB
	core   *Core
	table  *static
	checks *cheap
	now    time.Duration
	origin *skad.Contact // not in the table, shares no bit with us
}

const stageBuckets, stageContacts = 5, 12

func newStage(t testing.TB, change func(*Config)) *stage {
	t.Helper()
	rnd := newRand(42)
	self := newContact(rnd, 1<<21)
	s := &stage{t: t, table: &static{self: self.ID}, checks: &cheap{}}
	for host := 0; ; host++ {
		d := newContact(rnd, host)
		prefix := skad.CommonPrefix(self.ID, d.ID)
		if prefix == 0 && s.origin == nil {
			s.origin = d
		} else if prefix < stageBuckets && len(s.table.Sharing(prefix, nil)) < stageContacts {
			s.table.add(d)
		}
		thin := func(b []*skad.Contact) bool { return len(b) < stageContacts }
		if len(s.table.buckets) == stageBuckets && !slices.ContainsFunc(s.table.buckets, thin) {
			break
		}
	}
	cfg := Config{Signer: s.checks, Verifier: s.checks}
	if change != nil {
		change(&cfg)
	}
	var err error
	if s.core, err = New(cfg, self, s.table, rnd, 0); err != nil {
		t.Fatal(err)
	}
	return s
}

// peer returns contact i of a bucket.
func (s *stage) peer(bucket, i int) *skad.Contact { return s.table.buckets[bucket][i] }

// message returns a message of some origin, signed.
func (s *stage) message(origin *skad.Contact, seq uint64, payload string) Message {
	m := Message{Op: opcode.BroadcastCode, Origin: origin.Record.PublicKey, Seq: seq, Payload: []byte(payload)}
	s.sign(&m)
	return m
}

func (s *stage) sign(m *Message) {
	sum := hashOf(m)
	m.ID, m.Signature = MessageID(sum[:16]), s.checks.Sign(s.core.domain, sum[:])
}

// via returns m as an honest peer passes it on to us.
func (s *stage) via(from *skad.Contact, m Message) Message {
	m.Height = uint8(skad.CommonPrefix(s.core.self.ID, from.ID))
	m.Hop = m.Height + 1
	if from.Record.PublicKey == m.Origin {
		m.Hop = 1
	} else {
		m.Hop = max(m.Hop, 2)
	}
	return m
}

func (s *stage) drain() (list []Action) {
	for a, ok := s.core.Next(); ok; a, ok = s.core.Next() {
		a.Message.IDs = slices.Clone(a.Message.IDs)
		list = append(list, a)
	}
	verify(s.t, s.core)
	return list
}

func (s *stage) receive(from *skad.Contact, m Message) []Action {
	s.core.Receive(s.now, from, &m)
	return s.drain()
}

// pass lets time pass, with everything that falls due, and returns what was done about it.
func (s *stage) pass(span time.Duration) (list []Action) {
	end := s.now + span
	for at := s.core.Deadline(); at <= end; at = s.core.Deadline() {
		s.now = max(s.now, at)
		s.core.Expire(s.now)
		list = append(list, s.drain()...)
	}
	s.now = end
	return list
}

// have and want make the other two messages.
func have(ids ...MessageID) Message { return Message{Op: opcode.BroadcastHaveCode, IDs: ids} }
func wish(ids ...MessageID) Message { return Message{Op: opcode.BroadcastWantCode, IDs: ids} }

// only returns the actions of a kind, sent messages of one opcode.
func only(list []Action, kind ActionKind, op opcode.Opcode) (some []Action) {
	for _, a := range list {
		if a.Kind == kind && (kind != ActionSend || a.Message.Op == op) {
			some = append(some, a)
		}
	}
	return some
}

func pushes(list []Action) []Action { return only(list, ActionSend, opcode.BroadcastCode) }
func haves(list []Action) []Action  { return only(list, ActionSend, opcode.BroadcastHaveCode) }
func wishes(list []Action) []Action { return only(list, ActionSend, opcode.BroadcastWantCode) }
func delivered(list []Action) []Action {
	return only(list, ActionDeliver, 0)
}

// blamed returns why somebody was blamed; it fails the test if somebody other than by was.
func (s *stage) blamed(list []Action, by *skad.Contact) (reasons []skad.Reason) {
	s.t.Helper()
	for _, a := range only(list, ActionBlame, 0) {
		if a.To.ID != by.ID {
			s.t.Errorf("%v blamed for %v", a.To.ID, a.Reason)
		}
		reasons = append(reasons, a.Reason)
	}
	return reasons
}
