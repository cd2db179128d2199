package skad

import (
	"net/netip"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// TestBadAnswers: what is wrong with an answer is dropped, counted under its reason, held against the sender by its
// weight, and told. Good contacts in the same answer still count.
func TestBadAnswers(t *testing.T) {
	rnd := newRand(1)
	liar, member, good := fakeContact(randomID(rnd), 1), fakeContact(randomID(rnd), 2), fakeContact(randomID(rnd), 3)
	newer := resigned(member, func(r *identity.Record) { r.Seq = 7 })
	stranger := func(i int) *Contact { return fakeContact(randomID(rnd), 100+i) }
	var crowded []*Contact
	for i := range 3 {
		crowded = append(crowded, fakeAt(randomID(rnd), netip.AddrFrom4([4]byte{45, 1, 2, byte(i)}), 1, 0))
	}
	var many []*Contact
	for i := range 17 {
		many = append(many, stranger(i))
	}
	for _, tt := range []struct {
		name   string
		list   []*Contact
		reason Reason
		none   bool // the whole answer is dropped
	}{
		{"more than asked for", many, TooLong, true},
		{"no proof of work", []*Contact{resigned(stranger(1), func(r *identity.Record) { r.Solution[31] = 1 }), good}, BadPuzzle, false},
		{"forged address of a stranger", []*Contact{forged(stranger(2), 50), good}, BadSignature, false},
		{"forged address of a member", []*Contact{forged(newer, 51), good}, BadSignature, false},
		{"forged newer record of a member", []*Contact{func() *Contact { f := forged(newer, 52); f.Record.Seq = 99; return f }(), good}, BadSignature, false},
		{"stale record of a member", []*Contact{member, good}, Stale, false},
		{"private address", []*Contact{fakeAt(randomID(rnd), netip.MustParseAddr("192.168.1.1"), 1, 0), good}, PrivateAddr, false},
		{"client", []*Contact{fakeAt(randomID(rnd), netip.MustParseAddr("45.9.9.9"), 1, identity.FlagClient), good}, ClientNode, false},
		{"one IP group", append(crowded, good), CrowdedGroup, false},
		{"a contact twice", []*Contact{good, good}, Duplicate, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCore(t, 99, nil)
			c.Adopt(0, liar)
			c.Adopt(0, newer)
			if _, err := c.Lookup(0, randomID(rnd), LookupOptions{Paths: 1, Alpha: 1}); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the liar is asked first or second
				for _, a := range drain(c) {
					if a.Kind != ActionSend || a.Message.Op != opcode.LookupNodeRequestCode {
						continue
					}
					m := Message{Op: opcode.LookupNodeResponseCode, Nonce: a.Message.Nonce}
					if a.To == liar {
						m.Contacts = tt.list
					}
					c.Receive(0, Peer{a.To, true}, &m)
					verify(t, c)
					if a.To != liar {
						continue
					}
					if got := c.Stats().Dropped[tt.reason]; got != 1 {
						t.Errorf("counted %d times as %v: %v", got, tt.reason, c.Stats().Dropped)
					}
					if s := c.slots[c.find(&liar.ID)]; int(s.score) != tt.reason.Weight() && int(s.score) != tt.reason.Weight()-answerWorth {
						t.Errorf("score %d, weight %d", s.score, tt.reason.Weight())
					}
					blamed, asked := 0, false
					for _, b := range drain(c) {
						if b.Kind == ActionBlame && b.To == liar && b.Reason == tt.reason {
							blamed++
						}
						asked = asked || b.Kind == ActionSend && b.To == good
					}
					if blamed != 1 {
						t.Errorf("blamed %d times", blamed)
					}
					if asked == tt.none {
						t.Errorf("the good contact beside it was asked: %v", asked)
					}
					return
				}
			}
			t.Fatal("the liar was not asked")
		})
	}
}

// TestUnaskedAnswers: an answer to no question is held against its sender; a late one is not, and tells that the
// contact lives.
func TestUnaskedAnswers(t *testing.T) {
	c := newCore(t, 1, nil)
	rnd := newRand(2)
	d, other := fakeContact(randomID(rnd), 1), fakeContact(randomID(rnd), 2)
	c.Adopt(0, d)
	c.Adopt(0, other)
	if err := c.AskRecord(0, d); err != nil {
		t.Fatal(err)
	}
	nonce := drain(c)[0].Message.Nonce
	record := Message{Op: opcode.RecordCode, Nonce: nonce, Contacts: []*Contact{d}}

	c.Receive(0, Peer{other, true}, &record) // right nonce, wrong sender
	pong := record
	pong.Op = opcode.PongCode
	c.Receive(0, Peer{d, true}, &pong) // right nonce and sender, wrong kind of answer
	if n := c.Stats().Dropped[Unasked]; n != 2 || c.Stats().Answered != 0 {
		t.Fatalf("%d unasked answers counted, want 2", n)
	}
	c.Expire(2 * time.Second)
	c.Receive(2*time.Second, Peer{d, true}, &record)
	if st := c.Stats(); st.Dropped[Late] != 1 || st.Dropped[Unasked] != 2 {
		t.Errorf("a late answer: %+v", st)
	}
	if s := c.slots[c.find(&d.ID)]; s.score != uint8(Unasked.Weight())-answerWorth || s.misses != 0 || s.srtt == 0 {
		t.Errorf("a late answer was held against its sender, or was no sign of life: %+v", s)
	}
	c.Receive(2*time.Second, Peer{d, true}, &record)
	if n := c.Stats().Dropped[Unasked]; n != 3 {
		t.Errorf("the second answer to one question was not unasked: %d", n)
	}
	drain(c)
	verify(t, c)
}

// TestBan: enough of it ends the acquaintance for an hour: out of the table, not asked, not admitted again.
func TestBan(t *testing.T) {
	c := newCore(t, 1, nil)
	rnd := newRand(3)
	bad := fakeContact(randomID(rnd), 1)
	c.Adopt(0, bad)
	c.Adopt(0, fakeContact(randomID(rnd), 2))
	told := false
	for range banAfter / Unasked.Weight() {
		if c.Len() != 2 {
			t.Fatal("banned too early")
		}
		c.Receive(0, Peer{bad, true}, &Message{Op: opcode.PongCode, Nonce: 1})
		for _, a := range drain(c) {
			told = told || a.Kind == ActionBlame && a.Banned
		}
	}
	verify(t, c)
	if c.Len() != 1 || !told || c.Stats().Bans != 1 {
		t.Fatalf("%d in the table, told %v, %d bans", c.Len(), told, c.Stats().Bans)
	}
	greet(c, time.Minute, Peer{bad, true})
	if c.Len() != 1 || c.Adopt(time.Minute, bad) {
		t.Error("a banned contact has come back")
	}
	greet(c, banFor+time.Minute, Peer{bad, true})
	if c.Len() != 2 {
		t.Error("a ban does not end")
	}
	for range banAfter / Unasked.Weight() { // and the second one is as good as the first
		c.Receive(banFor+time.Minute, Peer{bad, true}, &Message{Op: opcode.PongCode, Nonce: 1})
	}
	drain(c)
	verify(t, c)
	greet(c, banFor+2*time.Minute, Peer{bad, true})
	if c.Len() != 1 || !c.Banned(bad.ID) || c.Stats().Bans != 2 || len(c.bans) != 1 {
		t.Errorf("banned again: %d in the table, banned %t, %d bans, %d remembered", c.Len(), c.Banned(bad.ID), c.Stats().Bans, len(c.bans))
	}
}

// TestRecordsAboutOthers: a record message speaks for its sender only.
func TestRecordsAboutOthers(t *testing.T) {
	c := newCore(t, 1, nil)
	rnd := newRand(4)
	d, other := fakeContact(randomID(rnd), 1), fakeContact(randomID(rnd), 2)
	c.Adopt(0, d)
	c.Adopt(0, other)
	c.Receive(0, Peer{d, true}, &Message{Op: opcode.RecordCode, Contacts: []*Contact{resigned(other, func(r *identity.Record) { r.Seq = 9 })}})
	if c.Stats().Dropped[Foreign] != 1 || c.slots[c.find(&other.ID)].contact != other {
		t.Error("a record about somebody else was taken")
	}
	f := forged(d, 3)
	f.Record.Seq = 9
	c.Receive(0, Peer{d, true}, &Message{Op: opcode.RecordCode, Contacts: []*Contact{f}})
	if c.Stats().Dropped[BadSignature] != 1 || c.slots[c.find(&d.ID)].contact != d {
		t.Error("a forged record was taken")
	}
}

func TestReasons(t *testing.T) {
	seen := map[string]bool{}
	for r := range reasonCount {
		if s := r.String(); s == "" || s == "unknown" || seen[s] {
			t.Errorf("reason %d is called %q", r, s)
		} else {
			seen[s] = true
		}
	}
	if reasonCount.String() != "unknown" || reasonCount.Weight() != 0 {
		t.Error("what is no reason has a name or a weight")
	}
	for _, r := range []Reason{Late, Seen, Expired, Busy, Unreached, Loop} {
		if r.Weight() != 0 {
			t.Errorf("%v can happen to an honest node and weighs %d", r, r.Weight())
		}
	}
}

// TestBlame: what breaks the rules of the broadcast counts towards the same ban, and is not counted as dropped here. Of
// strangers nothing is kept.
func TestBlame(t *testing.T) {
	c := newCore(t, 1, nil)
	d, stranger := fakeContact(randomID(newRand(5)), 1), fakeContact(randomID(newRand(6)), 2)
	c.Adopt(0, d)
	for i, step := range []struct {
		by     *Contact
		why    Reason
		blamed bool
		banned bool
	}{{d, SpreadKnown, false, false}, {d, SpreadID, true, false}, {stranger, SpreadID, true, false}, {nil, SpreadID, false, false}, {d, BadSignature, true, true}} {
		drain(c)
		c.Blame(time.Second, step.by, step.why)
		verify(t, c)
		list := drain(c)
		blamed := len(list) > 0 && list[len(list)-1].Kind == ActionBlame && list[len(list)-1].To == step.by
		if blamed != step.blamed || blamed && list[len(list)-1].Banned != step.banned {
			t.Errorf("step %d: %+v", i, list)
		}
	}
	if !c.Banned(d.ID) || c.Banned(stranger.ID) {
		t.Errorf("banned: %t, the stranger: %t", c.Banned(d.ID), c.Banned(stranger.ID))
	}
	if c.Len() != 0 || c.Stats().Dropped != (Drops{}) || c.Stats().Bans != 1 {
		t.Errorf("%d members, %+v", c.Len(), c.Stats())
	}
}
