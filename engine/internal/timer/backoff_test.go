package timer_test

import (
	"math"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/internal/timer"
	"pgregory.net/rapid"
)

func TestBackoff(t *testing.T) {
	b := timer.Backoff{First: time.Second, Max: 10 * time.Second}
	half := timer.Backoff{First: time.Second, Max: 10 * time.Second, Jitter: 0.5}
	far := timer.Backoff{First: time.Hour, Max: math.MaxInt64}
	for _, x := range []struct {
		b        timer.Backoff
		failures int
		chance   uint64
		want     time.Duration
	}{
		{b, 0, 1, time.Second}, {b, 1, 1, time.Second}, {b, 2, 1, 2 * time.Second}, {b, 4, 1, 8 * time.Second},
		{b, 5, 1, 10 * time.Second}, {b, 1 << 40, 1, 10 * time.Second},
		{half, 1, 0, time.Second}, {half, 1, uint64(time.Second / 2), time.Second / 2}, {half, 1, uint64(time.Second/2) + 1, time.Second},
		{half, 9, uint64(5 * time.Second), 5 * time.Second},
		{far, 2, 0, 2 * time.Hour}, {far, 100, 0, math.MaxInt64},
		{timer.Backoff{First: 20 * time.Second, Max: 10 * time.Second}, 1, 0, 10 * time.Second},
	} {
		if got := x.b.Wait(x.failures, x.chance); got != x.want {
			t.Errorf("%+v after %d failures, chance %d: %v, want %v", x.b, x.failures, x.chance, got, x.want)
		}
	}
}

// Law: a wait is never more than Max nor less than the part of it that is not left to chance.
func TestBackoffBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := timer.Backoff{
			First: time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "first")), Max: time.Duration(rapid.Int64Range(1, math.MaxInt64).Draw(t, "max")),
			Jitter: rapid.Float64Range(0, 1).Draw(t, "jitter"),
		}
		failures := rapid.IntRange(0, 100).Draw(t, "failures")
		wait := b.Wait(failures, rapid.Uint64().Draw(t, "chance"))
		full := timer.Backoff{First: b.First, Max: b.Max}.Wait(failures, 0)
		if wait > b.Max || wait > full || float64(wait) < float64(full)*(1-b.Jitter)*0.999-1 {
			t.Fatalf("%+v after %d failures: %v of %v", b, failures, wait, full)
		}
	})
}
