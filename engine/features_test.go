package engine_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/opcode"
)

func brief(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// Receive takes the next message of its opcode from the components; nobody loses one.
func TestReceive(t *testing.T) {
	worlds(t, func(w *world) {
		var ca, cb witness
		a := w.node(nil, withWitness(&ca))
		b := w.node(nil, withWitness(&cb))
		p := w.dial(a, b)
		w.Until("b to see a", func() bool { up, _, _ := cb.count(); return up == 1 })
		q := cb.peer(0)
		w.Do(func() {
			got := make(chan string, 1)
			go func() {
				m, err := q.Receive(brief(w), opNote)
				if err != nil {
					got <- err.Error()
					return
				}
				got <- string(m.Payload)
			}()
			// The first note may come before b waits, and is then a component's; one of the following is not.
			for i := 0; ; i++ {
				if err := p.TrySendRaw(opNote, fmt.Append(nil, i)); err != nil {
					w.Error(err)
					return
				}
				select {
				case s := <-got:
					if _, _, notes := cb.count(); s != fmt.Sprint(notes) && slices.Contains(cb.seen(), s) {
						w.Errorf("Receive got %q, which the component has seen too", s)
					}
					return
				case <-time.After(time.Millisecond):
				}
			}
		})
		w.Do(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
			defer cancel()
			if _, err := q.Receive(ctx, opTold); !errors.Is(err, engine.ErrReceiveTimeout) {
				w.Errorf("nothing came, but: %v", err)
			}
		})
	})
}

// Receive-then-lock: between the gate's message and Unlock nothing of this peer is delivered, afterwards everything is, in
// order; another peer goes on meanwhile.
func TestGate(t *testing.T) {
	worlds(t, func(w *world) {
		var ca, cb, cc witness
		a := w.node(nil, withWitness(&ca))
		b := w.node(nil, withWitness(&cb))
		c := w.node(nil, withWitness(&cc))
		pa := w.dial(a, b)
		w.Until("b to see a", func() bool { up, _, _ := cb.count(); return up == 1 })
		qa := cb.peer(0)
		pc := w.dial(c, b)
		var gate *engine.Gate
		w.Do(func() {
			var err error
			if gate, err = qa.LockOnReceive(brief(w), opTold); err != nil {
				w.Error(err)
			}
			if _, err := qa.LockOnReceive(brief(w), opTold); !errors.Is(err, engine.ErrBusy) {
				w.Errorf("a second gate: %v", err)
			}
		})
		var want []string
		for i := range 2000 {
			op, s := opNote, fmt.Sprint(i)
			if i == 500 {
				op = opTold
			} else {
				want = append(want, s)
			}
			if err := pa.TrySendRaw(op, []byte(s)); err != nil {
				w.Fatal(err)
			}
		}
		w.Do(func() {
			if m, err := gate.Receive(brief(w)); err != nil || string(m.Payload) != "500" {
				w.Errorf("the gate got %v %v", m, err)
			}
		})
		if err := pc.TrySendRaw(opNote, []byte("from c")); err != nil {
			w.Fatal(err)
		}
		w.Until("c's note", func() bool { return slices.Contains(cb.seen(), "from c") })
		if _, _, notes := cb.count(); notes != 501 {
			w.Errorf("%d notes before Unlock, want a's first 500 and c's", notes)
		}
		gate.Unlock()
		gate.Unlock()
		w.Until("the rest", func() bool { _, _, notes := cb.count(); return notes == 2000 })
		got := slices.DeleteFunc(cb.seen(), func(s string) bool { return s == "up" || s == "from c" })
		if !slices.Equal(got, want) {
			w.Error("the order is not kept")
		}
	})
}

// A gate nobody unlocks closes its peer, with the reason, and nobody else's.
func TestGateTimeout(t *testing.T) {
	worlds(t, func(w *world) {
		var cb witness
		a := w.node(nil)
		b := w.node(func(c *engine.Config) { c.GateTimeout = 50 * time.Millisecond }, withWitness(&cb))
		p := w.dial(a, b)
		w.Until("b to see a", func() bool { up, _, _ := cb.count(); return up == 1 })
		w.Do(func() {
			if _, err := cb.peer(0).LockOnReceive(brief(w), opNote); err != nil {
				w.Error(err)
			}
		})
		if err := p.TrySendRaw(opNote, nil); err != nil {
			w.Fatal(err)
		}
		w.Until("b to give up", func() bool { _, downs, _ := cb.count(); return downs == 1 })
		if err := cb.peer(0).CloseReason(); !errors.Is(err, engine.ErrGateTimeout) {
			w.Errorf("reason: %v", err)
		}
	})
}

// A stream is a net.Conn: bytes in order, more than any window, end by Close, deadlines.
func TestStream(t *testing.T) {
	worlds(t, func(w *world) {
		w.streamed("a net.Conn")
		var cb witness
		a := w.node(nil)
		b := w.node(nil, withWitness(&cb))
		p := w.dial(a, b)
		w.Until("b to see a", func() bool { up, _, _ := cb.count(); return up == 1 })
		w.Do(func() {
			from, err := p.Stream()
			if err != nil {
				w.Error(err)
				return
			}
			to, err := cb.peer(0).Stream()
			if err != nil {
				w.Error(err)
				return
			}
			data := make([]byte, 5<<20)
			newDice(1, 2).Read(data)
			var wait sync.WaitGroup
			wait.Go(func() {
				if n, err := io.Copy(from, bytes.NewReader(data)); err != nil || n != int64(len(data)) {
					w.Errorf("wrote %d: %v", n, err)
				}
				from.Close()
			})
			got, err := io.ReadAll(to)
			if err != nil || sha256.Sum256(got) != sha256.Sum256(data) {
				w.Errorf("read %d of %d bytes: %v", len(got), len(data), err)
			}
			wait.Wait()
			if _, err := from.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
				w.Errorf("write after close: %v", err)
			}
		})
		w.Do(func() {
			s, err := p.Stream()
			if err != nil {
				w.Error(err)
				return
			}
			s.SetReadDeadline(time.Now().Add(time.Millisecond))
			if _, err := s.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				w.Errorf("read past the deadline: %v", err)
			}
			s.SetReadDeadline(time.Time{})
		})
	})
}

// slowly is a component that may block: it waits for a word before each message.
type slowly struct {
	witness
	next chan struct{}
}

func (c *slowly) Receive(ctx *engine.ComponentContext) error {
	<-c.next
	return c.witness.Receive(ctx)
}

// An offloaded component gets a peer's messages in order; while it is stuck the loop goes on, and the peer can have no more
// under way than its window.
func TestOffload(t *testing.T) {
	w := liveWorld(t)
	slow := &slowly{next: make(chan struct{})}
	a := w.node(nil)
	b := w.node(func(c *engine.Config) { c.ReceiveWindow, c.ReceiveWindowMax = 128<<10, 128<<10 }, func(n *engine.Network) {
		if err := n.AddComponent(engine.Offload(slow, 2)); err != nil {
			t.Fatal(err)
		}
	})
	p := w.dial(a, b)
	note := make([]byte, 1000)
	sent := 0
	for ; sent < 3000; sent++ {
		copy(note, fmt.Sprintf("%06d", sent))
		if p.TrySendRaw(opNote, note) != nil {
			break
		}
	}
	if rtt, err := p.Ping(brief(t)); err != nil {
		t.Errorf("the loop is stuck: %v %v", rtt, err)
	}
	held := b.Stats().MessagesIn
	if held > 300 { // 128 KiB window, 64 KiB overdraft, 1012 bytes a frame
		t.Errorf("%d messages under way", held)
	}
	go func() {
		for range sent {
			slow.next <- struct{}{}
		}
	}()
	w.Until("all messages", func() bool { _, _, notes := slow.count(); return notes == sent })
	if !slices.IsSorted(slow.notes) {
		t.Error("out of order")
	}
}

type question struct{ N uint32 }
type told struct {
	N    uint32
	Text string
}

// Typed messages: Handle, Call, and what goes wrong with them.
func TestHandleAndCall(t *testing.T) {
	worlds(t, func(w *world) {
		register := func(n *engine.Network) {
			if err := engine.Register[told](n, opTold); err != nil {
				w.Fatal(err)
			}
		}
		a := w.node(nil, register, func(n *engine.Network) {
			if err := engine.Register[question](n, opAsk); err != nil {
				w.Fatal(err)
			}
			if err := engine.Register[question](n, opNote); !errors.Is(err, opcode.ErrDuplicate) {
				w.Errorf("a type under two opcodes: %v", err)
			}
			if err := engine.Register[slowly](n, 5); !errors.Is(err, opcode.ErrReserved) {
				w.Errorf("a reserved opcode: %v", err)
			}
		})
		b := w.node(nil, register, func(n *engine.Network) {
			err := engine.Handle(n, opAsk, func(ctx *engine.ComponentContext, q *question) error {
				return ctx.Reply(&told{q.N, "told"})
			})
			if err != nil {
				w.Fatal(err)
			}
		})
		p := w.dial(a, b)
		w.Do(func() {
			r, err := engine.Call[*told](brief(w), p, &question{7})
			if err != nil || r.N != 7 || r.Text != "told" {
				w.Errorf("%+v %v", r, err)
			}
			if _, err := engine.Call[*question](brief(w), p, &question{7}); !errors.Is(err, opcode.ErrType) {
				w.Errorf("the wrong type of answer: %v", err)
			}
			if err := p.Send(brief(w), &witness{}); !errors.Is(err, engine.ErrNotRegistered) {
				w.Errorf("an unregistered message: %v", err)
			}
		})
		if err := p.TrySendRaw(opAsk, []byte("not a question")); err != nil {
			w.Fatal(err)
		}
		w.Until("b to count it", func() bool { return b.Stats().Undecodable == 1 })
		if !p.Connected() {
			w.Error("disconnected for an undecodable message")
		}
	})
}

// Components come and go while peers are connected: each sees PeerConnect before messages and PeerDisconnect at the end,
// the order of priorities holds, and an interceptor hides messages from those behind it.
func TestComponents(t *testing.T) {
	w := liveWorld(t)
	var first, second witness
	a, b := w.node(nil), w.node(nil, withWitness(&second))
	p := w.dial(a, b)
	w.Until("b to see a", func() bool { up, _, _ := second.count(); return up == 1 })
	first.on = func(*engine.ComponentContext) error { return engine.ErrIntercepted }
	if err := b.AddComponent(&first, engine.Priority(-1)); err != nil {
		t.Fatal(err)
	}
	if up, _, _ := first.count(); up != 1 {
		t.Error("a component added later has not been told of the open peer")
	}
	if err := b.AddComponent(&first); err == nil {
		t.Error("a component could be added twice")
	}
	if err := p.TrySendRaw(opNote, []byte("1")); err != nil {
		t.Fatal(err)
	}
	w.Until("the note", func() bool { _, _, n := first.count(); return n == 1 })
	if err := b.RemoveComponent(&first); err != nil {
		t.Fatal(err)
	}
	if _, downs, _ := first.count(); downs != 1 {
		t.Error("a removed component has not been told that the peer is gone")
	}
	if err := p.TrySendRaw(opNote, []byte("2")); err != nil {
		t.Fatal(err)
	}
	w.Until("the note", func() bool { _, _, n := second.count(); return n == 1 })
	if got := second.seen(); !slices.Equal(got, []string{"up", "2"}) {
		t.Errorf("the second component saw %q", got)
	}
	if got, ok := engine.ComponentOf[*witness](b); !ok || got != &second {
		t.Error("ComponentOf does not find it")
	}
}

// A call that waits fails at once on a loop, instead of waiting for itself.
func TestOnLoop(t *testing.T) {
	w := liveWorld(t)
	errs := make(chan error, 10)
	c := &witness{}
	c.on = func(ctx *engine.ComponentContext) error {
		p := ctx.Client()
		_, _, err := p.RequestRaw(context.Background(), opAsk, nil, nil)
		errs <- err
		_, err = p.Ping(context.Background())
		errs <- err
		_, err = p.Receive(context.Background(), opTold)
		errs <- err
		_, err = p.LockOnReceive(context.Background(), opTold)
		errs <- err
		_, err = p.Network().Dial(context.Background(), "tcp://127.0.0.1:1")
		errs <- err
		errs <- p.Network().Shutdown(context.Background())
		errs <- p.Network().AddComponent(&witness{})
		return nil
	}
	b := w.node(nil, withWitness(c))
	p := w.dial(w.node(nil), b)
	if err := p.TrySendRaw(opNote, nil); err != nil {
		t.Fatal(err)
	}
	for i := range 7 {
		if err := <-errs; !errors.Is(err, engine.ErrOnLoop) {
			t.Errorf("call %d: %v", i, err)
		}
	}
}

// Messages larger than a frame arrive whole, between others, up to the limit of their opcode; above it they are refused
// where they are sent.
func TestLargeMessages(t *testing.T) {
	worlds(t, func(w *world) {
		w.streamed("messages in fragments")
		var cb witness
		a := w.node(nil, withWitness(&witness{}))
		b := w.node(nil, withWitness(&cb))
		p := w.dial(a, b)
		var want []string
		for _, size := range []int{64 << 10, 64<<10 + 1, 200_000, 1 << 20} {
			big := make([]byte, size)
			newDice(uint64(size), 0).Read(big)
			want = append(want, string(big))
			w.Do(func() {
				if err := p.SendRaw(brief(w), opNote, big); err != nil {
					w.Error(err)
				}
			})
		}
		w.Until("the notes", func() bool { _, _, n := cb.count(); return n == len(want) })
		if !slices.Equal(cb.notes, want) {
			w.Error("what arrived is not what was sent")
		}
		if err := p.TrySendRaw(opNote, make([]byte, 1<<20+1)); !errors.Is(err, engine.ErrMessageTooLarge) {
			w.Errorf("above the limit: %v", err)
		}
		w.Do(func() {
			big := make([]byte, 300_000)
			if _, reply, err := p.RequestRaw(brief(w), opAsk, big, nil); err != nil || !bytes.Equal(reply, big) {
				w.Errorf("a large request: %d bytes, %v", len(reply), err)
			}
		})
	})
}

// Who subscribes sees peers come and go, with the reason.
func TestEvents(t *testing.T) {
	w := liveWorld(t)
	a, b := w.node(nil), w.node(nil)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	events := b.Events(ctx)
	next := func() (e engine.Event, ok bool) {
		for e, ok = <-events; e.Kind == engine.LoopHeld; e, ok = <-events { // on a busy machine, as often as it likes
		}
		return e, ok
	}
	p := w.dial(a, b)
	p.Disconnect(engine.CodeRefused, "bye")
	if e, _ := next(); e.Kind != engine.PeerUp || e.ID != a.ID() {
		t.Errorf("%+v", e)
	}
	e, _ := next()
	var why *engine.CloseError
	if e.Kind != engine.PeerDown || !errors.As(e.Err, &why) || why.Code != engine.CodeRefused {
		t.Errorf("%+v", e)
	}
	cancel()
	if e, open := next(); open {
		t.Errorf("the channel stays open: %+v", e)
	}
}

// A sender to a peer that does not read waits, then fails, and has no more than its limit queued; another peer of the
// same loops is served.
func TestSlowReader(t *testing.T) {
	w := liveWorld(t)
	stuck := make(chan struct{})
	release := sync.OnceFunc(func() { close(stuck) })
	defer release()
	c := &slowly{next: make(chan struct{})}
	a := w.node(func(c *engine.Config) { c.SendTimeout = 50 * time.Millisecond })
	b := w.node(nil, func(n *engine.Network) { n.AddComponent(engine.Offload(c, 1)) })
	other := w.node(nil, withWitness(&witness{}))
	p, q := w.dial(a, b), w.dial(a, other)
	note := make([]byte, 1000)
	var err error
	for range 1_000_000 {
		if err = p.SendRaw(context.Background(), opNote, note); err != nil {
			break
		}
	}
	if !errors.Is(err, engine.ErrSendBufferFull) || !errors.Is(err, engine.ErrSendTimeout) {
		t.Errorf("sending to a stopped reader: %v", err)
	}
	if out := a.Stats().BufferBytes; out > 4<<20 {
		t.Errorf("%d bytes of buffers for one slow peer", out)
	}
	if _, _, err := q.RequestRaw(brief(t), opAsk, note, nil); err != nil {
		t.Errorf("the other peer: %v", err)
	}
	go func() {
		for {
			select {
			case c.next <- struct{}{}:
			case <-stuck:
				return
			}
		}
	}()
	w.Until("room again", func() bool { return p.TrySendRaw(opNote, note) == nil })
	w.End()
}

// Both sides are told where the other sees them: the dialler the address of its end of the connection, the listener the
// address that was dialled.
func TestObserved(t *testing.T) {
	worlds(t, func(w *world) {
		inbound := &witness{}
		a, b := w.node(nil), w.node(nil, withWitness(inbound))
		p := w.dial(a, b)
		w.Until("the listener to have the peer", func() bool { ups, _, _ := inbound.count(); return ups == 1 })
		if got, want := p.Observed(), p.LocalAddr(); got != want {
			w.Errorf("the dialler is seen as %v, and is %v", got, want)
		}
		if got, want := inbound.peer(0).Observed(), b.Addrs()[0]; got != want {
			w.Errorf("the listener is seen as %v, and is %v", got, want)
		}
	})
}
