package skad

import (
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/opcode"
)

// TestAskerIsMadeUpFor: a member that asks for its own neighbourhood gets as many contacts as it wants, without itself.
func TestAskerIsMadeUpFor(t *testing.T) {
	c := fullCore(t)
	asker := c.Siblings(nil)[5]
	want := c.Closest(asker.ID, 17, nil)
	c.Receive(0, Peer{asker, true}, &Message{Op: opcode.LookupNodeRequestCode, Nonce: 1, Key: asker.ID, Count: 16})
	list := drain(c)
	if want[0] != asker || len(list) != 1 || !sameIDs(list[0].Message.Contacts, want[1:]) {
		t.Errorf("%d contacts in the answer, want the 16 behind the asker", len(list[0].Message.Contacts))
	}
	c.Receive(0, Peer{asker, true}, &Message{Op: opcode.LookupNodeRequestCode, Nonce: 1, Key: asker.ID})
	if list := drain(c); len(list) != 1 || len(list[0].Message.Contacts) != 0 {
		t.Errorf("asked for none, %d in the answer", len(list[0].Message.Contacts))
	}
}

// TestAnswersKeepToOneGroup: the third contact of a /24 is left out of an answer, because the asker would hold it against us.
func TestAnswersKeepToOneGroup(t *testing.T) {
	c := newCore(t, 1, func(cfg *Config) { cfg.GroupPerBucket, cfg.GroupPerSiblings = 9, 9 })
	rnd := newRand(2)
	for i := range 5 {
		d := fakeContact(randomID(rnd), 1)
		d.Addrs[0] = fakeContact(d.ID, 1).Addrs[0] // one /24 for all
		if !c.Adopt(0, d) {
			t.Fatalf("contact %d is turned away", i)
		}
	}
	c.Receive(0, Peer{fakeContact(randomID(rnd), 2), false}, &Message{Op: opcode.LookupNodeRequestCode, Nonce: 1, Count: 16})
	if list := drain(c); len(list) != 1 || len(list[0].Message.Contacts) != 2 {
		t.Errorf("%d contacts of one /24 in an answer", len(list[0].Message.Contacts))
	}
}

// TestBannedInMidAnswer: what stands behind the last straw in an answer is not looked at any more.
func TestBannedInMidAnswer(t *testing.T) {
	c := newCore(t, 1, nil)
	rnd := newRand(3)
	liar := fakeContact(randomID(rnd), 1)
	c.Adopt(0, liar)
	if _, err := c.Lookup(0, randomID(rnd), LookupOptions{Paths: 1}); err != nil {
		t.Fatal(err)
	}
	m := Message{Op: opcode.LookupNodeResponseCode, Nonce: drain(c)[0].Message.Nonce}
	for i := range 4 {
		m.Contacts = append(m.Contacts, forged(fakeContact(randomID(rnd), 10+i), 20+i))
	}
	good := fakeContact(randomID(rnd), 30)
	m.Contacts = append(m.Contacts, good)
	c.Receive(0, Peer{liar, true}, &m)
	for _, a := range drain(c) {
		if a.To == good {
			t.Error("a contact was taken from somebody banned")
		}
	}
	if st := c.Stats(); st.Bans != 1 || st.Dropped[BadSignature] != banAfter/uint64(BadSignature.Weight()) {
		t.Errorf("%d bans after %d forgeries", st.Bans, st.Dropped[BadSignature])
	}
	verify(t, c)
}

// TestReserveStepsIn: when nobody that a path began with answers, the next contacts of the table are asked, down to the last.
func TestReserveStepsIn(t *testing.T) {
	c := newCore(t, 1, func(cfg *Config) { cfg.K, cfg.Siblings, cfg.Eta = 4, 12, 1 })
	rnd := newRand(4)
	for i := range 12 {
		c.Adopt(0, fakeContact(randomID(rnd), i))
	}
	key := randomID(rnd)
	last := c.Closest(key, 12, nil)[11]
	if _, err := c.Lookup(0, key, LookupOptions{Paths: 2, Width: 2, Alpha: 1, Count: 4}); err != nil {
		t.Fatal(err)
	}
	var result *Result
	for now := time.Duration(0); result == nil; now += time.Millisecond {
		if now > time.Minute {
			t.Fatal("the lookup does not end")
		}
		for _, a := range drain(c) {
			switch {
			case a.Kind == ActionLookup:
				result = a.Result
			case a.Kind != ActionSend:
			case a.To == last:
				c.Receive(now, Peer{a.To, true}, &Message{Op: a.Message.Op + 1, Nonce: a.Message.Nonce})
			case a.Message.Op == opcode.LookupNodeRequestCode:
				c.SendFailed(now, a.To)
			}
		}
		verify(t, c)
	}
	if len(result.Closest) != 1 || result.Closest[0] != last || result.Asked != 12 || result.Failed != 11 {
		t.Errorf("asked %d, %d failed, found %v", result.Asked, result.Failed, result.Closest)
	}
}
