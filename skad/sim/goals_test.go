package sim

import (
	"context"
	"errors"
	"math"
	"testing"
)

// TestGoals: all goals are reached in a small network; the larger ones are for p2pbench and bench.
func TestGoals(t *testing.T) {
	statistical(t)
	names := map[string]bool{}
	for _, g := range Goals() {
		if names[g.Name] || g.Name == "" || g.Says == "" {
			t.Errorf("%q: named twice, or without words", g.Name)
		}
		names[g.Name] = true
		if g.Name == "churn" || g.Name == "partition" || g.Name == "paper" || g.Name == "tree" { // other tests of this package make the same runs
			continue
		}
		checks, err := g.Run(context.Background(), 600, 21)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, c := range checks {
			if !c.OK() {
				t.Errorf("%s: %s is %v, want %s", g.Name, c.Figure, c.Got, c.Want())
			}
		}
		if len(checks) == 0 {
			t.Errorf("%s checks nothing", g.Name)
		}
	}
}

func TestChecks(t *testing.T) {
	inf := math.Inf(1)
	for _, tt := range []struct {
		check Check
		ok    bool
		want  string
	}{
		{Check{"", .99, .99, inf}, true, "at least 0.99"},
		{Check{"", .98, .99, inf}, false, "at least 0.99"},
		{Check{"", 20, -inf, 20}, true, "at most 20"},
		{Check{"", 20.1, -inf, 20}, false, "at most 20"},
		{Check{"", 3, 1, 10}, true, "1 to 10"},
		{Check{"", 0, 1, 10}, false, "1 to 10"},
		{Check{"", 1, 1, 1}, true, "1"},
		{Check{"", math.NaN(), 1, inf}, false, "at least 1"},
	} {
		if tt.check.OK() != tt.ok || tt.check.Want() != tt.want {
			t.Errorf("%+v: %v, %q", tt.check, tt.check.OK(), tt.check.Want())
		}
	}
}

func TestGoalsEndWithTheirContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, g := range Goals() {
		if checks, err := g.Run(ctx, 200, 1); !errors.Is(err, context.Canceled) || checks != nil {
			t.Errorf("%s: %d checks, %v", g.Name, len(checks), err)
		}
	}
}
