package load

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

// Percentiles agree with sorting, within the three digits that histograms keep, whoever recorded them.
func TestPercentiles(t *testing.T) {
	for _, workers := range []int{1, 7, 1000} {
		random := rand.New(rand.NewPCG(1, uint64(workers)))
		r := NewRecorder(workers)
		values := make([]time.Duration, 10_000)
		for i := range values {
			values[i] = time.Duration(math.Exp(random.Float64()*math.Log(1e10))) + 100 // up to 10 s, evenly over magnitudes
			r.Record(i%workers, values[i])
		}
		slices.Sort(values)
		got := Summarize(r.Merged())
		for _, test := range []struct {
			name  string
			got   float64
			share float64
		}{{"p50", got.P50, 0.5}, {"p90", got.P90, 0.9}, {"p99", got.P99, 0.99}, {"p999", got.P999, 0.999}, {"max", got.Max, 1}} {
			want := values[int(test.share*float64(len(values)))-1].Seconds() * 1e6
			if math.Abs(test.got-want) > want*0.002+0.064 {
				t.Errorf("%d workers: %s %v us, sorting says %v", workers, test.name, test.got, want)
			}
		}
	}
}

// Values beyond both ends count, as the ends.
func TestRecorderBounds(t *testing.T) {
	r := NewRecorder(1)
	r.Record(0, -time.Second)
	r.Record(0, time.Hour)
	h := r.Merged()
	if h.TotalCount() != 2 || h.Min() != 0 {
		t.Errorf("%d values, smallest %d; want 2, 0", h.TotalCount(), h.Min())
	}
	if got := time.Duration(h.Max()); got < latencyLimit || got > latencyLimit*1001/1000 {
		t.Errorf("largest %v, want about %v", got, latencyLimit)
	}
	r.Reset()
	if Summarize(r.Merged()) != nil {
		t.Error("a Recorder remembers after Reset")
	}
	if Summarize(nil) != nil {
		t.Error("no histogram has a summary")
	}
}

// Recording from many goroutines loses nothing.
func TestRecorderConcurrent(t *testing.T) {
	r := NewRecorder(64)
	var recording sync.WaitGroup
	for i := range 64 {
		recording.Go(func() {
			for range 100 {
				r.Record(i, time.Millisecond)
			}
		})
	}
	recording.Wait()
	if n := r.Merged().TotalCount(); n != 6400 {
		t.Errorf("%d values, want 6400", n)
	}
}
