package load

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// soaked is an hour of windows in which one figure changes.
func soaked(n int, change func(i int, w *Window)) *Series {
	var s Series
	for i := range n {
		w := Window{
			Part: Soak, AtSeconds: float64(i+1) * 3600 / float64(n), Seconds: 3600 / float64(n), Messages: 1000, Latency: &Glimpse{Count: 1000, P50: 50, P99: 100},
			Client: Load{RSSBytes: 1e6, HeapBytes: 1e6, Goroutines: 10}, Server: &Load{RSSBytes: 1e6, HeapBytes: 1e6, Goroutines: 10, Cores: 0.5},
		}
		change(i, &w)
		s.Windows = append(s.Windows, w)
	}
	return &s
}

// What goes one way is found and named, with its slope; what is level, or swings, or steps once by little, is not.
func TestDrifts(t *testing.T) {
	for _, test := range []struct {
		name   string
		n      int
		change func(i int, w *Window)
		want   []string
	}{
		{"level", 240, func(int, *Window) {}, nil},
		{"leak", 240, func(i int, w *Window) { w.Server.HeapBytes += uint64(i) * 5000 }, []string{"server heap_bytes"}},
		{"leak below a saw-tooth", 240, func(i int, w *Window) { w.Server.HeapBytes += uint64(i)*5000 + uint64(i%7)*300_000 }, []string{"server heap_bytes"}},
		{"saw-tooth", 240, func(i int, w *Window) { w.Server.HeapBytes += uint64(i%7) * 300_000 }, nil},
		{"hardly", 240, func(i int, w *Window) { w.Server.HeapBytes += uint64(i) * 100 }, nil},
		{"goroutines here, latency down", 240, func(i int, w *Window) { w.Client.Goroutines += i / 40; w.Latency.P99 += float64(240 - i) }, []string{"latency p99", "client goroutines"}},
		{"no server, no latency", 240, func(i int, w *Window) { w.Server, w.Latency = nil, nil }, nil},
		{"too short", 23, func(i int, w *Window) { w.Server.HeapBytes += uint64(i) * 50_000 }, nil},
		{"warm-up only", 240, func(i int, w *Window) { w.Part = "warm-up"; w.Server.HeapBytes += uint64(i) * 50_000 }, nil},
	} {
		var got []string
		for _, d := range drifts(soaked(test.n, test.change)) {
			got = append(got, d.What)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %s, want %s", test.name, strings.Join(got, ", "), strings.Join(test.want, ", "))
		}
	}
	leak := drifts(soaked(240, func(i int, w *Window) { w.Server.HeapBytes += uint64(i) * 5000 }))
	if len(leak) != 1 || math.Abs(leak[0].PerHour-1.2e6) > 5e4 || leak[0].Share < 0.5 || leak[0].P > 0.01 {
		t.Errorf("%+v, want 1.2 MB an hour", leak)
	}
}
