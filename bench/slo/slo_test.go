package slo_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/carrier-p2p/carrier/bench/load"
	"github.com/carrier-p2p/carrier/bench/slo"
)

// Rules as people type them, and what is refused with a reason.
func TestParse(t *testing.T) {
	for _, test := range []struct {
		text string
		want slo.Rules
	}{
		{"p99<2ms", slo.Rules{{"p99", "<", 2000}}},
		{" p99.9 <= 1.5s , errors<0.1%,unsent<0.01", slo.Rules{{"p99.9", "<=", 1.5e6}, {"errors", "<", 0.001}, {"unsent", "<", 0.01}}},
		{"rate>=10k,service-max<900ns", slo.Rules{{"rate", ">=", 10_000}, {"service-max", "<", 0.9}}},
		{"heap-B/conn<=1200,cpu-s/million<3,requests/s>1.5M", slo.Rules{{"heap-B/conn", "<=", 1200}, {"cpu-s/million", "<", 3}, {"requests/s", ">", 1.5e6}}},
	} {
		got, err := slo.Parse(test.text)
		if err != nil || cmp.Diff(test.want, got, cmp.Comparer(near)) != "" {
			t.Errorf("%q: %v, %v; want %v", test.text, got, err, test.want)
		}
	}
	for _, test := range []struct{ text, reason string }{
		{"", "compares nothing"}, {"p99", "compares nothing"}, {"p99<", "a time such as"}, {"p99<2", "a time such as"}, {"p99<-2ms", "a time such as"},
		{"p98<2ms", "no measure"}, {"<2ms", "no measure"}, {"p99=2ms", "compares nothing"}, {"p99<<2ms", "a time"}, {"p99<2ms,", "compares nothing"},
		{"errors<101%", "a share"}, {"errors<1ms", "a share"}, {"rate>fast", "a number"}, {"rate>NaN", "a number"}, {"rate>Inf", "a number"},
		{"service-rate>1", "no measure"}, {"p50-us<5", "no measure"}, {strings.Repeat("p99<1s,", 40) + "p99<1s", "at most 32"},
	} {
		if _, err := slo.Parse(test.text); !errors.Is(err, slo.ErrRule) || !strings.Contains(err.Error(), test.reason) {
			t.Errorf("%q: %v, want ErrRule that mentions %q", test.text, err, test.reason)
		}
	}
}

func near(a, b float64) bool { return a == b || a/b > 1-1e-12 && a/b < 1+1e-12 }

// law: rules that are read and written read the same again.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"p99<2ms", "errors<=0.1%,rate>10k", "p99<1e-9ns", "heap-B/conn>0", ",", "p99<0x1p-2us"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := slo.Parse(text)
		if err != nil {
			if !errors.Is(err, slo.ErrRule) {
				t.Fatalf("%v is no ErrRule", err)
			}
			return
		}
		again, err := slo.Parse(rules.String())
		if err != nil || cmp.Diff(rules, again) != "" {
			t.Fatalf("%q reads as %v, written as %q reads as %v, %v", text, rules, rules.String(), again, err)
		}
	})
}

// Rules are held against medians; what some run did not measure meets none.
func TestCheck(t *testing.T) {
	run := func(p99, rate float64) *load.Result {
		return &load.Result{
			Scenario: load.RPC, Seconds: 1, Messages: 990, MessagesPerSecond: rate, Planned: 1000, Unsent: 5, Late: 20, Errors: map[string]uint64{"call": 10},
			LatencyMicros: &load.Latency{P99: p99, Max: 10 * p99}, CPUPerMillion: 3, Server: &load.Side{},
		}
	}
	for _, test := range []struct {
		rules string
		runs  []*load.Result
		want  []string // breaches; empty: met
	}{
		{"p99<2ms", []*load.Result{run(1999, 1)}, nil}, {"p99<2ms", []*load.Result{run(2000, 1)}, []string{"p99<2ms: 2 ms"}},
		{"p99<=2ms,max<=20ms", []*load.Result{run(2000, 1)}, nil},
		{"p99<2ms", []*load.Result{run(1, 1), run(1, 1), run(9e6, 1)}, nil}, {"p99<2ms", []*load.Result{run(1, 1), run(9e6, 1), run(9e6, 1)}, []string{"p99<2ms: 9 s"}},
		{"rate>10", []*load.Result{run(1, 10)}, []string{"rate>10: 10.0"}}, {"rate>=10", []*load.Result{run(1, 10)}, nil}, {"requests/s>=10", []*load.Result{run(1, 10)}, nil},
		{"errors<1%", []*load.Result{run(1, 1)}, []string{"errors<1%: 1 %"}}, {"errors<=1%,late<=2%,unsent<=0.5%", []*load.Result{run(1, 1)}, nil},
		{"late<2%", []*load.Result{run(1, 1)}, []string{"late<2%: 2 %"}}, {"cpu-s/million<=3", []*load.Result{run(1, 1)}, nil},
		{"service-p99<1s", []*load.Result{run(1, 1)}, []string{"service-p99<1s: not measured"}},
		{"heap-B/conn<1k", []*load.Result{run(1, 1)}, []string{"heap-B/conn<1k: not measured"}},
		{"p99<2ms", nil, []string{"p99<2ms: not measured"}}, {"p99<2ms", []*load.Result{run(1, 1), {Scenario: load.RPC}}, []string{"p99<2ms: not measured"}},
		{"errors<1%,unsent<1%", []*load.Result{{}}, []string{"errors<1%: not measured", "unsent<1%: not measured"}},
	} {
		rules, err := slo.Parse(test.rules)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, b := range rules.Check(test.runs...) {
			got = append(got, b.String())
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", test.rules, diff)
		}
	}
}

// law: of whatever limit, a search ends, and what it finds is met, and no farther below the limit than its precision.
func TestSearchFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Float64Range(0, 1e6).Draw(t, "limit")
		start := rapid.Float64Range(1, 1e6).Draw(t, "start")
		s := slo.NewSearch(start, 0.05)
		tries := 0
		for rate, ok := s.Next(); ok; rate, ok = s.Next() {
			if tries++; tries > 60 {
				t.Fatal("a search without an end")
			}
			s.Tell(rate <= limit)
		}
		best := s.Best()
		if best > limit {
			t.Fatalf("found %v beyond the limit of %v", best, limit)
		}
		if limit >= 1 && best < limit/1.05-1 {
			t.Fatalf("found %v, and %v is met", best, limit)
		}
	})
}

// A rate that was met by luck is tried again and given up, one that failed by bad luck gets another run, and if nothing holds,
// nothing is found.
func TestSearchConfirms(t *testing.T) {
	lucky := slo.NewSearch(1000, 0.05)
	seen := map[float64]int{}
	for rate, ok := lucky.Next(); ok; rate, ok = lucky.Next() {
		seen[rate]++
		lucky.Tell(rate <= 3000 || rate < 5000 && seen[rate] == 1) // up to 5000 it works once
	}
	if best := lucky.Best(); best > 3000 || best < 1500 || seen[best] < 2 {
		t.Errorf("found %v in %v", best, seen)
	}
	unlucky, runs := slo.NewSearch(1000, 0.05), 0
	for rate, ok := unlucky.Next(); ok; rate, ok = unlucky.Next() {
		runs++
		unlucky.Tell(rate <= 3000 && runs%3 != 0) // every third run fails whatever the rate
	}
	if best := unlucky.Best(); best > 3000 || best < 2500 {
		t.Errorf("with bad luck found %v", best)
	}
	never := slo.NewSearch(1000, 0.05)
	for _, ok := never.Next(); ok; _, ok = never.Next() {
		never.Tell(false)
	}
	if never.Best() != 0 {
		t.Errorf("found %v where nothing is met", never.Best())
	}
	always := slo.NewSearch(1, 0.05)
	for _, ok := always.Next(); ok; _, ok = always.Next() {
		always.Tell(true)
	}
	if always.Best() != 0 {
		t.Errorf("found %v in a search that was given up", always.Best())
	}
}
