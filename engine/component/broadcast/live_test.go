package broadcast_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/broadcast"
	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/skad"
)

// A liveNode is one on loopback.
type liveNode struct {
	*engine.Network
	cast *broadcast.Component
	got  chan broadcast.Message
}

// liveNodes are connected, everybody with everybody.
func liveNodes(w *enginetest.World, count int) (nodes []liveNode) {
	w.Helper()
	for range count {
		got := make(chan broadcast.Message, 256)
		c, err := broadcast.New(broadcast.Config{Scope: skad.Private, Deliver: broadcast.To(got)})
		if err != nil {
			w.Fatal(err)
		}
		n := liveNode{w.Node(c), c, got}
		for _, b := range nodes {
			w.Dial(n.Network, b.Network)
		}
		nodes = append(nodes, n)
	}
	return nodes
}

// Over sockets: everybody gets every message of everybody once, small and large, whichever loop a peer is on; and a call
// that waits is refused on a loop, and after the end.
func TestLive(t *testing.T) {
	w := enginetest.Live(t)
	nodes := liveNodes(w, 6)
	ctx, cancel := context.WithTimeout(t.Context(), w.Patience)
	defer cancel()
	sent := map[string]int{}
	for i, n := range nodes {
		for k, size := range []int{1, 1000, 40_000} {
			payload := make([]byte, size)
			copy(payload, fmt.Sprint(i, k))
			if _, err := n.cast.Broadcast(ctx, payload); err != nil {
				t.Fatal(err)
			}
			sent[string(payload)] = i
		}
	}
	for i, n := range nodes {
		got := map[string]bool{}
		for len(got) < len(sent)-3 {
			select {
			case m := <-n.got:
				if from, ok := sent[string(m.Payload)]; !ok || got[string(m.Payload)] || from == i || m.Origin != nodes[from].ID() {
					t.Fatalf("node %d: a message of %d bytes from %v, known %t, again %t", i, len(m.Payload), m.Origin.Short(), ok, got[string(m.Payload)])
				}
				got[string(m.Payload)] = true
			case <-ctx.Done():
				t.Fatalf("node %d has %d of %d messages: %+v", i, len(got), len(sent)-3, n.cast.Stats())
			}
		}
	}
	onLoop := make(chan error, 1)
	nodes[0].HomeLoop().Post(func() {
		_, err := nodes[0].cast.Broadcast(ctx, nil)
		onLoop <- err
	})
	if err := <-onLoop; !errors.Is(err, engine.ErrOnLoop) {
		t.Errorf("on a loop: %v", err)
	}
	w.Stop(nodes[0].Network)
	if _, err := nodes[0].cast.Broadcast(ctx, nil); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}
