package spread

import (
	"github.com/carrier-p2p/carrier/skad"

	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/carrier-p2p/carrier/handshake/identity"
)

// TestCacheAgainstModel: a cache does what a plain list does.
func TestCacheAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c cache
		var model []entry
		n := 0
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0, 1, 2:
				n++
				e := entry{id: MessageID{byte(n), byte(n >> 8), 1}, at: time.Duration(n)}
				if rapid.Bool().Draw(t, "held") {
					e.held = &held{rounds: uint8(rapid.IntRange(0, 1).Draw(t, "rounds"))}
					e.held.msg.Payload = make([]byte, rapid.IntRange(0, 100).Draw(t, "size"))
				}
				c.add(e)
				model = append(model, e)
			case 3:
				if len(model) > 0 {
					c.pop()
					model = model[1:]
				}
			case 4:
				c.releaseOldest()
				for i := range model {
					if model[i].held != nil {
						model[i].held = nil
						break
					}
				}
			case 5:
				if at, ok := c.oldestDue(); ok {
					c.at(at).held.rounds = 0
				}
			}
			if err := c.check(); err != nil {
				t.Fatal(err)
			}
			if c.len() != len(model) {
				t.Fatalf("%d entries, want %d", c.len(), len(model))
			}
			var firstHeld, firstDue *held
			for i := range model {
				e := c.find(&model[i].id)
				if e == nil || e.at != model[i].at || e.held != model[i].held {
					t.Fatalf("entry %d is %+v, want %+v", i, e, model[i])
				}
				if firstHeld == nil {
					firstHeld = e.held
				}
				if firstDue == nil && e.held != nil && e.held.rounds > 0 {
					firstDue = e.held
				}
			}
			if !rapid.Bool().Draw(t, "look") { // looking moves the marks on; they must hold without it, too
				continue
			}
			if e := c.oldestHeld(); (e == nil) != (firstHeld == nil) || e != nil && e.held != firstHeld {
				t.Fatal("the oldest that holds is another")
			}
			if at, ok := c.oldestDue(); ok != (firstDue != nil) || ok && c.at(at).held != firstDue {
				t.Fatal("the oldest that is due is another")
			}
		}
	})
}

// TestCensusForgetsTheSilent: the origin not heard for longest makes room, and a reference to it means nobody from then
// on.
func TestCensusForgetsTheSilent(t *testing.T) {
	var s census
	key := func(i int) *identity.PublicKey { return &identity.PublicKey{byte(i), byte(i >> 8), 1} }
	_, first := s.use(key(0))
	_, second := s.use(key(1))
	for i := 2; i < originLimit; i++ {
		s.use(key(i))
	}
	if _, again := s.use(key(0)); again != first {
		t.Error("an origin that is used again is another")
	}
	o, _ := s.use(key(originLimit))
	if s.find(key(1)) != nil || s.find(key(0)) == nil || o.floor != 0 || o.fullAt != 0 {
		t.Error("the wrong one was forgotten, or left something behind")
	}
	s.over(second, 99)
	if o.floor != 0 {
		t.Error("an old reference raises the floor of a new origin")
	}
	s.over(first, 7)
	s.over(first, 5)
	if s.find(key(0)).floor != 7 {
		t.Errorf("floor %d, want 7", s.find(key(0)).floor)
	}
	if err := s.check(); err != nil {
		t.Error(err)
	}
}

// TestHeldIsUsedAgain: what was let go of comes back as if it were new: nobody who was told about the one message may ask
// for the other. When nothing is held, nothing is kept.
func TestHeldIsUsedAgain(t *testing.T) {
	var c cache
	full := func(id byte) *held {
		h := c.newHeld()
		h.msg = Message{ID: MessageID{id}, Payload: []byte("payload")}
		h.hop, h.rounds = 3, 2
		h.sent = append(h.sent, delegation{to: newContact(newRand(1), 1), bucket: 1})
		h.offers = append(h.offers, offer{to: skad.ID{7}, hop: 1})
		c.add(entry{id: MessageID{id}, held: h})
		return h
	}
	first := full(1)
	full(2)
	c.release(c.find(&MessageID{1}))
	again := c.newHeld()
	if again != first {
		t.Fatal("its memory is not used again")
	}
	if again.msg.Payload != nil || !again.msg.ID.IsZero() || again.hop != 0 || again.rounds != 0 || len(again.sent) != 0 || len(again.offers) != 0 {
		t.Errorf("it remembers %+v", again)
	}
	if room := again.sent[:1]; room[0].to != nil {
		t.Error("it holds a contact")
	}
	full(3)
	c.release(c.find(&MessageID{3}))
	c.release(c.find(&MessageID{2}))
	if c.free != nil || c.bytes != 0 {
		t.Errorf("%d are kept, %d bytes", len(c.free), c.bytes)
	}
}
