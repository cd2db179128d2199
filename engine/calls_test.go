package engine_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/opcode"
)

// A Ping to a peer whose control lane is full fails; it does not spin until the peer reads.
func TestPingWithoutRoom(t *testing.T) {
	w := liveWorld(t)
	n := w.node(nil, withWitness(&witness{}))
	var seen witness
	if err := n.AddComponent(&seen); err != nil {
		t.Fatal(err)
	}
	s := greet(t, n)
	w.Until("the peer", func() bool { ups, _, _ := seen.count(); return ups == 1 })
	p := seen.peer(0)
	s.conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	alive := make([]byte, 8)
	for err := error(nil); !errors.Is(err, engine.ErrSendBufferFull); { // the kernel may have taken more meanwhile
		refused := 0
		w.Until("the control lane to be full", func() bool { // the stranger reads none of it
			for ; p.TrySendRaw(opcode.KeepaliveCode, alive) == nil; refused = 0 {
			}
			refused++
			return refused > 50
		})
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		done := make(chan error, 1)
		go func() { _, err := p.Ping(ctx); done <- err }()
		select {
		case err = <-done:
		case <-time.After(patience):
			s.conn.Close()
			t.Fatalf("the call ignores its context: %v", <-done)
		}
		cancel()
		if !errors.Is(err, engine.ErrSendBufferFull) && !errors.Is(err, engine.ErrReceiveTimeout) {
			t.Fatalf("ping: %v", err)
		}
	}
}

// A reply that comes long after its asker has given up does not answer somebody else's question.
func TestLateReply(t *testing.T) {
	worlds(t, func(w *world) {
		var late *engine.ComponentContext
		cb := &witness{}
		cb.on = func(ctx *engine.ComponentContext) error {
			if string(ctx.Payload()) == "first" {
				late = ctx.Retain()
				return nil
			}
			if err := late.ReplyRaw(opTold, []byte("answer to the first")); err != nil {
				return err
			}
			return ctx.ReplyRaw(opTold, []byte("answer to the second"))
		}
		a, b := w.node(nil), w.node(nil, withWitness(cb))
		p := w.dial(a, b)
		ended := make(chan error, 1)
		if err := p.RequestRawAsync(opAsk, []byte("first"), 10*time.Millisecond, func(_ *engine.ComponentContext, err error) { ended <- err }); err != nil {
			w.Fatal(err)
		}
		w.Until("the first to time out", func() bool { return len(ended) == 1 })
		w.Until("the peer to cool", func() bool { return a.Stats().BufferBytes == 0 })
		got := make(chan string, 1)
		err := p.RequestRawAsync(opAsk, []byte("second"), 0, func(ctx *engine.ComponentContext, err error) {
			got <- fmt.Sprint(string(ctx.Payload()), err)
		})
		if err != nil {
			w.Fatal(err)
		}
		w.Until("the second to end", func() bool { return len(got) == 1 })
		if s := <-got; s != "answer to the second<nil>" {
			w.Errorf("the second question got %q", s)
		}
	})
}

// A request whose context can be cancelled but has no deadline ends after Config.RequestTimeout all the same.
func TestRequestTimeoutWithoutDeadline(t *testing.T) {
	w := liveWorld(t)
	cb := &witness{on: func(*engine.ComponentContext) error { return nil }}
	a := w.node(func(c *engine.Config) { c.RequestTimeout = 50 * time.Millisecond })
	p := w.dial(a, w.node(nil, withWitness(cb)))
	ctx, cancel := context.WithCancel(context.Background())
	stop := time.AfterFunc(patience, cancel)
	defer stop.Stop()
	defer cancel()
	if _, _, err := p.RequestRaw(ctx, opAsk, nil, nil); !errors.Is(err, engine.ErrReceiveTimeout) {
		t.Errorf("an unanswered request ended with %v", err)
	}
}

// A request that nobody will answer ends at once, whyever that is, and the connection is none the worse.
func TestNoReply(t *testing.T) {
	worlds(t, func(w *world) {
		cb := &witness{on: func(ctx *engine.ComponentContext) error {
			switch string(ctx.Payload()) {
			case "fail":
				return errors.New("a reason that stays here")
			case "panic":
				panic("in a test")
			}
			return ctx.ReplyRaw(opTold, ctx.Payload())
		}}
		a := w.node(func(c *engine.Config) { c.RequestTimeout = 2 * patience })
		b := w.node(nil, func(n *engine.Network) {
			if err := n.AddComponent(cb, engine.Opcodes(opAsk)); err != nil {
				w.Fatal(err)
			}
			if err := engine.Register[told](n, opTold); err != nil {
				w.Fatal(err)
			}
		})
		p := w.dial(a, b)
		long := 200_000
		if w.udp {
			long = 500 // in one piece, as over datagrams everything is
		}
		for _, c := range []struct {
			name    string
			op      opcode.Opcode
			payload []byte
			want    error
		}{
			{"answered", opAsk, []byte("well"), nil},
			{"its handler fails", opAsk, []byte("fail"), engine.ErrNoReply},
			{"its handler panics", opAsk, []byte("panic"), engine.ErrNoReply},
			{"registered, and nobody handles it", opTold, []byte("told"), engine.ErrNoReply},
			{"nobody has heard of it", 77777, nil, engine.ErrNoReply},
			{"the same, in fragments", 77777, make([]byte, long), engine.ErrNoReply},
			{"the library's, without its component", opcode.MetricRequestCode, nil, engine.ErrNoReply},
			{"answered as before", opAsk, []byte("well"), nil},
		} {
			w.Do(func() {
				op, reply, err := p.RequestRaw(brief(w), c.op, c.payload, nil)
				if !errors.Is(err, c.want) || err == nil && (op != opTold || string(reply) != string(c.payload)) {
					w.Errorf("%s: %v %q %v", c.name, op, reply, err)
				}
			})
			ended := make(chan error, 1)
			if err := p.RequestRawAsync(c.op, c.payload, 0, func(_ *engine.ComponentContext, err error) { ended <- err }); err != nil {
				w.Fatalf("%s: %v", c.name, err)
			}
			w.Until(c.name+" to end", func() bool { return len(ended) == 1 })
			if err := <-ended; !errors.Is(err, c.want) {
				w.Errorf("%s, with a callback: %v", c.name, err)
			}
		}
		if s := a.Stats(); s.Orphans != 0 || !p.Connected() {
			w.Errorf("%d replies to nothing, connected %v", s.Orphans, p.Connected())
		}
		if got := b.Stats().Unhandled + b.Stats().Unknown; got < 8 {
			w.Errorf("%d counted as unhandled or unknown, of 8", got)
		}
	})
}
