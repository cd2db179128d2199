package broadcast_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/broadcast"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/gnetio"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
)

// patience bounds every wait for real sockets.
const patience = 30 * time.Second

// A liveNode is one on loopback.
type liveNode struct {
	*engine.Network
	cast *broadcast.Component
	got  chan broadcast.Message
}

func liveNodes(t *testing.T, count int) (nodes []liveNode) {
	for i := range count {
		e, err := engine.New(engine.Config{
			Transport: gnetio.New(gnetio.Config{Loops: 2}), Identity: key(t, i), Puzzle: &identity.Puzzle{}, WeakPuzzle: true,
			Listen: []transport.Addr{{Proto: transport.TCP, AddrPort: netip.MustParseAddrPort("127.0.0.1:0")}},
		})
		if err != nil {
			t.Fatal(err)
		}
		n := liveNode{e, nil, make(chan broadcast.Message, 256)}
		if n.cast, err = broadcast.New(broadcast.Config{Scope: skad.Private, Deliver: broadcast.To(n.got)}); err != nil {
			t.Fatal(err)
		}
		if err := e.AddComponent(n.cast); err != nil {
			t.Fatal(err)
		}
		if err := e.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = e.Shutdown(context.Background()) })
		nodes = append(nodes, n)
	}
	for i, a := range nodes {
		for _, b := range nodes[:i] {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			if _, err := a.Dial(ctx, engine.Target{Addr: b.Addrs()[0], ID: b.ID()}.String()); err != nil {
				t.Fatal(err)
			}
			cancel()
		}
	}
	return nodes
}

// Over sockets: everybody gets every message of everybody once, small and large, whichever loop a peer is on; and a call
// that waits is refused on a loop, and after the end.
func TestLive(t *testing.T) {
	nodes := liveNodes(t, 6)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
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
	if err := nodes[0].Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := nodes[0].cast.Broadcast(ctx, nil); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}
