package load

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A Recorder gathers latencies in a few histograms and merges them when asked. Any goroutine.
type Recorder struct{ shards []shard }

type shard struct {
	mu sync.Mutex
	h  *hdrhistogram.Histogram
	_  [48]byte // keeps neighbours off one cache line
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

// Record adds one latency. Negative ones, which a stepping wall clock can produce, count as 0, and those beyond the limit as the limit.
func (r *Recorder) Record(worker int, d time.Duration) {
	s := &r.shards[worker%len(r.shards)]
	s.mu.Lock()
	// The only error is a value out of range, and the bounds exclude it.
	_ = s.h.RecordValue(int64(min(max(d, 0), latencyLimit)))
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

// Reset forgets everything recorded.
func (r *Recorder) Reset() {
	for i := range r.shards {
		r.shards[i].mu.Lock()
		r.shards[i].h.Reset()
		r.shards[i].mu.Unlock()
	}
}

// Latency is a distribution in microseconds.
type Latency struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// Summarize returns the distribution of a histogram of nanoseconds; nil if it holds nothing.
func Summarize(h *hdrhistogram.Histogram) *Latency {
	if h == nil || h.TotalCount() == 0 {
		return nil
	}
	at := func(percent float64) float64 { return float64(h.ValueAtPercentile(percent)) / 1e3 }
	return &Latency{P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: float64(h.Max()) / 1e3}
}
