package sim

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// sites is how many places there are in the world. A node is at one of them.
const sites = 256

// MedianRTT is the median round trip of the latency model, the unit in which spans are reported.
const MedianRTT = 165 * time.Millisecond

// roundTrips is the distribution of round trips between two sites, in milliseconds: what was measured between
// hosts of the Internet for such simulations, in four points, with ends that nobody has measured.
var roundTrips = [...]struct{ part, millis float64 }{{0, 20}, {.1, 90}, {.5, 165}, {.9, 255}, {.99, 330}, {1, 450}}

// sameSite is the round trip between two nodes at one site.
const sameSite = 10 * time.Millisecond

// jitter is how much of a delay is left to chance: from nothing to this part of it, on top and below.
const jitter = .05

// A latency is a matrix of round trips between sites in units of 100 us. Sites lie on a plane, so that who is
// near one of two neighbours is near the other; the distances, with some disorder, are then replaced by round
// trips of the same rank, so that the distribution is the wanted one exactly.
type latency struct {
	rtt      [sites * sites]uint16
	delays   Delays
	shortest time.Duration // between two different sites, one way
}

// Delays are how long messages take where all of them go the same way: Least, and what is left to chance, exponential, as
// waiting for a busy processor is, with a mean of More.
type Delays struct{ Least, More time.Duration }

// DelaysOf returns the Delays of which half are below p50 and nine of ten below p90.
func DelaysOf(p50, p90 time.Duration) Delays {
	more := time.Duration(float64(max(0, p90-p50)) / math.Log(5)) // quantiles are at -ln(1-p)
	return Delays{max(0, p50-time.Duration(math.Ln2*float64(more))), more}
}

const latencyUnit = 100 * time.Microsecond

func newLatency(rnd *rand.Rand) *latency {
	type pair struct {
		a, b     int
		distance float64
	}
	var x, y [sites]float64
	for i := range x {
		x[i], y[i] = rnd.Float64(), rnd.Float64()
	}
	pairs := make([]pair, 0, sites*(sites-1)/2)
	for a := range sites {
		for b := range a {
			d := math.Hypot(x[a]-x[b], y[a]-y[b]) * (1 + .3*rnd.NormFloat64())
			pairs = append(pairs, pair{a, b, d})
		}
	}
	slices.SortFunc(pairs, func(p, q pair) int { return cmp.Or(cmp.Compare(p.distance, q.distance), p.a-q.a, p.b-q.b) })
	l := &latency{}
	for rank, p := range pairs {
		v := uint16(quantile(float64(rank)/float64(len(pairs)-1)) * float64(time.Millisecond/latencyUnit))
		l.rtt[p.a*sites+p.b], l.rtt[p.b*sites+p.a] = v, v
	}
	for i := range sites {
		l.rtt[i*sites+i] = uint16(sameSite / latencyUnit)
	}
	return l
}

// quantile returns the round trip below which that part of all lie.
func quantile(part float64) float64 {
	i := 1
	for i < len(roundTrips)-1 && roundTrips[i].part < part {
		i++
	}
	lo, hi := roundTrips[i-1], roundTrips[i]
	return lo.millis + (hi.millis-lo.millis)*(part-lo.part)/(hi.part-lo.part)
}

// oneWay returns how long a message takes from site a to site b with that luck, which is 0 to 1, without 1.
func (l *latency) oneWay(a, b uint8, luck float64) time.Duration {
	if l.delays != (Delays{}) {
		return l.delays.Least + time.Duration(-math.Log(1-luck)*float64(l.delays.More))
	}
	half := time.Duration(l.rtt[int(a)*sites+int(b)]) * latencyUnit / 2
	return half + time.Duration(float64(half)*jitter*(2*luck-1))
}

// least returns how long a message between two different sites takes at least.
func (l *latency) least() time.Duration {
	least := time.Duration(math.MaxInt64)
	for a := range sites {
		for b := range a {
			least = min(least, l.oneWay(uint8(a), uint8(b), 0))
		}
	}
	return least
}
