package sim

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/carrier-p2p/carrier/skad"
)

// TestRoutes: without adversary everything arrives, over about as many hops as the law says; where a fifth of
// the nodes takes messages over and drops them, the share that arrives is that of the law of disjoint paths,
// and eight copies reach everybody.
func TestRoutes(t *testing.T) {
	statistical(t)
	const nodes, count = 1500, 1000
	routes := func(w *Network, copies int) *Report {
		r, err := w.Routes(context.Background(), RoutePlan{Routes: count, Copies: copies})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	quiet, bad := field(t, "", Config{Nodes: nodes, Seed: 1}), field(t, "dropper", Config{Nodes: nodes, Seed: 1, Share: .2})
	for _, tt := range []struct {
		copies int
		least  float64
	}{{1, 0}, {4, .97}, {8, .995}} {
		still := routes(quiet, tt.copies)
		if *still.Success != 1 {
			t.Errorf("%d copies: without adversary %v arrive", tt.copies, *still.Success)
		}
		mean, n := 0., 0.
		for i, c := range still.PathLengths {
			mean, n = mean+float64((i+1)*c), n+float64(c)
		}
		if hops := mean / n; tt.copies == 1 && math.Abs(hops-ContactsLaw(nodes, 16)) > .5 {
			t.Errorf("%v hops, the law says %v", hops, ContactsLaw(nodes, 16))
		}
		law := PathLaw(still.PathLengths, .2, tt.copies)
		r := routes(bad, tt.copies)
		if math.Abs(*r.Success-law) > .03+2*math.Sqrt(law*(1-law)/count) || *r.Success < tt.least {
			t.Errorf("%d copies: %v arrive, the law says %v, at least %v are wanted", tt.copies, *r.Success, law, tt.least)
		}
	}
}

// TestRoutesThatMakeNoSense are refused.
func TestRoutesThatMakeNoSense(t *testing.T) {
	w := field(t, "", Config{Nodes: 4})
	if _, err := w.Routes(context.Background(), RoutePlan{Routes: -1}); !errors.Is(err, ErrConfig) {
		t.Errorf("-1 messages: %v", err)
	}
	if _, err := w.Routes(context.Background(), RoutePlan{Copies: 99}); !errors.Is(err, skad.ErrOptions) {
		t.Errorf("99 copies: %v", err)
	}
}
