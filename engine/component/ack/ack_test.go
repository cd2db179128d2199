package ack_test

import (
	"context"
	"errors"
	"flag"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/ack"
	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

var messages = flag.Int("messages", 1_000_000, "messages of TestStorm; a hundredth of it with -short")

// On a quiet network every message is taken once, in order, and none is sent twice.
func TestQuiet(t *testing.T) {
	_, a, b := pair(t, simnet.Weather{}, ack.Config{})
	got := newAccount()
	const n = 20_000 // several windows
	for i := range uint32(n) {
		if a.acks.SendAckRawAsync(b.ID(), opNote, numbered(i, 64), got.note(i)) != nil {
			a.until("room", time.Minute, func() bool { return a.acks.SendAckRawAsync(b.ID(), opNote, numbered(i, 64), got.note(i)) == nil })
		}
	}
	a.until("all to be settled", time.Minute, func() bool { return got.settled() == n })
	a.balanced(n, n, 0)
	b.once(n)
	if !slices.IsSorted(b.notes.order) {
		t.Error("the order has changed on a connection that lives")
	}
	if s := a.acks.Stats(); s.Resent != 0 || got.fine != n {
		t.Errorf("%d sent again, %d fine", s.Resent, got.fine)
	}
}

// A million messages, one in five packets lost, connections that break, hosts cut off from each other for seconds: nothing is
// lost and nothing is handed over twice.
func TestStorm(t *testing.T) {
	n := *messages
	if testing.Short() || raceBuild {
		n /= 100
	}
	w, a, b := pair(t, simnet.Weather{Latency: 5 * time.Millisecond, Jitter: 5 * time.Millisecond, Loss: 0.2, Cut: 0.05, ResetAfter: 5 * time.Second},
		ack.Config{GiveUp: time.Hour})
	got := newAccount()
	next, broken := uint32(0), 0
	feed := func() {
		for int(next) < n && a.acks.SendAckRawAsync(b.ID(), opNote, numbered(next, 32), got.note(next)) == nil {
			next++
		}
	}
	for round := 0; got.settled() < n; round++ {
		feed()
		w.Pass(20 * time.Millisecond)
		if p, ok := a.ConnMgr().Peer(b.ID()); !ok {
			_ = a.DialAsync(b.Target(), func(*engine.PeerClient, error) {})
			w.Pass(time.Second)
		} else if round%31 == 30 {
			p.Disconnect(engine.CodeApplication, "chance")
			broken++
		}
		if round%211 == 210 {
			w.Net().Partition([]netip.Addr{a.addr()})
			w.Pass(8 * time.Second) // longer than ResetAfter: the connection breaks
			w.Net().Heal()
			broken++
		}
		if w.Net().Now() > 24*time.Hour {
			t.Fatalf("after a day %d of %d are settled: %+v", got.settled(), n, a.acks.Stats())
		}
	}
	a.balanced(n, n, 0)
	b.once(n)
	s := a.acks.Stats()
	if broken < 1 || s.Resent == 0 || b.acks.Stats().Duplicates == 0 {
		t.Errorf("a dull run: broken %d times, %d sent again, %d duplicates", broken, s.Resent, b.acks.Stats().Duplicates)
	}
	t.Logf("%d messages in %v of virtual time, broken %d times, %d sent again, %d came twice", n, w.Net().Now(), broken, s.Resent, b.acks.Stats().Duplicates)
}

// What the receiver refuses is handed to it again, later and later, until it takes it; what comes behind does not wait.
func TestRefused(t *testing.T) {
	w, a, b := pair(t, simnet.Weather{}, ack.Config{})
	var tries []time.Duration
	b.notes.answer = func(n uint32) error {
		if n != 3 {
			return nil
		}
		tries = append(tries, w.Net().Now())
		if len(tries) < 4 {
			return errors.New("not yet")
		}
		return nil
	}
	got := newAccount()
	for i := range uint32(10) {
		a.send(b.ID(), i, 10, got)
	}
	a.until("all but one", time.Second, func() bool { return got.fine == 9 })
	a.until("all", time.Minute, func() bool { return got.fine == 10 })
	a.balanced(10, 10, 0)
	b.once(10)
	if s := b.acks.Stats(); s.Refused != 3 || s.Delivered != 10 || s.Duplicates != 0 {
		t.Errorf("the receiver's books: %+v", s)
	}
	const slack = 200 * time.Millisecond
	for i, full := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
		if wait := tries[i+1] - tries[i]; wait < full*3/4 || wait > full+slack {
			t.Errorf("wait %d is %v, want %v to %v", i+1, wait, full*3/4, full)
		}
	}
}

// What is refused after a bad moment is tried again as soon as ever: neither the round trip of that moment counts, nor how often
// the message was sent into a connection that stood still.
func TestRefusedAfterStall(t *testing.T) {
	w, a, b := pair(t, simnet.Weather{}, ack.Config{})
	p, _ := a.ConnMgr().Peer(b.ID())
	p.ObserveRTT(8 * time.Second)
	net, parted := w.Net(), w.Net().Now()
	net.Partition([]netip.Addr{a.addr()})
	got := newAccount()
	a.send(b.ID(), 0, 10, got)
	refused := map[time.Duration]int{} // tries, by when they came: those of the first two times
	b.notes.answer = func(uint32) error {
		if refused[net.Now()]++; len(refused) < 3 {
			return errors.New("not yet")
		}
		return nil
	}
	w.Pass(40 * time.Second)
	net.Heal()
	a.until("it was handed over", time.Minute, func() bool { return len(refused) > 0 })
	if first := net.Now(); first-parted < 40*time.Second || refused[first] < 2 {
		t.Errorf("%d tries came after %v: that was no stall", refused[first], first-parted)
	}
	a.until("it was taken, after 1 s and 2 s", 3300*time.Millisecond, func() bool { return got.fine == 1 })
	a.balanced(1, 1, 0)
}

// What is never taken is given up, and its place is free again.
func TestGivenUp(t *testing.T) {
	_, a, b := pair(t, simnet.Weather{}, ack.Config{GiveUp: 10 * time.Second})
	b.notes.answer = func(n uint32) error {
		if n < 100 {
			return errors.New("never")
		}
		return nil
	}
	got := newAccount()
	for i := range uint32(ack.WindowLimit) {
		a.send(b.ID(), i, 4, got)
	}
	if err := a.acks.SendAckRawAsync(b.ID(), opNote, numbered(9999, 4), nil); !errors.Is(err, ack.ErrFull) {
		t.Errorf("beyond the window: %v, want ErrFull", err)
	}
	a.until("those that are taken", time.Second, func() bool { return got.fine == ack.WindowLimit-100 })
	began := a.w.Net().Now()
	a.until("the others to be given up", time.Minute, func() bool { return got.failed == 100 })
	if took := a.w.Net().Now() - began; took < 8*time.Second || took > 11*time.Second {
		t.Errorf("given up after %v", took)
	}
	if got.errs[ack.ErrGivenUp.Error()] != 100 {
		t.Errorf("errors: %v", got.errs)
	}
	a.send(b.ID(), 100_000, 4, got)
	a.until("one more", time.Second, func() bool { return got.fine == ack.WindowLimit-99 })
	a.balanced(ack.WindowLimit+1, ack.WindowLimit-99, 100)
	for n, times := range got.times {
		if times != 1 {
			t.Errorf("message %d was called back %d times", n, times)
		}
	}
}

// Without a connection messages wait for one, in the order they were sent; a peer that never comes has them given up.
func TestNotConnected(t *testing.T) {
	w := enginetest.Sim(t, 1, simnet.Weather{})
	a, b := start(w, 1, &ack.Config{}), start(w, 2, &ack.Config{})
	got, lost := newAccount(), newAccount()
	for i := range uint32(100) {
		a.send(b.ID(), i, 10, got)
		a.send(identity.ID{9}, i, 10, lost)
	}
	w.Pass(time.Minute)
	if s := a.acks.Stats(); s.Waiting != 200 || s.Memory == 0 || s.Outboxes != 2 || got.settled()+lost.settled() != 0 {
		t.Errorf("after a minute: %+v", s)
	}
	a.dial(b)
	a.until("all", time.Second, func() bool { return got.fine == 100 })
	a.until("the lost to be given up", time.Minute+time.Second, func() bool { return lost.failed == 100 })
	w.Pass(time.Second)
	a.balanced(200, 100, 100)
	b.once(100)
	if !slices.IsSorted(b.notes.order) {
		t.Error("not in order")
	}
	if s := a.acks.Stats(); s.Outboxes != 1 {
		t.Errorf("%d outboxes are left, want that of the peer that is connected", s.Outboxes)
	}
	w.Do(func() {
		if err := engine.Register[string](a.Network, opNote+1, engine.WithLimit(8)); err != nil {
			t.Error(err)
		}
	})
	long := "more than eight bytes"
	if err := a.acks.SendAckAsync(b.ID(), &long, nil); !errors.Is(err, engine.ErrMessageTooLarge) {
		t.Errorf("a message above its opcode's limit: %v", err)
	}
	if err := a.acks.SendAckAsync(b.ID(), 7, nil); !errors.Is(err, engine.ErrNotRegistered) {
		t.Errorf("a message of no registered type: %v", err)
	}
	if err := a.acks.SendAckRawAsync(a.ID(), opNote, nil, nil); !errors.Is(err, engine.ErrSelfDial) {
		t.Errorf("to itself: %v", err)
	}
}

// A new connection of the same two processes: the receiver knows what it has taken, also where the news of it was lost, and
// an epoch that has ended does not confuse it.
func TestReconnect(t *testing.T) {
	w, a, b := pair(t, simnet.Weather{Latency: 10 * time.Millisecond}, ack.Config{})
	got := newAccount()
	next := uint32(0)
	for round := range 20 {
		for range 100 {
			a.send(b.ID(), next, 1000, got)
			next++
		}
		w.Pass(time.Duration(round) * 2 * time.Millisecond) // on the way there, or back
		p, ok := a.ConnMgr().Peer(b.ID())
		if !ok {
			t.Fatal("not connected")
		}
		w.Net().Partition([]netip.Addr{a.addr()}) // so that the acknowledgements are lost
		p.Close()
		b.until("the end", time.Hour, func() bool {
			if q, ok := b.ConnMgr().Peer(a.ID()); ok {
				q.Close()
			}
			return a.Stats().Peers+b.Stats().Peers == 0
		})
		w.Net().Heal()
		a.dial(b)
		a.until("all", time.Minute, func() bool { return got.fine == int(next) })
		if round%3 == 0 { // nothing waits: the epoch ends here
			p, _ = a.ConnMgr().Peer(b.ID())
			p.Close()
			a.until("the end", time.Minute, func() bool { return a.Stats().Peers+b.Stats().Peers == 0 })
			if s := a.acks.Stats(); s.Outboxes != 0 {
				t.Errorf("%d outboxes, though nothing waits and nobody is connected", s.Outboxes)
			}
			a.dial(b)
		}
	}
	a.balanced(int(next), int(next), 0)
	b.once(int(next))
	if b.acks.Stats().Duplicates == 0 {
		t.Error("nothing has come twice: the test does not test what it says")
	}
}

// A sender that restarts begins anew and is not taken for its former self.
func TestSenderRestarts(t *testing.T) {
	w, a, b := pair(t, simnet.Weather{}, ack.Config{})
	got := newAccount()
	for i := range uint32(10) {
		a.send(b.ID(), i, 10, got)
	}
	a.until("all", time.Second, func() bool { return got.fine == 10 })
	a.crash()
	a = start(w, 1, &ack.Config{})
	a.dial(b)
	for i := range uint32(10) {
		a.send(b.ID(), 10+i, 10, got) // the same numbers and the same epoch as before
	}
	a.until("all", time.Second, func() bool { return got.fine == 20 })
	b.once(20)
}

// A receiver that restarts has forgotten what it took: what waits is handed to its new self, and nothing is lost.
func TestReceiverRestarts(t *testing.T) {
	w, a, b := pair(t, simnet.Weather{}, ack.Config{})
	b.notes.answer = func(n uint32) error {
		if n%2 == 1 {
			return errors.New("I am about to crash")
		}
		return nil
	}
	got := newAccount()
	for i := range uint32(10) {
		a.send(b.ID(), i, 10, got)
	}
	a.until("half of them", time.Second, func() bool { return got.fine == 5 })
	b.crash()
	b = start(w, 2, &ack.Config{})
	a.until("the end", time.Hour, func() bool { return a.Stats().Peers == 0 })
	a.dial(b)
	a.until("all", time.Second, func() bool { return got.fine == 10 })
	b.once(5)
	a.balanced(10, 10, 0)
}

// The call that waits: fine, withdrawn with its context, with room awaited, and never on a loop.
func TestSendAck(t *testing.T) {
	w, a, b := pair(t, simnet.Weather{}, ack.Config{PeerMemory: 3000})
	ctx := context.Background()
	a.w.Do(func() {
		if err := a.acks.SendAckRaw(ctx, b.ID(), opNote, numbered(0, 10)); err != nil {
			t.Error(err)
		}
	})
	b.notes.answer = func(uint32) error { return errors.New("no") }
	cancelled, cancel := context.WithCancelCause(ctx)
	enough := errors.New("enough")
	a.w.Do(func() {
		done := make(chan error)
		go func() { done <- a.acks.SendAckRaw(cancelled, b.ID(), opNote, numbered(1, 2000)) }()
		for a.acks.Stats().Waiting == 0 {
		}
		full, stop := context.WithTimeout(ctx, 20*time.Millisecond)
		defer stop()
		if err := a.acks.SendAckRaw(full, b.ID(), opNote, numbered(2, 2000)); !errors.Is(err, ack.ErrFull) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without room: %v", err)
		}
		cancel(enough)
		if err := <-done; !errors.Is(err, enough) {
			t.Errorf("withdrawn: %v", err)
		}
	})
	a.balanced(2, 1, 1)
	b.notes.answer = nil
	a.w.Do(func() { // the second waits until the first has gone
		done := make(chan error, 8)
		for i := range uint32(8) {
			go func() { done <- a.acks.SendAckRaw(ctx, b.ID(), opNote, numbered(2+i, 2000)) }()
		}
		for range 8 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
	a.balanced(10, 9, 1)
	b.once(9)
	var onLoop error
	a.HomeLoop().Post(func() { onLoop = a.acks.SendAckRaw(ctx, b.ID(), opNote, nil) })
	w.Pass(time.Second)
	if !errors.Is(onLoop, engine.ErrOnLoop) {
		t.Errorf("on a loop: %v", onLoop)
	}
}

// All outboxes together keep to Memory.
func TestMemory(t *testing.T) {
	w := enginetest.Sim(t, 1, simnet.Weather{})
	a := start(w, 1, &ack.Config{Memory: 100_000, GiveUp: 30 * time.Second})
	got := newAccount()
	accepted := 0
	for i := range uint32(1000) {
		err := a.acks.SendAckRawAsync(identity.ID{byte(i), byte(i >> 8), 1}, opNote, numbered(i, 500), got.note(i))
		if err == nil {
			accepted++
		} else if !errors.Is(err, ack.ErrFull) {
			t.Fatal(err)
		}
	}
	if s := a.acks.Stats(); s.Memory > 100_000 || accepted < 50 || accepted > 200 {
		t.Errorf("%d messages accepted, %d bytes", accepted, s.Memory)
	}
	w.Pass(40 * time.Second)
	if s := a.acks.Stats(); s.Memory != 0 || s.Outboxes != 0 || got.failed != accepted {
		t.Errorf("after they were given up: %+v", s)
	}
}

// Messages that the engine refuses fail at once, others that wait behind them do not.
func TestHopeless(t *testing.T) {
	_, a, b := pair(t, simnet.Weather{}, ack.Config{})
	got := newAccount()
	a.send(b.ID(), 0, 3<<20, got) // above the opcode's limit
	a.send(b.ID(), 1, 10, got)
	a.until("both", time.Second, func() bool { return got.settled() == 2 })
	a.balanced(2, 1, 1)
	b.once(1)
}

// Large messages travel in fragments like others.
func TestFragments(t *testing.T) {
	_, a, b := pair(t, simnet.Weather{}, ack.Config{})
	got := newAccount()
	for i := range uint32(10) {
		a.send(b.ID(), i, 300_000, got)
	}
	a.until("all", time.Minute, func() bool { return got.fine == 10 })
	b.once(10)
}

// Shutdown settles all that waits.
func TestStopped(t *testing.T) {
	_, a, _ := pair(t, simnet.Weather{}, ack.Config{})
	got := newAccount()
	for i := range uint32(10) {
		a.send(identity.ID{7}, i, 10, got)
	}
	a.stop()
	if got.errs[ack.ErrStopped.Error()] != 10 {
		t.Errorf("errors: %v", got.errs)
	}
	a.balanced(10, 0, 10)
	if err := a.acks.SendAckRawAsync(identity.ID{7}, opNote, nil, nil); !errors.Is(err, ack.ErrStopped) {
		t.Errorf("after that: %v", err)
	}
	fresh, _ := ack.New(ack.Config{})
	if err := fresh.SendAckRawAsync(identity.ID{7}, opNote, nil, nil); !errors.Is(err, engine.ErrNotStarted) {
		t.Errorf("before Start: %v", err)
	}
}

// A callback that panics is reported, and those of the other messages are called.
func TestCallbackPanics(t *testing.T) {
	_, a, b := pair(t, simnet.Weather{}, ack.Config{})
	got := newAccount()
	for i := range uint32(10) {
		then := got.note(i)
		if i == 4 {
			then = func(error) { panic("as it was told") }
		}
		if err := a.acks.SendAckRawAsync(b.ID(), opNote, numbered(i, 10), then); err != nil {
			t.Fatal(err)
		}
	}
	a.until("the others", time.Second, func() bool { return got.fine == 9 })
	if s := a.Stats(); s.Panics != 1 {
		t.Errorf("%d panics", s.Panics)
	}
	a.balanced(10, 10, 0)
}

// One that panics when the node stops keeps none of the others from being told, whoever they were for.
func TestCallbackPanicsAtTheEnd(t *testing.T) {
	w := enginetest.Sim(t, 1, simnet.Weather{})
	a := start(w, 1, &ack.Config{})
	got := newAccount()
	for to := range byte(3) {
		for i := range uint32(3) {
			then := got.note(i)
			if i == 1 && to == 0 {
				then = func(error) { panic("as it was told") }
			}
			if err := a.acks.SendAckRawAsync(identity.ID{1 + to}, opNote, numbered(i, 10), then); err != nil {
				t.Fatal(err)
			}
		}
	}
	a.stop()
	if s := a.Stats(); got.failed != 8 || got.errs[ack.ErrStopped.Error()] != 8 || s.Panics != 1 {
		t.Errorf("%d were told: %v; %d panics", got.failed, got.errs, s.Panics)
	}
	a.balanced(9, 0, 9)
}

// The component can be added to a network that runs, on either side, and taken out again.
func TestAddedLate(t *testing.T) {
	w := enginetest.Sim(t, 1, simnet.Weather{})
	a, b := start(w, 1, &ack.Config{}), start(w, 2, nil)
	a.dial(b)
	got := newAccount()
	a.send(b.ID(), 0, 10, got)
	w.Pass(500 * time.Millisecond)
	if got.settled() != 0 || b.Stats().Unhandled == 0 {
		t.Errorf("a node without the component: %d settled, %d unhandled", got.settled(), b.Stats().Unhandled)
	}
	var err error
	b.acks, err = ack.New(ack.Config{})
	if err != nil {
		t.Fatal(err)
	}
	b.w.Do(func() { err = b.AddComponent(b.acks) })
	if err != nil {
		t.Fatal(err)
	}
	a.until("the message", 3*time.Second, func() bool { return got.fine == 1 })
	b.once(1)
	b.w.Do(func() { err = b.RemoveComponent(b.acks) })
	if err != nil {
		t.Fatal(err)
	}
	if err := b.acks.SendAckRawAsync(a.ID(), opNote, nil, nil); !errors.Is(err, ack.ErrStopped) {
		t.Errorf("taken out: %v", err)
	}
	a.send(b.ID(), 1, 10, got)
	w.Pass(3 * time.Second)
	if s := a.acks.Stats(); s.Waiting != 1 || len(b.notes.order) != 1 {
		t.Errorf("to a node that has the component no more: %+v", s)
	}
}

func TestConfig(t *testing.T) {
	for _, x := range []ack.Config{{Retry: -1}, {RetryMax: -1}, {GiveUp: -1}, {Remember: -1}, {PeerMemory: -1}, {Memory: -1}, {Inboxes: -1}} {
		if _, err := ack.New(x); err == nil {
			t.Errorf("%+v is accepted", x)
		}
	}
	if _, err := ack.New(ack.Config{Retry: -1, Inboxes: -1}); err == nil || len(err.(interface{ Unwrap() []error }).Unwrap()) != 2 {
		t.Errorf("two problems are reported as %v", err)
	}
}
