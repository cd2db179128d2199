package engine_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/handshake"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// A connection whose handshake ends while the node shuts down is turned away; it must not hold the shutdown up.
func TestShutdownDuringAHandshake(t *testing.T) {
	w := liveWorld(t)
	var seen witness
	n := w.node(nil, withWitness(&seen))
	s := meet(t, n)
	key := w.key(500)
	rec, _ := key.NewRecord(nil, 1, 0)
	m, err := handshake.NewInitiator(&handshake.Config{Identity: key, Record: rec.Append(nil), NetworkID: "carrier",
		Timeout: time.Minute, Rand: newDice(1, 3)}, 0, identity.ID{})
	if err != nil {
		t.Fatal(err)
	}
	wire, _ := m.Next()
	s.write(wire)
	msg, err := s.message()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Receive(0, msg); err != nil {
		t.Fatal(err)
	}
	// Somebody keeps the shutdown waiting until the stranger is in.
	p := w.dial(w.node(nil), n)
	w.until("the first peer", func() bool { ups, _, _ := seen.count(); return ups == 1 })
	late := &lastMoment{do: func() {
		wire, _ := m.Next()
		s.write(wire)
		w.until("the handshake to end", func() bool { return n.Stats().HalfOpen == 0 })
	}}
	if err := n.AddComponent(late); err != nil {
		t.Fatal(err)
	}
	_ = p
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := n.Shutdown(ctx); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if ups, downs, _ := seen.count(); ups != 1 || downs != 1 {
		t.Errorf("%d connects, %d disconnects; want one of each", ups, downs)
	}
}

// lastMoment does something in Cleanup.
type lastMoment struct {
	engine.Component
	do func()
}

func (c *lastMoment) Cleanup(*engine.Network) { c.do() }

// A Ping to a peer whose control lane is full fails; it does not spin until the peer reads.
func TestPingWithoutRoom(t *testing.T) {
	w := liveWorld(t)
	n := w.node(nil, withWitness(&witness{}))
	var seen witness
	if err := n.AddComponent(&seen); err != nil {
		t.Fatal(err)
	}
	s := greet(t, n)
	w.until("the peer", func() bool { ups, _, _ := seen.count(); return ups == 1 })
	p := seen.peer(0)
	s.conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	alive := make([]byte, 8)
	refused := 0
	w.until("the control lane to be full", func() bool { // the stranger reads none of it
		for ; p.TrySendRaw(opcode.KeepaliveCode, alive) == nil; refused = 0 {
		}
		refused++
		return refused > 50
	})
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	done := make(chan error, 1)
	go func() { _, err := p.Ping(ctx); done <- err }()
	select {
	case err := <-done:
		if !errors.Is(err, engine.ErrSendBufferFull) {
			t.Errorf("ping: %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("the call ignores its context")
		s.conn.Close()
		<-done
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
			t.Fatal(err)
		}
		w.until("the first to time out", func() bool { return len(ended) == 1 })
		w.until("the peer to cool", func() bool { return a.Stats().BufferBytes == 0 })
		got := make(chan string, 1)
		err := p.RequestRawAsync(opAsk, []byte("second"), 0, func(ctx *engine.ComponentContext, err error) {
			got <- fmt.Sprint(string(ctx.Payload()), err)
		})
		if err != nil {
			t.Fatal(err)
		}
		w.until("the second to end", func() bool { return len(got) == 1 })
		if s := <-got; s != "answer to the second<nil>" {
			t.Errorf("the second question got %q", s)
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
	stop := time.AfterFunc(10*time.Second, cancel)
	defer stop.Stop()
	defer cancel()
	if _, _, err := p.RequestRaw(ctx, opAsk, nil, nil); !errors.Is(err, engine.ErrReceiveTimeout) {
		t.Errorf("an unanswered request ended with %v", err)
	}
}

// Peers that only listen give their send buffers back when nothing is sent to them any more.
func TestBuffersOfSilentPeers(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{Latency: time.Millisecond})
	a, b := w.node(nil), w.node(nil, withWitness(&witness{}))
	p := w.dial(a, b)
	w.pass(time.Second)
	if err := p.TrySendRaw(opNote, make([]byte, 50_000)); err != nil { // too little for b to grant new credit
		t.Fatal(err)
	}
	w.pass(5 * time.Second)
	if lent := a.Stats().BufferBytes; lent != 0 {
		t.Errorf("%d bytes are kept for a peer that has read everything", lent)
	}
}

// Large messages that wait for a worker count against the peer's window, though they came in fragments.
func TestOffloadLargeMessages(t *testing.T) {
	w := liveWorld(t)
	slow := &slowly{next: make(chan struct{})}
	n := w.node(func(c *engine.Config) {
		c.ReceiveWindow, c.ReceiveWindowMax, c.LingerTimeout = 128<<10, 128<<10, 100*time.Millisecond
	}, func(n *engine.Network) {
		if err := n.AddComponent(engine.Offload(slow, 1)); err != nil {
			t.Fatal(err)
		}
	})
	defer close(slow.next)
	s := greet(t, n)
	part := make([]byte, 60<<10)
	go func() {
		for range 2000 { // 600 KB each, of which the last fragment is 1 byte
			for range 10 {
				s.frames(framing.Frame{Op: opNote, Flags: framing.FlagMore, ID: 1 << 31, Payload: part})
			}
			s.frames(framing.Frame{Op: opNote, ID: 1 << 31, Payload: []byte{0}})
			if n.Stats().Peers == 0 {
				return
			}
		}
	}()
	w.until("the peer to be stopped", func() bool { return n.Stats().Opened == 1 && n.Stats().Peers == 0 })
	if held := n.Stats().MessagesIn; held > 3 {
		t.Errorf("%d messages of 600 KB are queued with a window of 128 KB", held)
	}
}
