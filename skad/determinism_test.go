package skad

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"testing"
	"time"
)

// trace runs a world with joins, lookups, routes, deaths and returns the hash of every action of every core in order.
func trace(t *testing.T, seed uint64) [32]byte {
	h := sha256.New()
	w := &world{t: t, latency: 30 * time.Millisecond, nodes: map[ID]*node{}}
	rnd := newRand(seed)
	for i := range 60 {
		n := w.add(fakeContact(randomID(rnd), i), seed+uint64(i), nil)
		n.core.Bootstrap(w.now, []*Contact{w.order[0].core.Self()})
		w.take(n)
		w.run(300 * time.Millisecond)
	}
	for i := range 30 {
		n := w.order[rnd.IntN(60)]
		if n.down {
			continue
		}
		_, _ = n.core.Lookup(w.now, randomID(rnd), LookupOptions{})
		_, _ = n.core.Route(w.now, randomID(rnd), []byte{1}, 3)
		w.take(n)
		w.order[rnd.IntN(60)].down = i%5 == 0
		w.run(time.Duration(rnd.IntN(20)) * time.Second)
	}
	for _, n := range w.order {
		for _, a := range n.actions {
			fmt.Fprintln(h, a.Kind, a.Reason, a.Message.Route, a.Message.Copy)
			if a.Result != nil {
				fmt.Fprintln(h, a.Result.Took, a.Result.Asked, a.Result.Hops, a.Result.PathsOK)
				for _, d := range a.Result.Closest {
					fmt.Fprintln(h, d.ID)
				}
			}
		}
		_ = binary.Write(h, binary.LittleEndian, n.core.Stats())
		fmt.Fprintln(h, n.sent, n.core.Len(), n.core.Deadline())
		for _, d := range n.core.View().contacts {
			fmt.Fprintln(h, d.ID)
		}
	}
	return [32]byte(h.Sum(nil))
}

// TestSameSeedSameTrace: nothing is decided by the order of a map, an address in memory or the clock.
func TestSameSeedSameTrace(t *testing.T) {
	first := trace(t, 7)
	for range 3 {
		if again := trace(t, 7); again != first {
			t.Fatal("two runs from one seed differ")
		}
	}
	if trace(t, 8) == first {
		t.Error("the seed does not matter: the trace says nothing")
	}
}
