package engine_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport/gnetio"
	"github.com/carrier-p2p/carrier/engine/transport/shared"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// A process can hold thousands of Networks on one shared transport: one without peers costs as much as a few peers do.
func TestHeapOfANetwork(t *testing.T) {
	const warm, count, most = 10, 200, 22 << 10
	hub, err := shared.New(gnetio.New(gnetio.Config{Loops: 2}), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer hub.Close()
	puzzle := identity.Puzzle{}
	before := uint64(0)
	var all []*engine.Network
	for i := range warm + count {
		if i == warm {
			before = heapNow()
		}
		id, err := identity.Generate(t.Context(), puzzle, identity.GenerateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		n, err := engine.New(engine.Config{Transport: hub.Port(), Identity: id, Puzzle: &puzzle, WeakPuzzle: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	each := (heapNow() - before) / count
	t.Logf("%d B a Network", each)
	if each > most && !raceBuild {
		t.Errorf("a Network without peers costs %d B of heap, want at most %d", each, most)
	}
	for _, n := range all {
		if err := n.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

func heapNow() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
