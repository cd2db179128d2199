package broadcast_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/broadcast"
	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/skad"
	"github.com/carrier-p2p/carrier/skad/spread"
)

// An application that has no room for a while gets everything afterwards, in order and once; the others wait for nothing.
func TestApplicationWithoutRoom(t *testing.T) {
	w := mesh(t, 5, 8, nil)
	slow := w.nodes[5]
	slow.full = true
	var want []string
	for i := range 20 {
		want = append(want, fmt.Sprint("line ", i))
		w.say(w.nodes[0], want[i])
		w.Pass(100 * time.Millisecond)
	}
	if got := w.reached(w.nodes[0], want...); got != 6 || len(slow.got) != 0 {
		t.Fatalf("%d of the 6 others have everything, the slow one %d", got, len(slow.got))
	}
	if s := slow.cast.Stats(); s.Waiting != 20 || s.Refused == 0 || s.Refused > 50 { // every 64 ms in the end
		t.Errorf("%d wait, refused %d times", s.Waiting, s.Refused)
	}
	slow.full = false
	w.Pass(time.Second)
	if got := w.reached(w.nodes[0], want...); got != 7 {
		t.Errorf("%d of 7 have everything", got)
	}
	if s := slow.cast.Stats(); s.Waiting != 0 {
		t.Errorf("%d wait", s.Waiting)
	}
}

// An application that stops for long costs its node what fits into the queue: what is above that is dropped unseen and
// counted, and the node goes on passing on what it has.
func TestApplicationStopped(t *testing.T) {
	if testing.Short() {
		t.Skip("18 MB of messages")
	}
	w := mesh(t, 6, 4, func(n *node, c *broadcast.Config) {
		c.Spread = spread.Config{OriginRate: 1 << 10, OriginBurst: 1 << 14, TotalRate: 1 << 14, TotalBurst: 1 << 16}
	})
	slow := w.nodes[3]
	slow.full = true
	const messages = 280
	payload := string(make([]byte, spread.PayloadLimit))
	for range messages {
		w.say(w.nodes[0], payload)
		w.Pass(50 * time.Millisecond)
	}
	w.Pass(10 * time.Second)
	s := slow.cast.Stats()
	if s.Overrun == 0 || s.Waiting*spread.PayloadLimit > 9<<20 || s.Waiting*spread.PayloadLimit < 7<<20 {
		t.Errorf("overrun %d, %d wait, want 8 MiB of them", s.Overrun, s.Waiting)
	}
	if len(w.nodes[1].got) != messages || len(w.nodes[2].got) != messages {
		t.Errorf("the others have %d and %d of %d", len(w.nodes[1].got), len(w.nodes[2].got), messages)
	}
}

// A Deliver that panics loses the message that it panicked at, and no other; the node lives.
func TestDeliverPanics(t *testing.T) {
	w := mesh(t, 13, 3, func(n *node, c *broadcast.Config) {
		c.Deliver = func(m broadcast.Message) bool {
			if string(m.Payload) == "poison" {
				panic("test")
			}
			return n.deliver(m)
		}
	})
	for _, text := range []string{"one", "poison", "two"} {
		w.say(w.nodes[0], text)
	}
	w.Pass(5 * time.Second)
	if got := w.reached(w.nodes[0], "one", "two"); got != 2 || w.nodes[1].Network.Stats().Panics != 1 {
		t.Errorf("%d of 2 have the others; %d panics", got, w.nodes[1].Network.Stats().Panics)
	}
}

// Before the network has started there is nobody to broadcast to.
func TestNotStarted(t *testing.T) {
	c, err := broadcast.New(broadcast.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Broadcast(t.Context(), nil); !errors.Is(err, engine.ErrNotStarted) {
		t.Errorf("Broadcast: %v", err)
	}
	if err := c.BroadcastAsync(nil, nil); !errors.Is(err, engine.ErrNotStarted) {
		t.Errorf("BroadcastAsync: %v", err)
	}
}

// Broadcast waits for its rate, BroadcastAsync says so, and the end of ctx ends the wait.
func TestRate(t *testing.T) {
	enginetest.Simulate(t, 7, weather, func(sim *enginetest.World) {
		w := &world{World: sim}
		w.mesh(3, nil)
		a := w.nodes[0]
		var errs []error
		for i := range 33 {
			if err := a.cast.BroadcastAsync([]byte{byte(i)}, func(_ spread.MessageID, err error) { errs = append(errs, err) }); err != nil {
				t.Fatal(err)
			}
		}
		w.Pass(time.Millisecond)
		for i, err := range errs { // half of the burst of 64
			if (i < 32) != (err == nil) || (i == 32) != errors.Is(err, broadcast.ErrRate) {
				t.Errorf("message %d: %v", i, err)
			}
		}
		began := a.Now()
		w.Do(func() {
			if _, err := a.cast.Broadcast(w.Context(), []byte("patient")); err != nil {
				t.Error(err)
			}
		})
		if waited := a.Now() - began; waited < 50*time.Millisecond || waited > 80*time.Millisecond {
			t.Errorf("waited %v, a token comes every 62 ms", waited)
		}
		ctx, cancel := context.WithCancel(w.Context())
		a.HomeLoop().After(100*time.Millisecond, cancel)
		w.Do(func() {
			if _, err := a.cast.Broadcast(ctx, make([]byte, spread.PayloadLimit)); !errors.Is(err, context.Canceled) {
				t.Errorf("ctx ends the wait: %v", err)
			}
			if _, err := a.cast.Broadcast(ctx, nil); !errors.Is(err, context.Canceled) {
				t.Errorf("after ctx: %v", err)
			}
		})
		w.Pass(10 * time.Second)
		if got := len(w.nodes[1].got); got != 33 {
			t.Errorf("%d messages arrived, want 33", got)
		}
	})
}

// Too large is said at once, and so is too many.
func TestRefusals(t *testing.T) {
	w := mesh(t, 8, 2, nil)
	a := w.nodes[0]
	var got error
	if err := a.cast.BroadcastAsync(make([]byte, spread.PayloadLimit+1), func(_ spread.MessageID, err error) { got = err }); err != nil {
		t.Fatal(err)
	}
	w.Pass(time.Millisecond)
	if !errors.Is(got, broadcast.ErrTooLarge) {
		t.Errorf("too large: %v", got)
	}
	for i := range 64 {
		if err := a.cast.BroadcastAsync(nil, nil); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if err := a.cast.BroadcastAsync(nil, nil); !errors.Is(err, broadcast.ErrBusy) {
		t.Errorf("too many: %v", err)
	}
	w.Pass(time.Millisecond)
	if err := a.cast.BroadcastAsync(nil, nil); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if _, err := broadcast.New(broadcast.Config{Spread: spread.Config{Beta: []int{99}, Rounds: -1}}); !errors.Is(err, spread.ErrConfig) {
		t.Errorf("a config with two problems: %v", err)
	}
}

// book is a table that the test fills.
type book struct {
	self skad.ID
	list []*skad.Contact
}

func (b *book) Closest(key skad.ID, n int, dst []*skad.Contact) []*skad.Contact {
	var best *skad.Contact
	for _, d := range b.list {
		if best == nil || d.ID.Xor(key).Compare(best.ID.Xor(key)) < 0 {
			best = d
		}
	}
	if best == nil {
		return dst
	}
	return append(dst, best)
}

func (b *book) Sharing(prefix int, dst []*skad.Contact) []*skad.Contact {
	for _, d := range b.list {
		if skad.CommonPrefix(b.self, d.ID) == prefix {
			dst = append(dst, d)
		}
	}
	return dst
}

// Contacts of the table that are not connected are dialled; those that cannot be reached are replaced by others of their
// bucket, and everybody who lives gets the message.
func TestDialsContacts(t *testing.T) {
	w := newWorld(t, 9)
	books := map[*node]*book{}
	for range 24 {
		w.node(func(n *node, c *broadcast.Config) {
			books[n] = &book{}
			c.Table = books[n]
		})
	}
	for _, a := range w.nodes {
		books[a].self = a.record().ID
		for _, b := range w.nodes {
			if a != b {
				books[a].list = append(books[a].list, b.record())
			}
		}
	}
	for _, n := range w.nodes[18:] {
		w.Crash(n.Network)
	}
	w.say(w.nodes[0], "dial")
	w.Pass(5 * time.Second)
	if got, want := w.reached(w.nodes[0], "dial"), w.living()-1; got != want {
		t.Errorf("reached %d of %d", got, want)
	}
	s := w.nodes[0].cast.Stats()
	if s.Dials == 0 || s.DialsFailed == 0 || s.Unsent == 0 || s.Redelegated+s.Abandoned == 0 {
		t.Errorf("counted %+v", s)
	}
}

// A node that restarts with a higher first number is heard; with an old one its messages are replays.
func TestRestart(t *testing.T) {
	w := mesh(t, 10, 4, nil)
	a, others := w.nodes[0], w.nodes[1:4:4]
	w.say(a, "first life")
	w.Pass(3 * time.Minute) // the others have forgotten the message, and know its number
	for i, life := range []struct {
		seq  uint64
		text string
	}{{1, "replay"}, {2, "second life"}} {
		w.Crash(a.Network)
		w.Pass(time.Minute)
		again := &node{}
		a = w.caster(again, w.Again(a.Network), broadcast.Config{FirstSeq: life.seq, Deliver: again.deliver})
		w.connect(append(others, a)...) // the others believe it connected
		w.say(a, life.text)
		w.Pass(5 * time.Second)
		want := [][]string{{"first life"}, {"first life", "second life"}}[i]
		if got := w.reached(a, want...); got != 3 {
			t.Errorf("after %q: %d of 3 have %q", life.text, got, want)
		}
	}
}

// When the component is taken out, what waits fails, and so does what is asked of it later.
func TestRemoved(t *testing.T) {
	w := mesh(t, 11, 2, nil)
	a := w.nodes[0]
	var got error
	if err := a.cast.BroadcastAsync(nil, func(_ spread.MessageID, err error) { got = err }); err != nil {
		t.Fatal(err)
	}
	w.Do(func() {
		if err := a.RemoveComponent(a.cast); err != nil {
			t.Error(err)
		}
	})
	w.Do(func() {
		if _, err := a.cast.Broadcast(t.Context(), nil); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("broadcast after the end: %v", err)
		}
	})
	if got != nil {
		t.Errorf("the one before: %v", got)
	}
}
