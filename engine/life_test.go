package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// Two nodes connect, talk and part: each side sees exactly one PeerConnect, the messages in order, one PeerDisconnect, and
// knows the other's proven identity and the reason.
func TestLife(t *testing.T) {
	worlds(t, func(w *world) {
		var ca, cb witness
		a := w.node(nil, withWitness(&ca))
		b := w.node(nil, withWitness(&cb))
		p := w.dial(a, b)
		if p.ID() != b.ID() || !p.Dialled() {
			w.Errorf("a's peer is %v, dialled %v", p.ID(), p.Dialled())
		}
		if got, ok := a.ConnMgr().Peer(b.ID()); !ok || got != p {
			w.Errorf("the ConnMgr has %v", got)
		}
		want := []string{"up"}
		for i := range 1000 {
			note := fmt.Sprintf("note %d", i)
			want = append(want, note)
			if err := p.TrySendRaw(opNote, []byte(note)); err != nil {
				w.Fatal(err)
			}
		}
		p.Disconnect(engine.CodeApplication+7, "enough")
		want = append(want, "down")
		w.Until("both sides to part", func() bool {
			_, da, _ := ca.count()
			_, db, _ := cb.count()
			return da == 1 && db == 1
		})
		if got := cb.seen(); !slices.Equal(got, want) {
			w.Errorf("b saw %d things, want %d; the last: %q", len(got), len(want), got[len(got)-1])
		}
		if got := ca.seen(); !slices.Equal(got, []string{"up", "down"}) {
			w.Errorf("a saw %q", got)
		}
		var why *engine.CloseError
		if err := cb.peer(0).CloseReason(); !errors.As(err, &why) || why.Code != engine.CodeApplication+7 || why.Text != "enough" || !why.Remote {
			w.Errorf("b's reason: %v", err)
		}
		if err := p.TrySendRaw(opNote, nil); !errors.Is(err, engine.ErrClosed) {
			w.Errorf("sending after the end: %v", err)
		}
	})
}

// From Close on nothing is taken any more, by whatever call, though the connection is only about to end; what was taken before
// arrives.
func TestNothingIsSentAfterClose(t *testing.T) {
	worlds(t, func(w *world) {
		var seen witness
		a, b := w.node(nil), w.node(nil, withWitness(&seen))
		p := w.dial(a, b)
		var stream *engine.Stream
		if p.Reliable() {
			var err error
			if w.Do(func() { stream, err = p.Stream() }); err != nil {
				w.Fatal(err)
			}
		}
		if err := p.TrySendRaw(opNote, []byte("before")); err != nil {
			w.Fatal(err)
		}
		p.Close()
		for call, err := range map[string]error{
			"TrySendRaw":           p.TrySendRaw(opNote, []byte("after")),
			"SendRaw":              p.SendRaw(context.Background(), opNote, []byte("after")),
			"RequestRawAsync":      p.RequestRawAsync(opAsk, []byte("after"), 0, func(*engine.ComponentContext, error) { w.Error("called though it has failed") }),
			"TrySendUnreliableRaw": p.TrySendUnreliableRaw(opNote, []byte("after")),
			"Stream.Write":         write(stream),
		} {
			if !errors.Is(err, engine.ErrClosed) {
				w.Errorf("%s after Close: %v", call, err)
			}
		}
		w.Until("the end", func() bool { _, downs, _ := seen.count(); return downs == 1 })
		if got := seen.seen(); !slices.Equal(got, []string{"up", "before", "down"}) {
			w.Errorf("the other side saw %q", got)
		}
	})
}

// write is the error of a write to a stream, or what it would be if there is none.
func write(s *engine.Stream) error {
	if s == nil {
		return engine.ErrClosed
	}
	_, err := s.Write([]byte("after"))
	return err
}

// A request is answered, asynchronously everywhere and with the calls that wait.
func TestRequest(t *testing.T) {
	worlds(t, func(w *world) {
		var ca, cb witness
		a := w.node(nil, withWitness(&ca))
		b := w.node(nil, withWitness(&cb))
		p := w.dial(a, b)
		answers := 0
		for i := range 100 {
			q := fmt.Sprint(i)
			err := p.RequestRawAsync(opAsk, []byte(q), 0, func(ctx *engine.ComponentContext, err error) {
				if err != nil || ctx.Opcode() != opTold || string(ctx.Payload()) != q {
					w.Errorf("answer to %s: %v", q, err)
				}
				ca.mu.Lock()
				answers++
				ca.mu.Unlock()
			})
			if err != nil {
				w.Fatal(err)
			}
		}
		w.Until("all answers", func() bool { ca.mu.Lock(); defer ca.mu.Unlock(); return answers == 100 })
		w.Do(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			op, reply, err := p.RequestRaw(ctx, opAsk, []byte("again"), nil)
			if err != nil || op != opTold || string(reply) != "again" {
				w.Errorf("%v %q %v", op, reply, err)
			}
			if rtt, err := p.Ping(ctx); err != nil || rtt <= 0 || p.RTT() <= 0 {
				w.Errorf("ping: %v %v", rtt, err)
			}
		})
	})
}

// Dialling both ways at the same moment, many times under other latencies: always exactly one connection, one PeerConnect
// on each side, and what each side sends as soon as it can arrives exactly once and in order.
func TestSimultaneousDials(t *testing.T) {
	t.Parallel()
	rounds := 2000
	if testing.Short() {
		rounds = 200
	}
	for seed := range uint64(rounds) {
		simultaneous(simWorld(t, seed, simnet.Weather{Latency: time.Millisecond, Jitter: time.Millisecond}))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func TestSimultaneousDialsLive(t *testing.T) {
	rounds := 200
	if testing.Short() {
		rounds = 20
	}
	for range rounds {
		w := liveWorld(t)
		simultaneous(w)
		w.End()
	}
}

func simultaneous(w *world) {
	var ca, cb witness
	a := w.node(nil, withWitness(&ca))
	b := w.node(nil, withWitness(&cb))
	ab, ba := w.startDial(a, target(b)), w.startDial(b, target(a))
	w.Until("both dials", func() bool { return ab.done() && ba.done() })
	pa, err := ab.get()
	if err != nil {
		w.Fatalf("a dials b: %v", err)
	}
	pb, err := ba.get()
	if err != nil {
		w.Fatalf("b dials a: %v", err)
	}
	for i := range 20 {
		if err := pa.TrySendRaw(opNote, fmt.Append(nil, i)); err != nil {
			w.Fatalf("a sends: %v", err)
		}
		if err := pb.TrySendRaw(opNote, fmt.Append(nil, i)); err != nil {
			w.Fatalf("b sends: %v", err)
		}
	}
	w.Until("all notes", func() bool {
		_, _, na := ca.count()
		_, _, nb := cb.count()
		return na >= 20 && nb >= 20
	})
	w.Pass(5 * time.Second) // whatever else is on the way arrives
	want := []string{"up"}
	for i := range 20 {
		want = append(want, fmt.Sprint(i))
	}
	for name, c := range map[string]*witness{"a": &ca, "b": &cb} {
		if got := c.seen(); !slices.Equal(got, want) {
			w.Errorf("%s saw %q", name, got)
		}
	}
	if pa.LocalAddr() != pb.RemoteAddr() {
		w.Errorf("the two ends are of different connections: %v and %v", pa.LocalAddr(), pb.RemoteAddr())
	}
}

// A peer that restarts is connected again at once, though its old connection looks alive: PeerDisconnect of the old comes
// before PeerConnect of the new.
func TestRestart(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{Latency: time.Millisecond})
	var ca witness
	a := w.node(nil, withWitness(&ca))
	b := w.node(nil)
	w.dial(b, a)
	w.Vanish(b)
	b2 := w.node(func(c *engine.Config) { c.Identity = w.key(1) })
	w.dial(b2, a)
	w.Until("a to have seen it", func() bool { return len(ca.seen()) == 3 })
	if got := ca.seen(); !slices.Equal(got, []string{"up", "down", "up"}) {
		t.Errorf("a saw %q", got)
	}
	var why *engine.CloseError
	if errors.As(ca.peer(0).CloseReason(), &why); why == nil || why.Code != engine.CodeReplaced {
		t.Errorf("reason: %v", why)
	}
}

// Dial errors tell what was wrong.
func TestDialErrors(t *testing.T) {
	worlds(t, func(w *world) {
		w.patient()
		a := w.node(nil)
		b := w.node(nil)
		other := w.node(func(c *engine.Config) { c.NetworkID = "another" })
		puzzled := w.node(func(c *engine.Config) {
			c.Puzzle = &identity.Puzzle{StaticBits: 1}
			c.Identity = solved(w, *c.Puzzle)
		})
		nobody := target(b)
		nobody.ID[0]++
		self := engine.Target{Addr: a.Addrs()[0]}
		for _, x := range []struct {
			name string
			to   engine.Target
			want error
		}{
			{"another id", nobody, engine.ErrPeerMismatch},
			{"myself by address", self, engine.ErrSelfDial},
			{"myself by id", target(a), engine.ErrSelfDial},
		} {
			if _, err := w.TryDial(a, x.to); !errors.Is(err, x.want) {
				w.Errorf("%s: %v, want %v", x.name, err, x.want)
			}
		}
		for name, n := range map[string]*engine.Network{"another network": other, "another puzzle": puzzled} {
			if p, err := w.TryDial(a, target(n)); err == nil {
				w.Errorf("%s: connected to %v", name, p.ID())
			}
		}
		if all, _ := a.ConnMgr().Count(); all != 0 {
			w.Errorf("a has %d peers", all)
		}
	})
}

func solved(w *world, p identity.Puzzle) *identity.Identity {
	id, err := identity.Generate(context.Background(), p, identity.GenerateOptions{})
	if err != nil {
		w.Fatal(err)
	}
	return id
}
