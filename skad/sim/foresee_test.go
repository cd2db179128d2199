package sim

import (
	"context"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/skad"
)

// TestForeseeingChangesNothing: a network in which memory is read ahead of every event does the same as one
// in which it never is, and something is read.
func TestForeseeingChangesNothing(t *testing.T) {
	run := func(foresee bool) *Network {
		w := newNetwork(t, Config{Nodes: 60, Seed: 4, Workers: 1})
		w.Fill()
		for w.now < 2*time.Minute {
			s := w.shards[0]
			at, ok := s.queue.next(skad.Never)
			if !ok {
				break
			}
			if w.now = at; foresee {
				s.look()
			}
			s.step()
		}
		return w
	}
	with, without := run(true), run(false)
	if with.TraceHash() != without.TraceHash() || with.Events() != without.Events() {
		t.Errorf("%d events with, %d without looking ahead, or not the same ones", with.Events(), without.Events())
	}
	if with.shards[0].foreseen == 0 || without.shards[0].foreseen != 0 {
		t.Errorf("what was read adds up to %d with, to %d without looking ahead", with.shards[0].foreseen, without.shards[0].foreseen)
	}
	if err := with.run(context.Background(), with.now+time.Minute, never); err != nil || with.now != without.now+time.Minute {
		t.Errorf("after another minute it is %v (%v)", with.now, err)
	}
}
