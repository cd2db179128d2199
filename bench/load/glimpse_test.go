package load

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// law: a glimpse's percentiles are those of the values, to 4 percent, and taking it empties it.
func TestGlimpse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(0, int64(latencyLimit)), 1, 300).Draw(t, "values")
		r := NewRecorder(3)
		for i, v := range values {
			r.Record(i, time.Duration(v))
		}
		got := r.Glimpse()
		slices.Sort(values)
		n := len(values)
		near := func(micros float64, nanos int64) bool {
			want := float64(nanos) / 1e3
			return micros >= want*0.96-0.04 && micros <= want*1.04+0.04
		}
		if got.Count != uint64(n) || !near(got.P50, values[(n+1)/2-1]) || !near(got.P99, values[n-n/100-1]) || !near(got.Max, values[n-1]) {
			t.Fatalf("%+v of %d values, want %d, %d, %d ns", got, n, values[(n+1)/2-1], values[n-n/100-1], values[n-1])
		}
		if again := r.Glimpse(); again != nil {
			t.Fatalf("%+v a second time", again)
		}
		if r.Merged().TotalCount() != int64(n) {
			t.Fatal("a glimpse took values away from the histogram")
		}
	})
}

// Values beyond the limit count as the limit, and below zero as zero; nothing is lost and nothing panics.
func TestGlimpseBounds(t *testing.T) {
	r := NewRecorder(1)
	r.Record(0, -time.Hour)
	r.Record(0, time.Hour)
	if g := r.Glimpse(); g.Count != 2 || g.Max < 55e6 || g.Max > 65e6 {
		t.Errorf("%+v", g)
	}
}

// A summary's curve ascends, reaches the maximum at 100 percent, and is no longer than the values are worth.
func TestCurve(t *testing.T) {
	for _, n := range []int{1, 7, 1000, 300_000} {
		r := NewRecorder(1)
		for i := range n {
			r.Record(0, time.Duration(i+1)*time.Microsecond)
		}
		l := Summarize(r.Merged())
		if l.Count != uint64(n) || len(l.Curve) < 10 || len(l.Curve) > 90 {
			t.Fatalf("%d values: count %d, %d points", n, l.Count, len(l.Curve))
		}
		last := Quantile{-1, 0}
		for _, q := range l.Curve {
			if q.Percent <= last.Percent || q.Micros < last.Micros {
				t.Errorf("%d values: %+v after %+v", n, q, last)
			}
			last = q
		}
		if last != (Quantile{100, l.Max}) {
			t.Errorf("%d values: the curve ends at %+v", n, last)
		}
		if want := 0.99 * float64(n); n > 100 && (l.P99 < want*0.99 || l.P99 > want*1.01) {
			t.Errorf("%d values: p99 %v, want %v", n, l.P99, want)
		}
	}
}
