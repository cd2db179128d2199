package timer_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/internal/timer"
)

// populated returns a wheel with count timers spread over the next 45 s, which set themselves again when they fire.
func populated(count int) (*timer.Wheel, []timer.Timer) {
	w, rng := timer.NewWheel(0), rand.New(rand.NewPCG(1, 2))
	timers := make([]timer.Timer, count)
	for i := range timers {
		timers[i].Fire = func(now time.Duration) { w.Set(&timers[i], now+45*time.Second) }
		w.Set(&timers[i], time.Duration(rng.Int64N(int64(45*time.Second))))
	}
	return w, timers
}

// BenchmarkSet moves the deadline of one timer among many, as each message of a peer does.
func BenchmarkSet(b *testing.B) {
	for _, count := range []int{1, 1000, 100_000} {
		b.Run(fmt.Sprintf("timers=%d", count), func(b *testing.B) {
			w, timers := populated(count)
			i := 0
			for b.Loop() {
				w.Set(&timers[i], time.Duration(i%45_000)*ms)
				if i += 7919; i >= count {
					i %= count
				}
			}
		})
	}
}

// BenchmarkAdvance passes one tick; "fired/op" is how many timers were due in it.
func BenchmarkAdvance(b *testing.B) {
	for _, count := range []int{0, 1000, 100_000} {
		b.Run(fmt.Sprintf("timers=%d", count), func(b *testing.B) {
			w, _ := populated(count)
			var now time.Duration
			fired := 0
			for b.Loop() {
				now += ms
				fired += w.Advance(now, 1<<20)
				w.Next()
			}
			b.ReportMetric(float64(fired)/float64(b.N), "fired/op")
		})
	}
}
