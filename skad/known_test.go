package skad

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/opcode"
)

// TestAnswersLeaveOutWhatIsKnown: an answer brings exactly those of the closest that the question does not name; with a newer
// sequence number it names another record.
func TestAnswersLeaveOutWhatIsKnown(t *testing.T) {
	c := fullCore(t)
	key, nonce := randomID(newRand(9)), uint64(77)
	all := c.Closest(key, 16, nil)
	older := resignedSeq(all[3], all[3].Record.Seq-1)
	var list []uint16
	for i, d := range all {
		switch {
		case i == 3:
			list = append(list, fingerprint(nonce, older))
		case i%2 == 1:
			list = append(list, fingerprint(nonce, d))
		}
	}
	asker := Peer{fakeContact(randomID(newRand(8)), 1), false}
	c.Receive(0, asker, &Message{Op: opcode.LookupNodeRequestCode, Nonce: nonce, Key: key, Count: 16, Payload: rising(list)})
	answer := drain(c)[0].Message.Contacts
	var want []*Contact
	for i, d := range all {
		if i%2 == 0 || i == 3 {
			want = append(want, d)
		}
	}
	if !sameIDs(answer, want) {
		t.Errorf("%d contacts in the answer, want %d", len(answer), len(want))
	}
	c.Receive(0, asker, &Message{Op: opcode.LookupNodeRequestCode, Nonce: nonce + 1, Key: key, Count: 16, Payload: rising(list)})
	if n := len(drain(c)[0].Message.Contacts); n < 15 {
		t.Errorf("fingerprints of another nonce leave out %d", 16-n)
	}
}

// resignedSeq returns the record of d with another sequence number.
func resignedSeq(d *Contact, seq uint64) *Contact {
	other := *d
	other.Record.Seq = seq
	return &other
}

// rising writes fingerprints as a question does.
func rising(list []uint16) (b []byte) {
	for f := range 1 << 16 {
		for _, have := range list {
			if int(have) == f {
				b = binary.LittleEndian.AppendUint16(b, have)
				break
			}
		}
	}
	return b
}

// TestQuestionsNameWhatIsKnown: who looks around names its table and what it has checked, nothing that may be forged, and a
// lookup of a user names nothing.
func TestQuestionsNameWhatIsKnown(t *testing.T) {
	c := fullCore(t)
	if err := c.LookAround(0); err != nil {
		t.Fatal(err)
	}
	for _, a := range drain(c) {
		m := &a.Message
		if m.Op != opcode.LookupNodeRequestCode {
			continue
		}
		if !checkKnown(m.Payload) || len(m.Payload) == 0 {
			t.Fatalf("fingerprints %x", m.Payload)
		}
		for _, d := range c.Closest(m.Key, int(m.Count)*3/2, nil) {
			if !named(m.Payload, fingerprint(m.Nonce, d)) {
				t.Errorf("%v is in the table and not named", d.ID)
			}
		}
		rnd := newRand(5)
		found := shortlist{{contact: fakeContact(randomID(rnd), 1), checked: true}, {contact: fakeContact(randomID(rnd), 2)}}
		known := c.known(m.Nonce, &m.Key, m.Count, found)
		if !named(known, fingerprint(m.Nonce, found[0].contact)) || named(known, fingerprint(m.Nonce, found[1].contact)) {
			t.Error("of what was found the genuine one, and only that, is to be named")
		}
		return
	}
	t.Fatal("nobody was asked")
}

func TestUsersNameNothing(t *testing.T) {
	c := fullCore(t)
	if _, err := c.Lookup(0, randomID(newRand(2)), LookupOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, a := range drain(c) {
		if len(a.Message.Payload) > 0 {
			t.Errorf("%v with %x", a.Message.Op, a.Message.Payload)
		}
	}
}

// TestKnownKeepsItsLimit: a large table and a long list make no larger question than the wire allows.
func TestKnownKeepsItsLimit(t *testing.T) {
	c := fullCore(t)
	rnd := newRand(6)
	var found shortlist
	for i := range finalLimit {
		found = append(found, candidate{contact: fakeContact(randomID(rnd), i), checked: true})
	}
	m := Message{Op: opcode.LookupNodeRequestCode, Nonce: 9, Count: ReplyLimit, Payload: c.known(9, &c.self.ID, ReplyLimit, found)}
	if n := len(m.Payload); n < 2*FingerprintLimit-8 || n > 2*FingerprintLimit {
		t.Errorf("%d bytes of fingerprints", n)
	}
	facts, _ := opcode.FactsOf(m.Op)
	wire := m.Append(nil)
	if back, err := ParseMessage(m.Op, wire, Public); err != nil || len(wire) > facts.PayloadLimit || !bytes.Equal(back.Payload, m.Payload) {
		t.Errorf("%d bytes, limit %d: %v", len(wire), facts.PayloadLimit, err)
	}
}

// TestFingerprintsSpread: two records share a fingerprint as rarely as chance has it, whatever the nonce, and also if they were
// made alike.
func TestFingerprintsSpread(t *testing.T) {
	rnd := newRand(3)
	a, b := fakeContact(randomID(rnd), 1), fakeContact(randomID(rnd), 2)
	b.ID[3] = a.ID[3]
	b.Record.Seq = a.Record.Seq
	same := 0
	for range 1 << 17 {
		if nonce := rnd.Uint64(); fingerprint(nonce, a) == fingerprint(nonce, b) {
			same++
		}
	}
	if same > 12 { // 2 are expected
		t.Errorf("%d of %d nonces do not tell them apart", same, 1<<17)
	}
}

// TestLostIsPinged: a member whose session broke is asked within half a second, and is out of the table when it does not
// answer; one that said goodbye is left alone.
func TestLostIsPinged(t *testing.T) {
	c := fullCore(t)
	gone, left := c.Siblings(nil)[0], c.Siblings(nil)[7] // the one in between is the witness
	c.Disconnected(time.Second, left)
	c.Lost(time.Second, gone)
	pinged := map[ID]bool{}
	for now := time.Second; now < 4*time.Second; now += 50 * time.Millisecond {
		c.Expire(now)
		for _, a := range drain(c) {
			if a.Kind != ActionSend || a.Message.Op != opcode.PingCode {
				continue
			}
			pinged[a.To.ID] = true
			if a.To != gone {
				c.Receive(now, Peer{a.To, true}, &Message{Op: opcode.PongCode, Nonce: a.Message.Nonce})
			} else if !c.slots[c.find(&gone.ID)].has(isMember) {
				t.Fatal("asked although it has lost its place")
			}
		}
	}
	if !pinged[gone.ID] || pinged[left.ID] {
		t.Errorf("pinged: the one that broke off %v, the one that left %v", pinged[gone.ID], pinged[left.ID])
	}
	if i := c.find(&gone.ID); i != 0 && c.slots[i].has(isMember) {
		t.Error("still in the table")
	}
	verify(t, c)
}

// TestAskedAgain: who was silent once, of those that belong into the result, is asked a second time, and only
// a second time. So is one whose session ended in order while the question was under way; one whose session
// broke, or who cannot be dialled, is not.
func TestAskedAgain(t *testing.T) {
	for _, x := range []struct {
		name          string
		first, second func(c *Core, now time.Duration, d *Contact, nonce uint64)
		asked, failed int
		exact         bool
	}{
		{"silent once", nothing, answers, 2, 1, true},
		{"silent", nothing, nothing, 2, 2, false},
		{"session over", parts, answers, 2, 1, true},
		{"session over twice", parts, parts, 2, 2, false},
		{"session broken", breaks, answers, 1, 1, false},
		{"not to be dialled", unreachable, answers, 1, 1, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := fullCore(t)
			key := randomID(newRand(4))
			want := c.Closest(key, 16, nil)
			slow, asked := want[2], 0
			if _, err := c.Lookup(0, key, LookupOptions{}); err != nil {
				t.Fatal(err)
			}
			var result *Result
			for now := time.Duration(0); result == nil; now += 25 * time.Millisecond {
				if now > 20*time.Second {
					t.Fatal("the lookup does not end")
				}
				c.Expire(now)
				for _, a := range drain(c) {
					switch {
					case a.Kind == ActionLookup:
						result = a.Result
					case a.Kind != ActionSend || isAnswerOp(a.Message.Op):
					case a.To != slow || a.Message.Op != opcode.LookupNodeRequestCode:
						c.Receive(now, Peer{a.To, true}, &Message{Op: a.Message.Op + 1, Nonce: a.Message.Nonce})
					case asked == 0:
						asked++
						x.first(c, now, slow, a.Message.Nonce)
					default:
						asked++
						x.second(c, now, slow, a.Message.Nonce)
					}
				}
				verify(t, c)
			}
			if asked != x.asked || result.Failed != x.failed || sameIDs(result.Closest, want) != x.exact {
				t.Errorf("asked %d times, %d failed, exact %v; want %d, %d, %v", asked, result.Failed, sameIDs(result.Closest, want), x.asked, x.failed, x.exact)
			}
		})
	}
}

func nothing(*Core, time.Duration, *Contact, uint64) {}

func answers(c *Core, now time.Duration, d *Contact, nonce uint64) {
	c.Receive(now, Peer{d, true}, &Message{Op: opcode.LookupNodeResponseCode, Nonce: nonce})
}

func parts(c *Core, now time.Duration, d *Contact, _ uint64)       { c.Disconnected(now, d) }
func breaks(c *Core, now time.Duration, d *Contact, _ uint64)      { c.Lost(now, d) }
func unreachable(c *Core, now time.Duration, d *Contact, _ uint64) { c.SendFailed(now, d) }

func isAnswerOp(op opcode.Opcode) bool {
	return op == opcode.PongCode || op == opcode.LookupNodeResponseCode
}

// TestLateAnswersCount: who answers the ping that would have made it a member after its time-out is a member, and whom a late
// answer to a lookup mentions is pinged; an answer that holds more than was asked for is good for neither.
func TestLateAnswersCount(t *testing.T) {
	c := newCore(t, 1, nil)
	rnd := newRand(2)
	slow, told := fakeContact(randomID(rnd), 1), fakeContact(randomID(rnd), 2)
	c.Connected(0, Peer{slow, true})
	ping := drain(c)[0]
	c.Expire(2 * time.Second)
	if c.Len() != 0 || c.Stats().Missed != 1 {
		t.Fatalf("%d members, %d missed", c.Len(), c.Stats().Missed)
	}
	c.Receive(2*time.Second, Peer{slow, false}, &Message{Op: opcode.PongCode, Nonce: ping.Message.Nonce + 1})
	c.Receive(2*time.Second, Peer{slow, true}, &Message{Op: opcode.PongCode, Nonce: ping.Message.Nonce})
	if c.Len() != 1 {
		t.Fatal("its late answer has not made it a member")
	}
	verify(t, c)

	ask := func(at time.Duration) uint64 {
		if _, err := c.Lookup(at, randomID(rnd), LookupOptions{Paths: 1, Count: 1}); err != nil {
			t.Fatal(err)
		}
		nonce := uint64(0)
		for _, a := range drain(c) {
			if a.Message.Op == opcode.LookupNodeRequestCode {
				nonce = a.Message.Nonce
			}
		}
		c.Expire(at + 10*time.Second)
		drain(c)
		return nonce
	}
	many := make([]*Contact, 0, 17)
	for i := range 17 {
		many = append(many, fakeContact(randomID(rnd), 10+i))
	}
	c.Receive(13*time.Second, Peer{slow, true}, &Message{Op: opcode.LookupNodeResponseCode, Nonce: ask(3 * time.Second), Contacts: many})
	if len(drain(c)) != 0 {
		t.Error("more contacts than were asked for were looked at")
	}
	c.Receive(24*time.Second, Peer{slow, true}, &Message{Op: opcode.LookupNodeResponseCode, Nonce: ask(14 * time.Second), Contacts: []*Contact{told}})
	if list := drain(c); len(list) != 1 || list[0].To.ID != told.ID || list[0].Message.Op != opcode.PingCode {
		t.Errorf("who was mentioned late was not pinged: %+v", list)
	}
	verify(t, c)
}

// TestExpireNext: one thing at a time comes to the same as all at once.
func TestExpireNext(t *testing.T) {
	run := func(expire func(c *Core, now time.Duration) int) (Stats, int) {
		c := fullCore(t)
		for i := range 4 {
			if _, err := c.Lookup(0, randomID(newRand(uint64(i))), LookupOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		drain(c)
		most := 0
		for now := time.Duration(0); now < 12*time.Second; now += time.Second {
			most = max(most, expire(c, now))
			verify(t, c)
		}
		return c.Stats(), most
	}
	all, _ := run(func(c *Core, now time.Duration) int { c.Expire(now); drain(c); return 0 })
	one, most := run(func(c *Core, now time.Duration) (n int) {
		for ; c.Deadline() <= now; n++ {
			before := c.Stats().Missed
			c.ExpireNext(now)
			if drain(c); c.Stats().Missed > before+1 {
				t.Fatalf("%d questions ended in one call", c.Stats().Missed-before)
			}
		}
		return n
	})
	if all.Missed != one.Missed || all.Asked != one.Asked || all.Missed < 32 || most < 16 {
		t.Errorf("all at once %+v, one by one %+v, at most %d in one second", all, one, most)
	}
}
