package load

import "github.com/carrier-p2p/carrier/bench/stats"

// A Drift is something that went one way during a long run: a leak, or a machine that slows down.
type Drift struct {
	What    string  `json:"what"`     // "server heap_bytes"
	PerHour float64 `json:"per_hour"` // the median slope
	Share   float64 `json:"share"`    // of its median, over the whole run
	P       float64 `json:"p"`        // the probability of so much order by chance
}

const (
	// driftBins is into how many stretches a run is cut to look for drifts. 24: each is long enough to hold
	// several collections, so that a saw-tooth is level, and Mann and Kendall's test is sharp from ten
	// values.
	driftBins = 24

	// driftP and driftShare are when order is worth a word: less than one in a hundred by chance, and 10 % over the run.
	driftP     = 0.01
	driftShare = 0.10
)

// drifts looks at everything in a series that should be level. Of a series too short for its bins it says nothing.
func drifts(s *Series) (found []Drift) {
	var measured []Window
	for _, w := range s.Windows {
		if w.Part == Soak && w.Seconds > 0 {
			measured = append(measured, w)
		}
	}
	if len(measured) < driftBins {
		return nil
	}
	hours := (measured[len(measured)-1].AtSeconds - measured[0].AtSeconds) / 3600
	for _, level := range levels {
		if d, ok := driftOf(level, measured, hours); ok {
			found = append(found, d)
		}
	}
	return found
}

// A level is a figure of windows that should neither rise nor fall.
type level struct {
	what string
	of   func(*Window) (float64, bool)
}

var levels = [...]level{
	{"latency p50", func(w *Window) (float64, bool) {
		if w.Latency == nil {
			return 0, false
		}
		return w.Latency.P50, true
	}},
	{"latency p99", func(w *Window) (float64, bool) {
		if w.Latency == nil {
			return 0, false
		}
		return w.Latency.P99, true
	}},
	{"messages/s", func(w *Window) (float64, bool) { return float64(w.Messages) / w.Seconds, true }},
	{"client rss_bytes", func(w *Window) (float64, bool) { return float64(w.Client.RSSBytes), true }},
	{"client heap_bytes", func(w *Window) (float64, bool) { return float64(w.Client.HeapBytes), true }},
	{"client goroutines", func(w *Window) (float64, bool) { return float64(w.Client.Goroutines), true }},
	{"server rss_bytes", ofServer(func(l *Load) float64 { return float64(l.RSSBytes) })},
	{"server heap_bytes", ofServer(func(l *Load) float64 { return float64(l.HeapBytes) })},
	{"server goroutines", ofServer(func(l *Load) float64 { return float64(l.Goroutines) })},
	{"server cores", ofServer(func(l *Load) float64 { return l.Cores })},
}

func ofServer(get func(*Load) float64) func(*Window) (float64, bool) {
	return func(w *Window) (float64, bool) {
		if w.Server == nil {
			return 0, false
		}
		return get(w.Server), true
	}
}

func driftOf(l level, windows []Window, hours float64) (Drift, bool) {
	var bins []float64
	for i := range driftBins {
		var bin []float64
		for k := i * len(windows) / driftBins; k < (i+1)*len(windows)/driftBins; k++ {
			if v, ok := l.of(&windows[k]); ok {
				bin = append(bin, v)
			}
		}
		if len(bin) == 0 {
			return Drift{}, false // not seen all the time: nothing to say
		}
		bins = append(bins, stats.Median(bin))
	}
	slope, p := stats.Trend(bins)
	middle := stats.Median(bins)
	if middle == 0 || hours <= 0 {
		return Drift{}, false
	}
	d := Drift{What: l.what, PerHour: slope * (driftBins - 1) / hours, Share: slope * (driftBins - 1) / middle, P: p}
	return d, p < driftP && (d.Share > driftShare || d.Share < -driftShare)
}
