package sim

import (
	"context"
	"math"
	"testing"
)

// A field is a filled network to look up in.
func field(t *testing.T, name string, cfg Config) *Network {
	t.Helper()
	if name != "" {
		a, err := AdversaryNamed(name)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Adversary = a
	}
	cfg.Still = true
	w := newNetwork(t, cfg)
	w.Fill()
	return w
}

func lookups(t *testing.T, w *Network, plan LookupPlan) *Report {
	t.Helper()
	r, err := w.Lookups(context.Background(), plan)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// statistical marks a test of figures, in one goroutine: the race detector would find nothing in it, slowly.
func statistical(t *testing.T) {
	t.Helper()
	if raceEnabled || testing.Short() {
		t.Skip("figures")
	}
}

// TestPaper: with the adversary of the paper the share of lookups that succeed is what the paper's law says, for every number of disjoint paths; at a fifth of the nodes
// eight paths succeed in 99 of 100. The tolerance is that of the acceptance table and twice the standard deviation of so few lookups.
func TestPaper(t *testing.T) {
	statistical(t)
	const nodes, count = 2000, 1000
	quiet := field(t, "", Config{Nodes: nodes, Eta: 5, Seed: 1})
	law := map[int][]int{}
	for _, d := range []int{1, 2, 4, 8} {
		r := lookups(t, quiet, LookupPlan{Lookups: count, Paths: d, Classic: true})
		if *r.Success != 1 {
			t.Errorf("d=%d: without adversary %v succeed", d, *r.Success)
		}
		law[d] = r.PathLengths
	}
	for _, m := range []float64{.2, .3} {
		w := field(t, "paper", Config{Nodes: nodes, Eta: 5, Seed: 2, Share: m})
		for _, d := range []int{1, 2, 4, 8} {
			r := lookups(t, w, LookupPlan{Lookups: count, Paths: d, Classic: true})
			p := PathLaw(law[d], m, d)
			if diff := *r.Success - p; math.Abs(diff) > .02+2*math.Sqrt(p*(1-p)/count) {
				t.Errorf("d=%d m=%v: %v succeed, the law says %v", d, m, *r.Success, p)
			}
			if d == 8 && *r.Success < map[float64]float64{.2: .99, .3: .985}[m] {
				t.Errorf("d=8 m=%v: %v succeed", m, *r.Success)
			}
		}
	}
}

// TestSmallBucketsAreWorse: the paper's second setup, k = 2d, has longer paths and fewer successes.
func TestSmallBucketsAreWorse(t *testing.T) {
	statistical(t)
	plan := LookupPlan{Lookups: 1500, Paths: 2, Classic: true}
	small := lookups(t, field(t, "paper", Config{Nodes: 2000, K: 4, Eta: 5, Seed: 3, Share: .3}), plan)
	large := lookups(t, field(t, "paper", Config{Nodes: 2000, K: 16, Eta: 5, Seed: 3, Share: .3}), plan)
	if *small.Success > *large.Success-.02 {
		t.Errorf("k=4: %v, k=16: %v", *small.Success, *large.Success)
	}
}
