package sim

import (
	"context"
	"math"
	"testing"

	"github.com/carrier-p2p/carrier/skad"
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

// TestPaper: with the adversary of the paper the share of lookups that succeed is what the paper's law says,
// for every number of disjoint paths; at a fifth of the nodes eight paths succeed in 99 of 100. The tolerance
// is that of the acceptance table and twice the standard deviation of so few lookups.
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

// patient fails a test of lookups if cores give up on contacts that are there and answer at the speed of the
// network: then what is found says more about time-outs than about what the test is for.
func patient(t *testing.T) {
	t.Helper()
	w := field(t, "", Config{Nodes: 500, Seed: 10})
	lookups(t, w, LookupPlan{Lookups: 200})
	asked, missed := uint64(0), uint64(0)
	for _, n := range w.nodes {
		st := n.core.Stats()
		asked, missed = asked+st.Asked, missed+st.Missed
	}
	if share := float64(missed) / float64(asked); share > .0001 {
		t.Fatalf("without faults %.2f %% of all questions time out before their answer comes", 100*share)
	}
}

// TestAdversariesOfRealLookups: what the model of the paper leaves open. Silence costs questions and no
// success; colluders who know everything hide no honest sibling from eight paths; forged addresses hide
// nobody as long as records are signed, and many nodes when they are not, which shows that the forger is one.
func TestAdversariesOfRealLookups(t *testing.T) {
	statistical(t)
	patient(t)
	for _, tt := range []struct {
		adversary           string
		share               float64
		unsigned            bool
		paths, width, count int
		least, most         float64 // success
		siblings            float64 // at least
	}{
		{"", 0, false, 1, 16, 400, 1, 1, 1},
		{"", 0, false, 8, 2, 400, 1, 1, 1},
		{"dropper", .5, false, 1, 16, 400, .999, 1, .99},
		{"colluder", .2, false, 8, 2, 400, .995, 1, .995},
		{"colluder", .3, false, 8, 2, 400, .99, 1, .99},
		{"poisoner", .3, false, 8, 2, 400, .99, 1, .99},
		{"forger", .2, false, 4, 4, 400, .999, 1, .99},
		{"forger", .2, true, 4, 4, 400, 0, .8, 0}, // .7 with ten thousand nodes: here more targets are in the asker's own table
		{"slow", .2, false, 8, 2, 400, .995, 1, .99},
	} {
		w := field(t, tt.adversary, Config{Nodes: 1000, Seed: 7, Share: tt.share, Unsigned: tt.unsigned})
		r := lookups(t, w, LookupPlan{Lookups: tt.count, Paths: tt.paths, Width: tt.width})
		if *r.Success < tt.least || *r.Success > tt.most || *r.SiblingsFound < tt.siblings {
			t.Errorf("%+v: success %v, siblings found %v", tt, *r.Success, *r.SiblingsFound)
		}
	}
}

// TestSybilsAreNoticed: 16 nodes that crowd around a key are more than the density of the network allows, and
// the result of nearly every lookup for that key says so; without them no lookup is suspected.
func TestSybilsAreNoticed(t *testing.T) {
	statistical(t)
	patient(t)
	r := lookups(t, field(t, "sybil", Config{Nodes: 2000, Seed: 12}), LookupPlan{Lookups: 500})
	if *r.DensityAlarms < .99 {
		t.Errorf("%v of the lookups are suspected", *r.DensityAlarms)
	}
	if r := lookups(t, field(t, "", Config{Nodes: 2000, Seed: 12}), LookupPlan{Lookups: 1000}); *r.DensityAlarms > .001 {
		t.Errorf("%v of the lookups are suspected without a reason", *r.DensityAlarms)
	}
}

// TestFlood: who owns one subnet gets as many of its nodes into a table and a sibling list as the limits
// allow one subnet, some and not more, however many call and however often.
func TestFlood(t *testing.T) {
	statistical(t)
	r := lookups(t, field(t, "flooder", Config{Nodes: 150, Seed: 13}), LookupPlan{Lookups: 300})
	if *r.StraysInTable < 3 || *r.StraysInTable > 10 || *r.StraysInSiblings > 2 {
		t.Errorf("%d strays in a table, %d in a sibling list", *r.StraysInTable, *r.StraysInSiblings)
	}
	patient(t)
	if *r.Success < .99 {
		t.Errorf("%v of the lookups succeed", *r.Success)
	}
}

// TestEclipse (A11): nodes that start again while 2000 strangers of as many subnets call them keep at least
// half of the table they had, and find whom they look for.
func TestEclipse(t *testing.T) {
	statistical(t)
	patient(t)
	r := lookups(t, field(t, "eclipse", Config{Nodes: 1000, Seed: 14}), LookupPlan{Lookups: 200})
	if *r.TableKept < .5 || *r.TableKept == 1 { // 1: nobody has called
		t.Errorf("%v of a table is from before the restart", *r.TableKept)
	}
	if *r.Success < .99 || *r.SiblingsFound < .99 {
		t.Errorf("success %v, siblings found %v", *r.Success, *r.SiblingsFound)
	}
}

// TestLookupTimes: without faults one path with three questions open knows its target after a round trip and a half.
func TestLookupTimes(t *testing.T) {
	statistical(t)
	patient(t)
	w := field(t, "", Config{Nodes: 1000, Seed: 11})
	r := lookups(t, w, LookupPlan{Lookups: 600, Paths: 1, Width: 16, Alpha: 3})
	if *r.Success != 1 || r.TimeToTarget.P50 > 1.5 || r.TimeToTarget.P99 > 3.3 {
		t.Errorf("success %v, after %+v RTT", *r.Success, *r.TimeToTarget)
	}
}

// TestLookupCosts: without faults a lookup asks as many contacts as the design promises, and is at its target
// after as many as the law says.
func TestLookupCosts(t *testing.T) {
	statistical(t)
	const nodes = 1000
	w := field(t, "", Config{Nodes: nodes, Seed: 8})
	for _, tt := range []struct {
		paths, width int
		most         float64
	}{{1, 16, 20}, {4, 4, 26}, {8, 2, 34}, {8, 4, 52}} {
		r := lookups(t, w, LookupPlan{Lookups: 300, Paths: tt.paths, Width: tt.width})
		if *r.RPCsMean > tt.most || *r.RPCsMean < 16 {
			t.Errorf("d=%d w=%d: %v questions, at most %v are wanted", tt.paths, tt.width, *r.RPCsMean, tt.most)
		}
		if law := ContactsLaw(nodes, 16); *r.ContactsMean > law+.5 || *r.ContactsMean < law-.3 {
			t.Errorf("d=%d w=%d: %v contacts to the target, the law says %v", tt.paths, tt.width, *r.ContactsMean, law)
		}
	}
}

// TestDeadEntries: with a third of everybody's contacts gone, lookups find everybody.
func TestDeadEntries(t *testing.T) {
	statistical(t)
	patient(t)
	w := field(t, "", Config{Nodes: 1000, Seed: 9, Dead: .3})
	if r := lookups(t, w, LookupPlan{Lookups: 400, Paths: 4, Alpha: 2}); *r.Success < .9995 || r.TimeToTarget.P99 > 4 {
		t.Errorf("success %v, 99 %% of the targets known after %v RTT", *r.Success, r.TimeToTarget.P99)
	}
}

// TestPathsAreJudged: a path's length is how many it asked until it knew the target, and it is clean if none
// of those was the adversary's.
func TestPathsAreJudged(t *testing.T) {
	w := newNetwork(t, Config{Nodes: 4})
	n := func(i int) *skad.Contact { return w.nodes[i].contact }
	w.nodes[0].evil = dropper{}
	q := &quest{key: n(3).ID, told: []*Node{w.nodes[1]}}
	for _, tt := range []struct {
		asked  []*skad.Contact
		length int
		clean  bool
	}{
		{[]*skad.Contact{n(1)}, 1, true},
		{[]*skad.Contact{n(2), n(1), n(0)}, 2, true},
		{[]*skad.Contact{n(0), n(1)}, 2, false},
		{[]*skad.Contact{n(2)}, -1, false},
		{[]*skad.Contact{n(2), n(3)}, 1, true}, // it is the target itself
		{[]*skad.Contact{n(3)}, 0, true},
		{nil, -1, false},
	} {
		lengths, clean := q.lengths(w, &skad.Result{Paths: []skad.PathResult{{Asked: tt.asked}}})
		if lengths[0] != tt.length || clean[0] != tt.clean {
			t.Errorf("%v: length %d, clean %v", tt, lengths[0], clean[0])
		}
	}
}

// TestAsManyLookupsAsWanted: lookups that end in one window do not begin more than are wanted, and none is
// left to the next experiment.
func TestAsManyLookupsAsWanted(t *testing.T) {
	w := newNetwork(t, Config{Nodes: 500, Seed: 1, Still: true})
	w.Fill()
	for _, count := range []int{1, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80} {
		r := lookups(t, w, LookupPlan{Lookups: count})
		open := 0
		for _, n := range w.nodes {
			if n.quest != nil {
				open++
			}
		}
		if r.Lookups != count || open > 0 {
			t.Errorf("%d lookups and %d under way, want %d and none", r.Lookups, open, count)
		}
	}
}
