package engine_test

import (
	"context"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/framing"
)

// Peers that begin large messages and finish none get half of the memory between them, and the others go on.
func TestUnfinishedMessagesShareTheMemory(t *testing.T) {
	w := liveWorld(t)
	n := w.node(func(c *engine.Config) { c.Memory, c.LingerTimeout = 8<<20, 100*time.Millisecond }, withWitness(&witness{}))
	check := goodPeer(w, n)
	part := make([]byte, 60<<10)
	for range 4 {
		s := greet(t, n)
		for id := range uint32(4) { // 3.9 MB in all, in messages that could each become whole
			for range 16 {
				s.frames(framing.Frame{Op: opNote, Flags: framing.FlagMore, ID: 1<<31 + id, Payload: part})
			}
		}
	}
	w.Until("some to be closed", func() bool { return n.Stats().ClosedFor[engine.CodeLimit] >= 2 })
	if lent := n.Stats().BufferBytes; lent > 7<<20 {
		t.Errorf("%d bytes of 8 MiB are held by strangers", lent)
	}
	check()
}

// What waits for a worker or a stream's reader counts against the node's memory until it is handled, read or lost.
func TestHeldMessagesCount(t *testing.T) {
	w := liveWorld(t)
	slow := &slowly{next: make(chan struct{})}
	var seen witness
	n := w.node(nil, withWitness(&witness{}), func(n *engine.Network) {
		if err := n.AddComponent(engine.Offload(slow, 1), engine.Opcodes(3000), engine.Priority(-1)); err != nil {
			t.Fatal(err)
		}
		if err := n.AddComponent(&seen); err != nil {
			t.Fatal(err)
		}
	})
	p := w.dial(w.node(nil), n)
	for range 4 {
		if err := p.SendRaw(brief(t), 3000, make([]byte, 50_000)); err != nil {
			t.Fatal(err)
		}
	}
	w.Until("200 KB to be counted", func() bool { return n.Stats().BufferBytes >= 200_000 })
	close(slow.next)
	w.Until("them to be handled", func() bool { return n.Stats().BufferBytes == 0 })

	to, err := seen.peer(0).Stream()
	if err != nil {
		t.Fatal(err)
	}
	from, err := p.Stream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := from.Write(make([]byte, 100_000)); err != nil {
		t.Fatal(err)
	}
	w.Until("100 KB to be counted", func() bool { return n.Stats().BufferBytes >= 100_000 })
	buf := make([]byte, 60_000)
	if _, err := to.Read(buf); err != nil {
		t.Fatal(err)
	}
	p.Close()
	w.Until("the rest to be given up", func() bool { return n.Stats().BufferBytes == 0 })
}

// Peers that only listen give their send buffers back when nothing is sent to them any more.
func TestBuffersOfSilentPeers(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{Latency: time.Millisecond})
	a, b := w.node(nil), w.node(nil, withWitness(&witness{}))
	p := w.dial(a, b)
	w.Pass(time.Second)
	if err := p.TrySendRaw(opNote, make([]byte, 50_000)); err != nil { // too little for b to grant new credit
		t.Fatal(err)
	}
	w.Pass(5 * time.Second)
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
	w.Until("the peer to be stopped", func() bool { return n.Stats().Opened == 1 && n.Stats().Peers == 0 })
	if held := n.Stats().MessagesIn; held > 3 {
		t.Errorf("%d messages of 600 KB are queued with a window of 128 KB", held)
	}
}

// Nor does a request that is never answered leave anything behind, though its asker wrote it himself.
func TestBuffersAfterAnUnansweredRequest(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{Latency: time.Millisecond})
	deaf := &witness{on: func(*engine.ComponentContext) error { return nil }}
	a := w.node(func(c *engine.Config) { c.RequestTimeout = 50 * time.Millisecond })
	p := w.dial(a, w.node(nil, withWitness(deaf)))
	for _, ctx := range []context.Context{context.Background(), brief(t)} {
		w.Pass(2 * time.Second) // the peer is cold
		w.Do(func() {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			time.AfterFunc(100*time.Millisecond, cancel)
			if _, _, err := p.RequestRaw(ctx, opAsk, make([]byte, 5000), nil); err == nil {
				t.Error("answered")
			}
		})
		w.Pass(2 * time.Second)
		if lent := a.Stats().BufferBytes; lent != 0 {
			t.Errorf("%d bytes are left", lent)
		}
	}
}
