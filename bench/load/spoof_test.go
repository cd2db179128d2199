package load

import (
	"testing"
	"time"
)

// A drip begins as many as its rate says, a few at a time, however its sleeps end; what a long absence has
// missed it does not make up for.
func TestDrip(t *testing.T) {
	for _, test := range []struct {
		name   string
		rate   float64
		late   time.Duration // each sleep ends so much later
		want   int           // in 10 s
		atOnce int
	}{
		{"20,000 a second", 20_000, 0, 200_000, 8},
		{"20,000 a second, late", 20_000, 50 * time.Microsecond, 200_000, 8},
		{"so many that a batch is full", 1_000_000, 0, 10_000_000, dripBatch},
		{"fewer than one a batch", 10, time.Millisecond, 100, 1},
		{"an odd rate", 33_333, 0, 333_330, 13},
		{"always absent longer than is forgiven", 20_000, 20 * time.Millisecond, 490 * dripBehind * 8, 8},
	} {
		d := drip{rate: test.rate}
		begun := 0
		for now := time.Duration(0); now < 10*time.Second; {
			n, wait := d.take(now)
			if n > test.atOnce || n == 0 && wait < 0 {
				t.Fatalf("%s: %d at once after %v, wait %v", test.name, n, now, wait)
			}
			if begun += n; n == 0 {
				now += max(wait, time.Nanosecond) + test.late
			}
		}
		if off := float64(begun) / float64(test.want); off < 0.99 || off > 1.02 {
			t.Errorf("%s: %d begun, want %d", test.name, begun, test.want)
		}
	}
	d := drip{}
	if n, _ := d.take(0); n != dripBatch {
		t.Errorf("without a rate: %d", n)
	}
}

// After an absence a drip begins what is forgiven at most, and then goes on as if nothing had been.
func TestDripForgives(t *testing.T) {
	d := drip{rate: 20_000}
	burst := func(now time.Duration) (sum int) {
		for n, _ := d.take(now); n > 0; n, _ = d.take(now) {
			sum += n
		}
		return sum
	}
	burst(0)
	if n := burst(time.Minute); n != dripBehind*8 {
		t.Errorf("%d at once after a minute, want %d", n, dripBehind*8)
	}
	if n := burst(time.Minute + 2*time.Millisecond); n < 32 || n > 40 {
		t.Errorf("%d in 2 ms, want 40", n)
	}
}

// The ratio of two phases is the median of their rounds': one round that others disturb changes nothing, nor
// does one in which nothing was measured.
func TestPhases(t *testing.T) {
	storm := &phase{p99s: []float64{110, 5000, 120, 130, 100}}
	for _, test := range []struct {
		other []float64
		want  float64
	}{
		{[]float64{100, 100, 100, 100, 100}, 1.2},
		{[]float64{110, 5000, 120, 130, 100}, 1},
		{[]float64{55, 0, 60, 65}, 2},
		{nil, 0},
		{[]float64{0, 0}, 0},
	} {
		if got := storm.p99To(&phase{p99s: test.other}); got != test.want {
			t.Errorf("to %v: %v, want %v", test.other, got, test.want)
		}
	}
}
