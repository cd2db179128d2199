package sim

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestLatencyDistribution: round trips between different sites have the wanted percentiles, are the same in
// both directions, and the neighbour of a neighbour tends to be near.
func TestLatencyDistribution(t *testing.T) {
	l := newLatency(rand.New(rand.NewPCG(7, 7)))
	var all []float64
	for a := range sites {
		for b := range a {
			if l.rtt[a*sites+b] != l.rtt[b*sites+a] {
				t.Fatalf("%d to %d is not as long as back", a, b)
			}
			all = append(all, float64(l.rtt[a*sites+b])*float64(latencyUnit)/float64(time.Millisecond))
		}
	}
	slices.Sort(all)
	for _, p := range []struct{ part, want float64 }{{.1, 90}, {.5, 165}, {.9, 255}, {.99, 330}} {
		if got := all[int(p.part*float64(len(all)))]; math.Abs(got-p.want) > 1 {
			t.Errorf("p%v is %v ms, want %v", 100*p.part, got, p.want)
		}
	}
	near, other := 0., 0.
	for a := range sites {
		b, c := nearestSite(l, a, -1), nearestSite(l, a, nearestSite(l, a, -1))
		near += float64(l.rtt[b*sites+c])
		other += float64(l.rtt[b*sites+(c+sites/2)%sites])
	}
	if near > .7*other {
		t.Errorf("two neighbours of one site are %v apart, strangers %v: this is no plane", near/sites, other/sites)
	}
}

func nearestSite(l *latency, a, but int) int {
	best := -1
	for b := range sites {
		if b != a && b != but && (best < 0 || l.rtt[a*sites+b] < l.rtt[a*sites+best]) {
			best = b
		}
	}
	return best
}

// TestOneWay: half a round trip, give or take the jitter.
func TestOneWay(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	l := newLatency(rnd)
	half := float64(l.rtt[3*sites+4]) * float64(latencyUnit) / 2
	least, most := math.Inf(1), 0.
	for range 2000 {
		d := float64(l.oneWay(3, 4, rnd.Float64()))
		least, most = min(least, d), max(most, d)
	}
	if least < half*(1-jitter)-1 || most > half*(1+jitter)+1 || most-least < half*jitter {
		t.Errorf("between %v and %v, half a round trip is %v", least, most, half)
	}
}
