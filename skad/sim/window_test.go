package sim

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/skad"
)

// TestWorkersChangeNothing: every experiment has the same trace and the same figures whatever the number of
// workers and of processors is, where the shards may be apart and where they may not.
func TestWorkersChangeNothing(t *testing.T) {
	ctx := context.Background()
	for _, tt := range []struct {
		name string
		cfg  Config
		run  func(w *Network) (*Report, error)
	}{
		{"churn", Config{Nodes: 150, Loss: .01, Clients: .1}, func(w *Network) (*Report, error) {
			w.Fill()
			return w.Churn(ctx, ChurnPlan{Mean: 300 * time.Second, Warm: time.Minute, For: time.Minute, Every: 10 * time.Second})
		}},
		{"lookups", Config{Nodes: 300, Dead: .1}, func(w *Network) (*Report, error) {
			w.Fill()
			return w.Lookups(ctx, LookupPlan{Lookups: 200})
		}},
		{"joins", Config{Nodes: 60}, func(w *Network) (*Report, error) {
			return w.Joins(ctx, JoinPlan{Over: time.Minute, Wait: time.Minute})
		}},
		{"partition", Config{Nodes: 60}, func(w *Network) (*Report, error) {
			w.Fill()
			return w.Partition(ctx, PartitionPlan{Warm: time.Minute, For: time.Minute, Wait: 2 * time.Minute})
		}},
		{"colluders", Config{Nodes: 200, Share: .2, Adversary: colluder{}}, func(w *Network) (*Report, error) {
			w.Fill()
			return w.Lookups(ctx, LookupPlan{Lookups: 60})
		}},
		{"homes", Config{Nodes: 60, Homes: .3}, func(w *Network) (*Report, error) {
			return w.Joins(ctx, JoinPlan{Over: time.Minute, Wait: time.Minute})
		}},
		{"routes and lookups", Config{Nodes: 100}, func(w *Network) (*Report, error) {
			w.Fill()
			if _, err := w.Routes(ctx, RoutePlan{Routes: 50, Copies: 2}); err != nil {
				return nil, err
			}
			return w.Lookups(ctx, LookupPlan{Lookups: 50})
		}},
		{"broadcasts and lookups", Config{Nodes: 100, Loss: .02}, func(w *Network) (*Report, error) {
			w.Fill()
			if _, err := w.Broadcasts(ctx, BroadcastPlan{Broadcasts: 2}); err != nil {
				return nil, err
			}
			return w.Lookups(ctx, LookupPlan{Lookups: 50})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var first *Report
			for _, workers := range []int{1, 2, 4, 7} {
				tt.cfg.Seed, tt.cfg.Workers = 9, workers
				r, err := tt.run(newNetwork(t, tt.cfg))
				if err != nil {
					t.Fatal(err)
				}
				if first == nil {
					first = r
				}
				if !reflect.DeepEqual(r, first) {
					t.Errorf("%d workers: %+v\n1 worker: %+v", workers, *r, *first)
				}
			}
			if first.Events < 1000 {
				t.Errorf("only %d events", first.Events)
			}
		})
	}
}

// TestCrowdedWindows: what a crew does in windows with hundreds of events is what one worker does, also if
// there is one processor for all of them.
func TestCrowdedWindows(t *testing.T) {
	run := func(workers, procs int) string {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
		w := newNetwork(t, Config{Nodes: 400, Seed: 3, Workers: workers})
		w.Fill()
		everybodyAsks(t, w)
		if err := w.run(context.Background(), 500*time.Millisecond, never); err != nil {
			t.Fatal(err)
		}
		if !w.busy {
			t.Fatal("the windows are not worth sharing")
		}
		return fmt.Sprint(w.Events(), w.TraceHash())
	}
	alone := run(1, 1)
	for _, c := range []struct{ workers, procs int }{{2, 2}, {4, 4}, {4, 1}} {
		if got := run(c.workers, c.procs); got != alone {
			t.Errorf("%d workers on %d processors: %v, one alone %v", c.workers, c.procs, got, alone)
		}
	}
}

// everybodyAsks has every node look for the same one.
func everybodyAsks(t *testing.T, w *Network) {
	t.Helper()
	for _, n := range w.nodes {
		if _, err := n.core.Lookup(w.now, w.nodes[7].ID(), skad.LookupOptions{}); err != nil {
			t.Fatal(err)
		}
		w.settle(n)
	}
}

// TestHandsAreToldInOrder: an experiment hears of what happened in a window by time, whichever shard it was in.
func TestHandsAreToldInOrder(t *testing.T) {
	type said struct {
		at   time.Duration
		node uint32
	}
	run := func(workers int) (heard []said) {
		w := newNetwork(t, Config{Nodes: 200, Seed: 3, Workers: workers})
		w.Fill()
		w.atHand = func(at time.Duration, n *Node, a skad.Action) { heard = append(heard, said{at, n.index}) }
		everybodyAsks(t, w)
		if err := w.run(context.Background(), 10*time.Second, never); err != nil {
			t.Fatal(err)
		}
		return heard
	}
	alone := run(1)
	if len(alone) < 200 || !slices.IsSortedFunc(alone, func(a, b said) int { return cmp.Compare(a.at, b.at) }) {
		t.Errorf("one worker: %d lookups have ended, or not by time", len(alone))
	}
	if three := run(3); !slices.Equal(alone, three) {
		t.Errorf("three workers: %v\none: %v", three, alone)
	}
}

// TestGate: a gate that is open lets one pass, whether somebody waits already or comes later, watched or not.
func TestGate(t *testing.T) {
	for _, watch := range []bool{false, true} {
		there, back := newGate(watch), newGate(watch)
		passed := 0 // guarded by the gates
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 1000 {
				there.pass()
				passed++
				back.open()
			}
		}()
		for i := range 1000 {
			there.open()
			back.pass()
			if passed != i+1 {
				t.Fatalf("watched %v: passed %d times, want %d", watch, passed, i+1)
			}
		}
		<-done
		if there.state.Load() != shut || back.state.Load() != shut {
			t.Errorf("watched %v: a gate stays open", watch)
		}
	}
}

// TestPatience: who looks in vain looks for half as long the next time, down to a sixteenth, and who does not
// for as long as ever again.
func TestPatience(t *testing.T) {
	g := newGate(true)
	for _, want := range []int{gatePatience / 2, gatePatience / 4, gatePatience / 8, gateImpatience, gateImpatience} {
		if g.look(); g.patience != want {
			t.Fatalf("patience is %d, want %d", g.patience, want)
		}
	}
	g.open()
	if g.pass(); g.patience != gatePatience {
		t.Errorf("after a gate that was open patience is %d, want %d", g.patience, gatePatience)
	}
}

// BenchmarkWorkers runs a network of 10,000 nodes at rest; an operation is an event.
func BenchmarkWorkers(b *testing.B) {
	for _, workers := range []int{1, 2, 4} {
		b.Run(fmt.Sprint(workers), func(b *testing.B) {
			w, err := New(Config{Nodes: 10_000, Seed: 1, Workers: workers})
			if err != nil {
				b.Fatal(err)
			}
			w.Fill()
			b.ResetTimer()
			until := w.Events() + uint64(b.N)
			if err := w.run(context.Background(), skad.Never, func() bool { return w.Events() >= until }); err != nil {
				b.Fatal(err)
			}
		})
	}
}
