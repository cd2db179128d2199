package sim

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/carrier-p2p/carrier/skad/spread"
)

func broadcasts(t *testing.T, w *Network, plan BroadcastPlan) *Report {
	t.Helper()
	r, err := w.Broadcasts(context.Background(), plan)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestTree: with one delegate to a bucket and without faults every node gets every message exactly once, for
// as many messages as there are nodes, over half of log2 n hops.
func TestTree(t *testing.T) {
	statistical(t)
	const nodes = 1000
	r := broadcasts(t, field(t, "", Config{Nodes: nodes, Seed: 1}), BroadcastPlan{Broadcasts: 10, Beta: []int{1}, PushOnly: true})
	if *r.CoverageWorst != 1 || *r.Duplicates != 0 || *r.Control != 0 || math.Abs(*r.Payloads*nodes-(nodes-1)) > 1e-6 {
		t.Errorf("coverage %v, duplicates %v, control %v, payloads %v of %d", *r.CoverageWorst, *r.Duplicates, *r.Control, *r.Payloads*nodes, nodes-1)
	}
	if want := math.Log2(nodes) / 2; math.Abs(*r.HopsMean-want) > .2 {
		t.Errorf("%v hops, want %v", *r.HopsMean, want)
	}
}

// TestTreeLaw: what black holes and lost messages leave of the tree is what the law says.
func TestTreeLaw(t *testing.T) {
	statistical(t)
	for _, tt := range []struct{ share, loss float64 }{{.3, 0}, {0, .12}, {.2, .06}} {
		name := ""
		if tt.share > 0 {
			name = "blackhole"
		}
		w := field(t, name, Config{Nodes: 600, Seed: 2, Share: tt.share, Loss: tt.loss})
		r := broadcasts(t, w, BroadcastPlan{Broadcasts: 150, Beta: []int{1}, PushOnly: true})
		if math.Abs(*r.CoverageMean-*r.CoverageFormula) > .04 {
			t.Errorf("share %v, loss %v: %v are reached, the law says %v", tt.share, tt.loss, *r.CoverageMean, *r.CoverageFormula)
		}
	}
}

// TestBroadcastAmongBlackHoles: with 30 % of the nodes passing nothing on, the tapered tree alone reaches
// 99.3 % of the others, in the worst of ten 98.5 %, and with repair 99.98 %.
func TestBroadcastAmongBlackHoles(t *testing.T) {
	statistical(t)
	w := field(t, "blackhole", Config{Nodes: 1500, Seed: 3, Share: .3})
	push := broadcasts(t, w, BroadcastPlan{Broadcasts: 10, PushOnly: true})
	if *push.CoverageMean < .993 || *push.CoverageWorst < .985 || push.TimeToDeliver.P99 > 3.2 {
		t.Errorf("push: %v are reached, %v at worst, 99 %% after %v RTT", *push.CoverageMean, *push.CoverageWorst, push.TimeToDeliver.P99)
	}
	if r := broadcasts(t, w, BroadcastPlan{Broadcasts: 10}); *r.CoverageMean < .9998 {
		t.Errorf("with repair %v are reached", *r.CoverageMean)
	}
}

// TestBroadcastCosts: without faults everybody is reached at the cost that the taper promises.
func TestBroadcastCosts(t *testing.T) {
	statistical(t)
	w := field(t, "", Config{Nodes: 1500, Seed: 4})
	r := broadcasts(t, w, BroadcastPlan{Broadcasts: 4})
	if *r.CoverageWorst != 1 || *r.Duplicates > 5 || *r.Payloads > 6 || *r.Control > 10 || r.TimeToDeliver.P99 > 2.4 || r.TimeToLast.P99 > 3 {
		t.Errorf("coverage %v, duplicates %v, payloads %v, control %v, 99 %% after %v RTT, all after %v", *r.CoverageWorst, *r.Duplicates, *r.Payloads, *r.Control,
			r.TimeToDeliver.P99, r.TimeToLast.P99)
	}
}

// TestBroadcastAmongTheDead: nodes that cannot be reached are replaced, so even a tree without redundancy misses nobody.
func TestBroadcastAmongTheDead(t *testing.T) {
	statistical(t)
	r := broadcasts(t, field(t, "", Config{Nodes: 1000, Seed: 5, Dead: .3}), BroadcastPlan{Broadcasts: 5, Beta: []int{1}, PushOnly: true})
	if *r.CoverageWorst != 1 || *r.Payloads > 1.8 || r.CoverageFormula != nil {
		t.Errorf("coverage %v with %v payloads", *r.CoverageWorst, *r.Payloads)
	}
}

// TestInflatorsCostNothing: nobody can give others more to do than the tree does, and their share of the work is done by others.
func TestInflatorsCostNothing(t *testing.T) {
	statistical(t)
	plan := BroadcastPlan{Broadcasts: 4}
	usual := broadcasts(t, field(t, "", Config{Nodes: 1000, Seed: 6}), plan)
	r := broadcasts(t, field(t, "inflator", Config{Nodes: 1000, Seed: 6, Share: .05}), plan)
	if *r.Payloads > 1.2**usual.Payloads || *r.CoverageWorst < .999 {
		t.Errorf("%v payloads instead of %v, %v are reached", *r.Payloads, *usual.Payloads, *r.CoverageWorst)
	}
}

// TestBroadcastsThatMakeNoSense are refused.
func TestBroadcastsThatMakeNoSense(t *testing.T) {
	w := field(t, "", Config{Nodes: 4})
	for _, p := range []BroadcastPlan{{Broadcasts: -1}, {Size: -1}, {Size: 1 << 20}} {
		if _, err := w.Broadcasts(context.Background(), p); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: %v", p, err)
		}
	}
	if _, err := w.Broadcasts(context.Background(), BroadcastPlan{Beta: []int{-3}}); !errors.Is(err, spread.ErrConfig) {
		t.Errorf("beta -3: %v", err)
	}
}
