package discovery

import (
	"context"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
)

// Workers check the records of an answer before the home loop does, and stop at the second forged one.
func TestPrepare(t *testing.T) {
	var good, forged []*skad.Contact
	for i := range 5 {
		id, err := identity.FromSeed(context.Background(), [32]byte{byte(i + 1)}, identity.Puzzle{})
		if err != nil {
			t.Fatal(err)
		}
		rec, err := id.NewRecord(nil, 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		good = append(good, skad.NewContact(*rec, skad.Private))
		rec.Seq++
		forged = append(forged, skad.NewContact(*rec, skad.Private))
	}
	for name, x := range map[string]struct {
		list []*skad.Contact
		want int
	}{
		"all genuine":   {good, 5},
		"one forged":    {append([]*skad.Contact{forged[0]}, good...), 5},
		"two forged":    {[]*skad.Contact{good[0], forged[1], good[1], forged[2], good[2]}, 2},
		"nobody":        {nil, 0},
		"forged only":   {forged, 0},
		"the same ones": {append(good[:3:3], good[:3]...), 3},
	} {
		v := newVerifier(identity.Puzzle{})
		v.prepare(x.list)
		if got := v.cache.Len(); got != x.want {
			t.Errorf("%s: %d checked and genuine, want %d", name, got, x.want)
		}
	}
}

// A peer may ask at its rate and answer what it was asked, once.
func TestBounds(t *testing.T) {
	s := &session{tokens: requestsBurst}
	asked := 0
	for range 1000 {
		if s.mayAsk(0) {
			asked++
		}
	}
	if asked != requestsBurst {
		t.Errorf("%d questions at once, want %d", asked, requestsBurst)
	}
	for range 1000 {
		if s.mayAsk(time.Second) {
			asked++
		}
	}
	if asked != requestsBurst+requestsPerSecond {
		t.Errorf("%d questions within a second, want %d", asked, requestsBurst+requestsPerSecond)
	}
	if s.mayAnswer() {
		t.Error("an answer before any question")
	}
	for range 3 * answersLimit {
		s.mustAnswer()
	}
	answers := 0
	for s.mayAnswer() {
		answers++
	}
	if answers != answersLimit {
		t.Errorf("%d answers, limit %d", answers, answersLimit)
	}
}

// A peer's share of the inbox is bounded, within every batch anew, and so is the inbox.
func TestInbox(t *testing.T) {
	b := inbox{filling: &batch{}}
	put := func(s *session) (n int) {
		for range 2 * inboxPeerLimit {
			if b.message(s, &skad.Message{Payload: []byte("payload")}) {
				n++
			}
		}
		return n
	}
	one := &session{batch: 1 << 60}
	if n := put(one); n != inboxPeerLimit {
		t.Errorf("one peer put %d, limit %d", n, inboxPeerLimit)
	}
	total := inboxPeerLimit
	for range 2 * inboxLimit / inboxPeerLimit {
		total += put(&session{batch: 1 << 60})
	}
	if total != inboxLimit {
		t.Errorf("all together put %d, limit %d", total, inboxLimit)
	}
	full := b.swap(&batch{})
	if len(full.items) != inboxLimit || string(full.items[7].message.Payload) != "payload" {
		t.Errorf("%d items, %q", len(full.items), full.items[7].message.Payload)
	}
	if n := put(one); n != inboxPeerLimit {
		t.Errorf("in the next batch one peer put %d", n)
	}
	b.close()
	if b.message(&session{}, &skad.Message{}) || b.do(nil) != ErrClosed {
		t.Error("taken after the end")
	}
}
