package stats_test

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/carrier-p2p/carrier/bench/stats"
)

// Medians of odd, even and no numbers, of slices that stay as they are.
func TestMedian(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 4}, 4}, {[]float64{4, 1, 2, 9}, 3}} {
		before := slices.Clone(test.values)
		if got := stats.Median(test.values); got != test.want || !slices.Equal(before, test.values) {
			t.Errorf("%v: %v, want %v of %v", test.values, got, test.want, before)
		}
	}
}

// Probabilities that can be counted by hand: of n and m values all on one side, 2 of (n+m over n) orders are so far apart.
func TestMannWhitneyExact(t *testing.T) {
	for _, test := range []struct {
		a, b []float64
		want float64
	}{
		{nil, []float64{1}, 1}, {[]float64{1}, nil, 1}, {[]float64{1}, []float64{2}, 1},
		{[]float64{1, 2, 3}, []float64{4, 5, 6}, 2.0 / 20},
		{[]float64{1, 2, 3, 4, 5}, []float64{6, 7, 8, 9, 10}, 2.0 / 252},
		{[]float64{10, 9, 8, 7, 6}, []float64{5, 4, 3, 2, 1}, 2.0 / 252},
		{[]float64{1, 2, 3, 4, 6}, []float64{5, 7, 8, 9, 10}, 4.0 / 252},
		{[]float64{1, 4}, []float64{2, 3}, 1},
		{[]float64{1, 2}, []float64{3, 4, 5}, 2.0 / 10},
		{[]float64{5, 5, 5}, []float64{5, 5, 5}, 1}, // ties only: nothing to see
	} {
		if got := stats.MannWhitney(test.a, test.b); math.Abs(got-test.want) > 1e-12 {
			t.Errorf("%v, %v: p %v, want %v", test.a, test.b, got, test.want)
		}
	}
}

// law: p is a probability, the same whichever set comes first and however the values are ordered or stretched.
func TestMannWhitneyLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-100, 100), 1, 30)
		a, b := values.Draw(t, "a"), values.Draw(t, "b")
		p := stats.MannWhitney(a, b)
		if !(p > 0 && p <= 1) {
			t.Fatalf("p %v", p)
		}
		if q := stats.MannWhitney(b, a); math.Abs(p-q) > 1e-9 {
			t.Fatalf("p %v one way and %v the other", p, q)
		}
		scale := func(v []float64) (out []float64) {
			for _, x := range v {
				out = append(out, 2*x) // exact: order and ties stay
			}
			slices.Reverse(out)
			return out
		}
		if q := stats.MannWhitney(scale(a), scale(b)); math.Abs(p-q) > 1e-9 {
			t.Fatalf("p %v, of doubled values %v", p, q)
		}
	})
}

// The exact distribution and the approximation agree where both apply: 20 values are counted, 21 approximated.
func TestMannWhitneyApproximation(t *testing.T) {
	of := func(n int, shift float64) (a, b []float64) {
		for i := range n {
			a = append(a, float64(i))
			b = append(b, float64(i)+shift+0.5)
		}
		return a, b
	}
	for _, shift := range []float64{0, 2, 5} {
		exact, approximate := stats.MannWhitney(of(20, shift)), stats.MannWhitney(of(21, shift*21/20))
		if math.Abs(exact-approximate) > 0.02 {
			t.Errorf("shift %v: %v of 20, %v of 21", shift, exact, approximate)
		}
	}
}

// A slope among outliers, none in noise, none in what never changes.
func TestTrend(t *testing.T) {
	rising := []float64{1, 2, 3, 400, 5, 6, 7, 8, 9, 10}
	if slope, p := stats.Trend(rising); math.Abs(slope-1) > 0.2 || p > 0.01 {
		t.Errorf("rising: slope %v, p %v", slope, p)
	}
	falling := slices.Clone(rising)
	slices.Reverse(falling)
	if slope, p := stats.Trend(falling); math.Abs(slope+1) > 0.2 || p > 0.01 {
		t.Errorf("falling: slope %v, p %v", slope, p)
	}
	if slope, p := stats.Trend([]float64{5, 9, 1, 7, 3, 8, 2, 6, 4, 5}); p < 0.3 || math.Abs(slope) > 0.5 {
		t.Errorf("noise: slope %v, p %v", slope, p)
	}
	for _, level := range [][]float64{nil, {1}, {1, 2}, {4, 4, 4, 4, 4, 4}} {
		if _, p := stats.Trend(level); p != 1 {
			t.Errorf("%v: p %v, want 1", level, p)
		}
	}
}
