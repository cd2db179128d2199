package engine_test

import (
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
)

// What a peer has begun has to end in time, by the time in which this node could hear the rest: one whose process did not run
// reads before it judges, and one that listened all the time does not wait any longer.
func TestUnendedWhileStalled(t *testing.T) {
	const rate = 2000 // bytes a second
	for _, x := range []struct {
		name   string
		size   int           // of the message
		record time.Duration // RecordTimeout
		stall  time.Duration // of the sending, after which the receiver does not run for half a minute; what is late is due meanwhile
	}{
		// The second record has begun with what came with the first, and its rest takes 1.8 s more. The first
		// fragment is there after 33 s.
		{"a record", 20_000, time.Second, 8500 * time.Millisecond},
		{"fragments", 400_000, time.Minute, 175 * time.Second},
	} {
		for _, stalled := range []bool{false, true} {
			name := x.name
			if stalled {
				name += ", stalled"
			}
			t.Run(name, func(t *testing.T) {
				w := simWorld(t, 1, simnet.Weather{Rate: rate})
				var got witness
				patient := func(c *engine.Config) { c.HandshakeTimeout, c.DialTimeout = time.Minute, time.Minute }
				a := w.node(patient)
				var host *simnet.Host
				b := w.node(func(c *engine.Config) {
					patient(c)
					c.RecordTimeout = x.record
					host = c.Transport.(*simnet.Host)
				}, withWitness(&got))
				p := w.dial(a, b)
				if err := p.TrySendRaw(opNote, make([]byte, x.size)); err != nil {
					t.Fatal(err)
				}
				w.Pass(x.stall)
				if stalled {
					host.Stall(30 * time.Second)
				}
				w.Pass(time.Minute)
				_, downs, notes := got.count()
				if stalled && (downs != 0 || notes != 1) {
					t.Fatalf("%d messages have come, closed: %v", notes, got.peer(0).CloseReason())
				}
				if !stalled && (notes != 0 || downs != 1 || !errors.Is(got.peer(0).CloseReason(), engine.ErrReceiveTimeout)) {
					t.Fatalf("%d messages have come, closed: %v; want a time-out", notes, got.peer(0).CloseReason())
				}
			})
		}
	}
}

// Nor is a peer taken for dead that has answered while this node did not run. One that does not answer is,
// after a stall or without.
func TestProbedWhileStalled(t *testing.T) {
	for _, x := range []struct {
		name                  string
		stalled, gone, closed bool
	}{
		{"late", false, false, true}, {"stalled", true, false, false}, {"gone", true, true, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := simWorld(t, 1, simnet.Weather{Latency: 1200 * time.Millisecond}) // an answer is late by 400 ms
			twin := func(c *engine.Config) {
				c.HandshakeTimeout, c.DialTimeout = time.Minute, time.Minute
				c.Identity, c.Rand = w.key(0), &sameInstance{Reader: c.Rand}
			}
			a := w.node(twin)
			var host *simnet.Host
			b := w.node(func(c *engine.Config) { host = c.Transport.(*simnet.Host) })
			w.dial(a, b)
			p, _ := b.ConnMgr().Peer(a.ID())
			again := w.startDial(w.node(twin), target(b)) // what b takes for another connection of a's
			w.Until("b to ask a", func() bool { return b.Stats().Duplicates > 0 })
			if x.gone {
				w.Vanish(a)
			}
			if x.stalled {
				w.Pass(time.Second)
				host.Stall(10 * time.Second)
			}
			w.Pass(12 * time.Second)
			if p.Connected() == x.closed {
				t.Errorf("closed: %v", p.CloseReason())
			}
			w.Pass(time.Minute)
			if !again.done() {
				t.Error("the other dial has not ended")
			}
		})
	}
}

// Nor does a handshake run out of time while one of the two does not run: what has come meanwhile is read, and answered.
func TestGreetedWhileStalled(t *testing.T) {
	for _, x := range []struct {
		name string
		at   time.Duration // the second message is on its way, or the third
	}{{"the initiator", 3500 * time.Millisecond}, {"the responder", 4500 * time.Millisecond}} {
		t.Run(x.name, func(t *testing.T) {
			w := simWorld(t, 1, simnet.Weather{Latency: time.Second})
			patient := func(c *engine.Config) { c.HandshakeTimeout, c.DialTimeout = time.Minute, time.Minute }
			var host *simnet.Host
			hasty := func(c *engine.Config) { host = c.Transport.(*simnet.Host) }
			changes := []func(*engine.Config){patient, hasty}
			if x.name == "the initiator" {
				slices.Reverse(changes)
			}
			a, b := w.node(changes[0]), w.node(changes[1])
			dial := w.startDial(a, target(b))
			w.Pass(x.at)
			host.Stall(2 * engine.HandshakeTimeoutDefault)
			w.Pass(30 * time.Second)
			if p, err := dial.get(); err != nil || p == nil || !p.Connected() {
				t.Errorf("the dial has ended with %v, %v", p, err)
			}
		})
	}
}

// sameInstance makes nodes take the same instance number: to others they are one process.
type sameInstance struct {
	io.Reader
	taken bool
}

func (r *sameInstance) Read(b []byte) (int, error) {
	if !r.taken && len(b) == 8 {
		r.taken = true
		clear(b)
		return len(b), nil
	}
	return r.Reader.Read(b)
}
