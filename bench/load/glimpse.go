package load

import (
	"math/bits"
	"time"
)

// A Glimpse is the distribution of a short while, told apart to 3 percent, in microseconds.
type Glimpse struct {
	Count uint64  `json:"count"`
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

// glimpses counts values in buckets of 1/32 of their power of two, 4 KiB in all. It belongs to its shard's lock.
type glimpses [glimpseBuckets]uint32

const (
	glimpseBits    = 5
	glimpseBuckets = (36-glimpseBits)<<glimpseBits + 1<<glimpseBits // latencyLimit is below 2^36 ns
)

var _ = [1]struct{}{}[latencyLimit>>36] // it is

// add counts a value of at most latencyLimit nanoseconds.
func (g *glimpses) add(nanos uint64) {
	shift := max(bits.Len64(nanos)-glimpseBits-1, 0)
	g[shift<<glimpseBits+int(nanos>>shift)]++
}

// take moves everything counted in from to g.
func (g *glimpses) take(from *glimpses) {
	for i, n := range from {
		if n > 0 {
			g[i] += n
			from[i] = 0
		}
	}
}

// micros is the middle of a bucket.
func (glimpses) micros(bucket int) float64 {
	shift := max(bucket>>glimpseBits-1, 0)
	low := uint64(bucket-shift<<glimpseBits) << shift
	return (float64(low) + float64(uint64(1)<<shift)/2) / float64(time.Microsecond)
}

func (g *glimpses) summary() *Glimpse {
	var out Glimpse
	for _, n := range g {
		out.Count += uint64(n)
	}
	if out.Count == 0 {
		return nil
	}
	var seen uint64
	for i, n := range g {
		if n == 0 {
			continue
		}
		before := seen
		seen += uint64(n)
		out.Max = g.micros(i)
		if half := (out.Count + 1) / 2; before < half && seen >= half {
			out.P50 = out.Max
		}
		if most := out.Count - out.Count/100; before < most && seen >= most {
			out.P99 = out.Max
		}
	}
	return &out
}
