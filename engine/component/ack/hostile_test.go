package ack_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/ack"
	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/opcode"
)

// response is an AckResponse as a peer without scruples would write it.
func response(kind byte, epoch, base uint32, bits ...byte) []byte {
	le := func(b []byte, v uint32) []byte { return append(b, byte(v), byte(v>>8), byte(v>>16), byte(v>>24)) }
	return append(le(le([]byte{kind}, epoch), base), bits...)
}

// besieged is an honest node with the component and a peer that sends what it likes.
func besieged(t *testing.T) (w *enginetest.World, a, evil *seat, p *engine.PeerClient) {
	w = enginetest.Sim(t, 1, simnet.Weather{})
	a, evil = start(w, 1, &ack.Config{}), start(w, 2, nil)
	a.dial(evil)
	p, _ = evil.ConnMgr().Peer(a.ID())
	return w, a, evil, p
}

// A peer that acknowledges what was not sent is at fault, counted and disconnected, and what waits for it goes on waiting.
func TestAcksWhatWasNotSent(t *testing.T) {
	for _, x := range []struct {
		name string
		wire []byte
		want error // nil: no harm and no fault
		fine int   // of the three messages that have been sent in epoch 1
	}{
		{"a number that was not given", response(2, 1, 4), ack.ErrUnsent, 0},
		{"a bit too far", response(2, 1, 0, 0b1000), ack.ErrUnsent, 0},
		{"a bit too far behind good ones", response(2, 1, 1, 0b1010), ack.ErrUnsent, 2},
		{"the last of the numbers", response(2, 1, engine.AckIDs/2-1), ack.ErrUnsent, 0},
		{"an epoch that was not begun", response(2, 2, 0), ack.ErrUnsent, 0},
		{"malformed", []byte("what?"), ack.ErrMalformed, 0},
		{"refused what was not given", response(3, 1, 3), ack.ErrUnsent, 0},
		{"refused in an epoch that was not begun", response(3, 2, 0), ack.ErrUnsent, 0},
		{"refused what was sent", response(3, 1, 2), nil, 0},
		{"refused what is far behind", response(3, 1, engine.AckIDs-1), nil, 0},
		{"nothing", nil, ack.ErrMalformed, 0},
		{"numbers far behind", response(2, 1, engine.AckIDs-1), nil, 0},
		{"what was sent", response(2, 1, 1, 0b10), nil, 2},
		{"all that was sent", response(2, 1, 3), nil, 3},
	} {
		t.Run(x.name, func(t *testing.T) {
			w, a, evil, p := besieged(t)
			got := newAccount()
			for i := range uint32(3) {
				a.send(evil.ID(), i, 10, got)
			}
			w.Pass(100 * time.Millisecond)
			if err := p.TrySendRaw(opcode.AckResponseCode, x.wire); err != nil {
				t.Fatal(err)
			}
			w.Pass(100 * time.Millisecond)
			s := a.acks.Stats()
			if got.fine != x.fine || s.Waiting != int64(3-x.fine) || got.failed != 0 {
				t.Errorf("%d fine, want %d: %+v", got.fine, x.fine, s)
			}
			if x.want == nil {
				if s.Faults != 0 || !p.Connected() {
					t.Errorf("an honest peer is blamed: %+v", s)
				}
				return
			}
			var why *engine.CloseError
			if s.Faults != 1 || a.Stats().FaultsPeers != 1 || !errors.As(p.CloseReason(), &why) || why.Code != engine.CodeProtocol {
				t.Errorf("%d faults, closed for %v", s.Faults, p.CloseReason())
			}
		})
	}
}

// Who refuses a message again and again does not have it sent faster: it counts once for each try.
func TestRefusesWithoutEnd(t *testing.T) {
	w, a, evil, p := besieged(t)
	got := newAccount()
	a.send(evil.ID(), 0, 10, got)
	for range 60_000 {
		if err := p.TrySendRaw(opcode.AckResponseCode, response(3, 1, 0)); err != nil {
			t.Fatal(err)
		}
		w.Pass(time.Millisecond)
	}
	// After 1, 2, 4, 8, 16 and 30 s, or three quarters of each: the fifth time at 31 s at the latest, the
	// seventh at 68 at the earliest.
	if s := a.acks.Stats(); s.Resent < 5 || s.Resent > 6 || s.Waiting != 1 || s.Faults != 0 {
		t.Errorf("sent again %d times in a minute: %+v", s.Resent, s)
	}
}

// Peers that answer nothing take all that is sent again at a time; another one's message has its turn.
func TestResendsAreShared(t *testing.T) {
	w := enginetest.Sim(t, 1, simnet.Weather{})
	cfg := ack.Config{Retry: 10 * time.Millisecond, RetryMax: 50 * time.Millisecond, GiveUp: 5 * time.Second}
	a := start(w, 1, &cfg)
	got := newAccount()
	for i := range 4 {
		evil := start(w, 2+i, nil)
		a.dial(evil)
		for n := range uint32(3000) {
			a.send(evil.ID(), n, 4, got)
		}
	}
	b := start(w, 6, &ack.Config{})
	tries := 0
	b.notes.answer = func(uint32) error {
		if tries++; tries == 1 {
			return errors.New("later")
		}
		return nil
	}
	a.dial(b)
	a.send(b.ID(), 0, 4, got)
	a.until("the message of the honest one", 4*time.Second, func() bool { return got.fine == 1 })
	if s := a.acks.Stats(); s.Resent < 4000 {
		t.Errorf("the others were only sent %d messages again", s.Resent)
	}
}

// Before anything was sent to it every acknowledgement of a peer is a lie.
func TestAcksNothing(t *testing.T) {
	w, a, _, p := besieged(t)
	if err := p.TrySendRaw(opcode.AckResponseCode, response(2, 1, 0)); err != nil {
		t.Fatal(err)
	}
	w.Pass(time.Second)
	if s := a.acks.Stats(); s.Faults != 1 || p.Connected() {
		t.Errorf("%+v", s)
	}
}

// An acknowledgement of an epoch that has ended is late, and no fault.
func TestLateAck(t *testing.T) {
	w, a, evil, p := besieged(t)
	got := newAccount()
	a.send(evil.ID(), 0, 10, got)
	w.Pass(time.Second / 2)
	_ = p.TrySendRaw(opcode.AckResponseCode, response(2, 1, 1))
	a.until("the acknowledgement", time.Second, func() bool { return got.fine == 1 })
	p.Close()
	a.until("the end", time.Minute, func() bool { return a.Stats().Peers+evil.Stats().Peers == 0 })
	a.dial(evil)
	p, _ = evil.ConnMgr().Peer(a.ID())
	a.send(evil.ID(), 1, 10, got)
	_ = p.TrySendRaw(opcode.AckResponseCode, response(2, 1, 1))
	w.Pass(time.Second / 2)
	if s := a.acks.Stats(); s.Late != 1 || s.Faults != 0 || got.fine != 1 {
		t.Errorf("%+v", s)
	}
}

// Messages without a Begin are dropped and counted; numbers without sense cost the honest side nothing but their window.
func TestHostileSender(t *testing.T) {
	w, a, _, p := besieged(t)
	send := func(id uint32) {
		t.Helper()
		if err := p.TrySendAckable(opNote, id%engine.AckIDs, numbered(id, 4)); err != nil {
			t.Fatal(err)
		}
	}
	send(1)
	w.Pass(time.Millisecond * 50)
	if s := a.acks.Stats(); s.Unbegun != 1 || len(a.notes.order) != 0 || s.Inboxes != 0 {
		t.Errorf("without a Begin: %+v", s)
	}
	dice := rand.New(rand.NewPCG(1, 1))
	for range 3000 {
		if dice.IntN(3) == 0 {
			_ = p.TrySendRaw(opcode.AckResponseCode, response(1, 1+dice.Uint32N(3), dice.Uint32N(engine.AckIDs)))
		}
		send(dice.Uint32())
		w.Pass(time.Millisecond)
	}
	w.Pass(time.Second)
	if s := a.acks.Stats(); s.Inboxes != 1 || s.Faults != 0 || !p.Connected() || s.Delivered+s.Duplicates+s.Unbegun != 3001 {
		t.Errorf("after nonsense: %+v", s)
	}
	if held := a.Stats().BufferBytes; held > 1<<20 {
		t.Errorf("%d bytes are held", held)
	}
}

// Senders that come and go are remembered for a while, and no more of them than Inboxes.
func TestInboxesAreBounded(t *testing.T) {
	w := enginetest.Sim(t, 1, simnet.Weather{})
	a := start(w, 1, &ack.Config{Inboxes: 5, Remember: time.Minute})
	for i := range 10 {
		x := start(w, 10+i, &ack.Config{})
		got := newAccount()
		x.dial(a)
		x.send(a.ID(), uint32(i), 10, got)
		x.until("the message", time.Second, func() bool { return got.fine == 1 })
		x.stop()
	}
	if s := a.acks.Stats(); s.Inboxes != 5 {
		t.Errorf("%d senders are remembered, want 5", s.Inboxes)
	}
	w.Pass(70 * time.Second)
	if s := a.acks.Stats(); s.Inboxes != 0 {
		t.Errorf("after a minute %d are remembered", s.Inboxes)
	}
}

// A crowd of identities of one network does not have the senders of others forgotten: what came before the crowd and comes again
// after it is not handed over twice. Those that had nothing taken cost nobody a place.
func TestInboxesAreShared(t *testing.T) {
	w := enginetest.Sim(t, 1, simnet.Weather{})
	a := start(w, 1, &ack.Config{Inboxes: 8})
	// visit has x send the message with that number as if for the first time, and leave before it hears of it.
	visit := func(x *seat, message bool) {
		t.Helper()
		p := x.dial(a)
		before := a.acks.Stats()
		if err := p.TrySendRaw(opcode.AckResponseCode, response(1, 7, 0)); err != nil {
			t.Fatal(err)
		}
		if message {
			if err := p.TrySendAckable(opNote, 0, numbered(1, 4)); err != nil {
				t.Fatal(err)
			}
		}
		a.until("it", time.Second, func() bool {
			s := a.acks.Stats()
			return s.Delivered+s.Duplicates > before.Delivered+before.Duplicates || !message
		})
		w.Pass(100 * time.Millisecond)
		p.Disconnect(engine.CodeNone, "")
		a.until("it to leave", time.Second, func() bool { return a.Stats().Peers == 0 })
	}
	var honest []*seat
	for n := range 3 {
		honest = append(honest, start(w, 2+n, nil)) // 10.0.0.2 to 10.0.0.4
		visit(honest[n], true)
	}
	for n := range 20 {
		x := start(w, 1<<8+1+n, nil) // 10.0.1.1 …
		visit(x, true)
		x.stop()
	}
	for n := range 20 {
		x := start(w, (2+n)<<8, nil) // 10.0.2.0, 10.0.3.0, …: a network each, but nothing to remember
		visit(x, false)
		x.stop()
	}
	if s := a.acks.Stats(); s.Inboxes != 8 || s.Delivered != 23 {
		t.Errorf("%d senders are remembered, %d messages delivered; want 8 and 23", s.Inboxes, s.Delivered)
	}
	for _, x := range honest {
		visit(x, true)
	}
	if s := a.acks.Stats(); s.Delivered != 23 || s.Duplicates != 3 {
		t.Errorf("%d messages delivered, %d known; want 23 and 3", s.Delivered, s.Duplicates)
	}
}
