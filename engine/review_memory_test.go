package engine_test

import (
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
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
	w.until("some to be closed", func() bool { return n.Stats().ClosedFor[engine.CodeLimit] >= 2 })
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
	w.until("200 KB to be counted", func() bool { return n.Stats().BufferBytes >= 200_000 })
	close(slow.next)
	w.until("them to be handled", func() bool { return n.Stats().BufferBytes == 0 })

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
	w.until("100 KB to be counted", func() bool { return n.Stats().BufferBytes >= 100_000 })
	buf := make([]byte, 60_000)
	if _, err := to.Read(buf); err != nil {
		t.Fatal(err)
	}
	p.Close()
	w.until("the rest to be given up", func() bool { return n.Stats().BufferBytes == 0 })
}
