package load

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A Recorder gathers latencies in a few histograms and merges them when asked. Any goroutine.
type Recorder struct{ shards []shard }

type shard struct {
	mu     sync.Mutex
	h      *hdrhistogram.Histogram
	recent glimpses // since the last Glimpse
}

// newHistogram tells latencies apart to three digits between 64 ns and latencyLimit.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(64, int64(latencyLimit), 3)
}

// NewRecorder returns a Recorder for about the given number of workers.
func NewRecorder(workers int) *Recorder {
	r := &Recorder{shards: make([]shard, min(max(workers, 1), shardLimit))}
	for i := range r.shards {
		r.shards[i].h = newHistogram()
	}
	return r
}

// Record adds one latency. Negative ones, which a stepping wall clock can produce, count as 0, and those
// beyond the limit as the limit.
func (r *Recorder) Record(worker int, d time.Duration) {
	d = min(max(d, 0), latencyLimit)
	s := &r.shards[worker%len(r.shards)]
	s.mu.Lock()
	// The only error is a value out of range, and the bounds exclude it.
	_ = s.h.RecordValue(int64(d))
	s.recent.add(uint64(d))
	s.mu.Unlock()
}

// Merged returns everything recorded since the last Reset.
func (r *Recorder) Merged() *hdrhistogram.Histogram {
	all := newHistogram()
	for i := range r.shards {
		r.shards[i].mu.Lock()
		all.Merge(r.shards[i].h)
		r.shards[i].mu.Unlock()
	}
	return all
}

// Glimpse returns what was recorded since the last Glimpse; nil: nothing. It costs microseconds, where Merged costs milliseconds.
func (r *Recorder) Glimpse() *Glimpse {
	var all glimpses
	for i := range r.shards {
		r.shards[i].mu.Lock()
		all.take(&r.shards[i].recent)
		r.shards[i].mu.Unlock()
	}
	return all.summary()
}

// Reset forgets everything recorded.
func (r *Recorder) Reset() {
	for i := range r.shards {
		r.shards[i].mu.Lock()
		r.shards[i].h.Reset()
		r.shards[i].recent = glimpses{}
		r.shards[i].mu.Unlock()
	}
}

// Latency is a distribution in microseconds.
type Latency struct {
	Count uint64  `json:"count"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P75   float64 `json:"p75"`
	P90   float64 `json:"p90"`
	P95   float64 `json:"p95"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	P9999 float64 `json:"p9999"`
	Max   float64 `json:"max"`

	// Curve is the whole distribution, for drawing: ascending, the last point is the maximum at 100 percent.
	Curve []Quantile `json:"curve,omitempty"`
}

// A Quantile says that so many percent took no longer than so many microseconds.
type Quantile struct {
	Percent float64 `json:"percent"`
	Micros  float64 `json:"us"`
}

// Summarize returns the distribution of a histogram of nanoseconds; nil if it holds nothing.
func Summarize(h *hdrhistogram.Histogram) *Latency {
	if h == nil || h.TotalCount() == 0 {
		return nil
	}
	at := func(percent float64) float64 { return float64(h.ValueAtPercentile(percent)) / 1e3 }
	return &Latency{
		Count: uint64(h.TotalCount()), Mean: h.Mean() / 1e3,
		P50: at(50), P75: at(75), P90: at(90), P95: at(95), P99: at(99), P999: at(99.9), P9999: at(99.99), Max: float64(h.Max()) / 1e3,
		Curve: curve(h),
	}
}

// curve has twelve points for each tenfold towards 100 percent, down to where a point would stand for less than one value, and
// one for every five percent below half.
func curve(h *hdrhistogram.Histogram) (points []Quantile) {
	add := func(percent float64) {
		points = append(points, Quantile{percent, float64(h.ValueAtPercentile(percent)) / 1e3})
	}
	for percent := 0.0; percent < 50; percent += 5 {
		add(percent)
	}
	steps := []float64{50, 44, 38, 32, 27, 22, 18, 15, 12, 10, 8, 6.5}
	for unit := 1.0; unit*float64(h.TotalCount()) > 20; unit /= 10 {
		for _, step := range steps {
			add(100 - step*unit)
		}
	}
	return append(points, Quantile{100, float64(h.Max()) / 1e3})
}
