package sim

import (
	"context"
	"fmt"
	"reflect"
	"runtime"
	"testing"
	"time"
)

// TestWorkersChangeNothing: every experiment has the same trace and the same figures whatever the number of workers and of processors is, where the shards may be apart and where they may not.
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

// TestCrowdedWindows: what a crew does in windows with hundreds of events is what one worker does, also if there is one processor for all of them.
func TestCrowdedWindows(t *testing.T) {
	run := func(workers, procs int) string {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
		w := newNetwork(t, Config{Nodes: 400, Seed: 3, Workers: workers})
		w.Fill()
		if err := w.run(context.Background(), 35*time.Second, never); err != nil {
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
