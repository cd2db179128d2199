package engine_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
)

// gated makes two connected nodes, of which b holds a's messages back behind a locked gate for as long as the test likes. seen is
// b's witness, theirs a's.
func gated(w *world) (a, b *engine.PeerClient, gate *engine.Gate, seen, theirs *witness) {
	w.Helper()
	seen, theirs = &witness{}, &witness{}
	from := w.node(nil, withWitness(theirs))
	to := w.node(func(c *engine.Config) { c.GateTimeout = time.Hour }, withWitness(seen))
	a = w.dial(from, to)
	w.Until("b to see a", func() bool { up, _, _ := seen.count(); return up == 1 })
	b = seen.peer(0)
	w.Do(func() {
		var err error
		if gate, err = b.LockOnReceive(brief(w), opTold); err != nil {
			w.Fatal(err)
		}
		if err := a.TrySendRaw(opTold, nil); err != nil {
			w.Fatal(err)
		}
		if _, err := gate.Receive(brief(w)); err != nil {
			w.Fatal(err)
		}
	})
	return a, b, gate, seen, theirs
}

// What keeps a connection going does not wait behind a gate: both ends answer each other's Pings, and the one that holds the
// messages of the other back may send as much as ever.
func TestGatedIsAlive(t *testing.T) {
	worlds(t, func(w *world) {
		a, b, gate, seen, theirs := gated(w)
		if err := a.TrySendRaw(opNote, []byte("held back")); err != nil {
			w.Fatal(err)
		}
		w.Do(func() {
			for _, p := range []*engine.PeerClient{b, a} {
				if _, err := p.Ping(brief(w)); err != nil {
					w.Errorf("a Ping, from behind the gate: %v: %v", p == a, err)
				}
			}
			for range 4 << 20 >> 10 { // four windows: a's credit has to come through
				if err := b.SendRaw(brief(w), opNote, make([]byte, 1<<10)); err != nil {
					w.Fatalf("to a peer that is held back: %v", err)
				}
			}
		})
		w.Until("a to have them", func() bool { _, _, notes := theirs.count(); return notes >= 4<<10 || w.udp })
		if _, _, notes := seen.count(); notes != 0 {
			w.Errorf("%d messages have passed the gate", notes)
		}
		gate.Unlock()
		w.Until("the message", func() bool { return slices.Contains(seen.seen(), "held back") })
	})
}

// A peer that a gate holds back and that is dialled again, as one that has lost the connection would be, is asked for a sign of
// life, and its answer is heard.
func TestGatedSurvivesProbe(t *testing.T) {
	worlds(t, func(w *world) {
		a, b, gate, seen, _ := gated(w)
		if err := a.TrySendRaw(opNote, []byte("held back")); err != nil {
			w.Fatal(err)
		}
		rtts := 0
		if err := b.PingAsync(2*time.Second, func(_ time.Duration, err error) { // as pairs.probe does
			if err != nil {
				w.Error(err)
			}
			rtts++
			gate.Unlock()
		}); err != nil {
			w.Fatal(err)
		}
		w.Until("the message", func() bool { return slices.Contains(seen.seen(), "held back") })
	})
}

// A goodbye waits behind the gate for what was sent before it. Over a stream the end of the connection comes next, and that is
// the end of the gate: what it held back is lost, the reason is not.
func TestGatedGoodbye(t *testing.T) {
	worlds(t, func(w *world) {
		a, b, gate, seen, _ := gated(w)
		for _, s := range []string{"one", "two"} {
			if err := a.TrySendRaw(opNote, []byte(s)); err != nil {
				w.Fatal(err)
			}
		}
		a.Disconnect(engine.CodeApplication, "done")
		w.Until("a to have left", func() bool { return !a.Connected() })
		if w.udp {
			gate.Unlock()
		}
		w.Until("the end", func() bool { return !b.Connected() })
		var why *engine.CloseError
		if !errors.As(b.CloseReason(), &why) || why.Code != engine.CodeApplication || !why.Remote {
			w.Errorf("b has heard %v", b.CloseReason())
		}
		if got := seen.seen(); slices.Contains(got, "two") && !w.udp {
			w.Errorf("a message has passed the gate: %q", got)
		}
	})
}
