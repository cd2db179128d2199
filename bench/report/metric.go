package report

import (
	"strings"

	"github.com/carrier-p2p/carrier/bench/load"
)

// A Better says which way a figure should go.
type Better int8

// Ways.
const (
	Lower  Better = -1
	Either Better = 0 // it says something, and neither way is better
	Higher Better = 1
)

// words say it for people; "" for Either.
func (b Better) words() string {
	return map[Better]string{Lower: "less is better", Higher: "more is better"}[b]
}

// Units that pictures and thresholds look for.
const (
	p99Unit = "p99-us"
	cpuUnit = "cpu-s/million"
	rssUnit = "rss-B/conn"
)

// A Metric is one figure of a scenario.
type Metric struct {
	Name   string // in tables
	Unit   string // in Go benchmark lines and thresholds: no blanks
	Better Better
	Show   func(float64) string
	Get    func(*load.Result) (value float64, ok bool)

	// Tiny says that the figure is near zero where things go well, so that a ratio of two of them says nothing.
	Tiny bool
}

// Scaled is what Get returned in the metric's unit: bytes become millions where the unit says MB.
func (m Metric) Scaled(v float64) float64 {
	if strings.Contains(m.Unit, "MB") {
		return v / 1e6
	}
	return v
}

// Metrics returns the figures of a scenario; none if there is no such scenario. The first is what the scenario is about.
func Metrics(scenario string) []Metric {
	switch scenario {
	case load.OneWay:
		return concat(rates("messages/s"), one(megabytesPerSecond), latencies, costs)
	case load.RPC, load.Soak:
		return concat(rates("requests/s"), latencies, costs)
	case load.Stream:
		return concat(one(megabytesPerSecond), []Metric{
			{Name: "down MB/s", Unit: "down-MB/s", Better: Higher, Show: Megabytes, Get: figure("down_bytes_per_second")},
			{Name: "up MB/s", Unit: "up-MB/s", Better: Higher, Show: Megabytes, Get: figure("up_bytes_per_second")},
		}, latencies, costs)
	case load.Connect:
		return concat(rates("handshakes/s"), latencies, costs)
	case load.Churn:
		return concat(rates("replaced/s"), latencies, costs, []Metric{
			{Name: "left heap B/conn", Unit: "left-B/conn", Better: Lower, Show: Plain, Get: figure("left_heap_bytes_per_connection"), Tiny: true},
			{Name: "left goroutines", Unit: "left-goroutines", Better: Lower, Show: Plain, Get: figure("left_goroutines"), Tiny: true},
		})
	case load.Hold:
		return []Metric{
			{Name: "heap B/conn", Unit: "heap-B/conn", Better: Lower, Show: Plain, Get: server(func(s *load.Side) float64 { return s.HeapPerConn })},
			{Name: "RSS B/conn", Unit: rssUnit, Better: Lower, Show: Plain, Get: server(func(s *load.Side) float64 { return s.RSSPerConn })},
			{Name: "goroutines/conn", Unit: "goroutines/conn", Better: Lower, Show: Plain, Get: server(func(s *load.Side) float64 { return s.GoroutinesPerConn }), Tiny: true},
			{Name: "goroutines", Unit: "goroutines", Better: Lower, Show: Plain, Get: server(func(s *load.Side) float64 { return float64(s.Goroutines) })},
			{Name: "idle CPU %", Unit: "idle-cpu-percent", Better: Lower, Show: Plain, Get: figure("server_idle_cpu_percent"), Tiny: true},
			{Name: "dialled/s", Unit: "dialled/s", Better: Higher, Show: Short, Get: handshakes},
		}
	case load.FanOut:
		return concat(rates("deliveries/s"), latencies, one(cpuPerMillion), []Metric{
			{Name: "delivered", Unit: "delivered", Better: Higher, Show: Plain, Get: figure("delivered")},
		})
	case load.Mixed:
		return concat(latencies, []Metric{
			{Name: "bulk MB/s", Unit: "bulk-MB/s", Better: Higher, Show: Megabytes, Get: figure("bulk_bytes_per_second")},
			{Name: "alone MB/s", Unit: "alone-MB/s", Better: Higher, Show: Megabytes, Get: figure("bulk_alone_bytes_per_second")},
			{Name: "bulk kept", Unit: "bulk-kept", Better: Higher, Show: Plain, Get: figure("bulk_kept")},
		})
	case load.Storm:
		return concat(latencies, disturbed, []Metric{
			{Name: "handshakes/s", Unit: "handshakes/s", Better: Higher, Show: Short, Get: handshakes},
			{Name: "begun", Unit: "begun", Better: Higher, Show: Short, Get: figure("initiations")},
			{Name: "storm p99 us", Unit: "storm-p99-us", Better: Lower, Show: Plain, Get: figure("storm_p99_us")},
			{Name: "control p99 us", Unit: "control-p99-us", Better: Lower, Show: Plain, Get: figure("control_p99_us")},
			{Name: "control ratio", Unit: "control-p99-ratio", Better: Lower, Show: Plain, Get: figure("control_p99_ratio")},
			{Name: "CPU-s/M begun", Unit: "cpu-s/M-begun", Better: Lower, Show: Plain, Get: figure("server_cpu_seconds_per_million_initiations")},
			{Name: "answered share", Unit: "answered-share", Better: Lower, Show: Plain, Get: figure("answered_share")},
		}, growth)
	case load.Slow:
		return concat(latencies, disturbed, growth)
	}
	return nil
}

// growth is what the serving side keeps of those who disturb it.
var growth = []Metric{
	{Name: "serving heap growth MB", Unit: "heap-growth-MB", Better: Lower, Show: Megabytes, Get: figure("server_heap_growth_bytes"), Tiny: true},
	{Name: "RSS growth MB", Unit: "rss-growth-MB", Better: Lower, Show: Megabytes, Get: figure("server_rss_growth_bytes"), Tiny: true},
}

var latencies = []Metric{
	{Name: "p50 us", Unit: "p50-us", Better: Lower, Show: Plain, Get: latency(func(l *load.Latency) float64 { return l.P50 })},
	{Name: "p99 us", Unit: p99Unit, Better: Lower, Show: Plain, Get: latency(func(l *load.Latency) float64 { return l.P99 })},
	{Name: "p99.9 us", Unit: "p99.9-us", Better: Lower, Show: Plain, Get: latency(func(l *load.Latency) float64 { return l.P999 })},
	{Name: "service p99 us", Unit: "service-p99-us", Better: Lower, Show: Plain, Get: serviceP99},
}

var disturbed = []Metric{
	{Name: "quiet p99 us", Unit: "quiet-p99-us", Better: Lower, Show: Plain, Get: figure("quiet_p99_us")},
	{Name: "p99 ratio", Unit: "p99-ratio", Better: Lower, Show: Plain, Get: figure("p99_ratio")},
}

var cpuPerMillion = Metric{
	Name: "CPU-s/million", Unit: cpuUnit, Better: Lower, Show: Plain, Get: func(r *load.Result) (float64, bool) {
		return r.CPUPerMillion, r.Server != nil && r.Messages > 0 // of one side it would be half the truth
	},
}

var megabytesPerSecond = Metric{Name: "MB/s", Unit: "MB/s", Better: Higher, Show: Megabytes, Get: func(r *load.Result) (float64, bool) {
	return r.BytesPerSecond, r.BytesPerSecond > 0
}}

var costs = []Metric{
	cpuPerMillion,
	{Name: "allocs dialling", Unit: "allocs-dialling/op", Better: Lower, Show: Plain, Tiny: true, Get: func(r *load.Result) (float64, bool) {
		return r.Client.AllocsPerMessage, r.Messages > 0
	}},
	{Name: "allocs serving", Unit: "allocs-serving/op", Better: Lower, Show: Plain, Tiny: true, Get: server(func(s *load.Side) float64 { return s.AllocsPerMessage })},
}

func rates(name string) []Metric {
	return []Metric{{Name: name, Unit: name, Better: Higher, Show: Short, Get: func(r *load.Result) (float64, bool) {
		return r.MessagesPerSecond, r.MessagesPerSecond > 0
	}}}
}

func one(m Metric) []Metric { return []Metric{m} }

func concat(lists ...[]Metric) (all []Metric) {
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

func handshakes(r *load.Result) (float64, bool) { return r.HandshakesPerSecond, true }

func server(get func(*load.Side) float64) func(*load.Result) (float64, bool) {
	return func(r *load.Result) (float64, bool) {
		if r.Server == nil {
			return 0, false
		}
		return get(r.Server), true
	}
}

func latency(get func(*load.Latency) float64) func(*load.Result) (float64, bool) {
	return func(r *load.Result) (float64, bool) {
		if r.LatencyMicros == nil {
			return 0, false
		}
		return get(r.LatencyMicros), true
	}
}

func serviceP99(r *load.Result) (float64, bool) {
	if r.ServiceMicros == nil {
		return 0, false
	}
	return r.ServiceMicros.P99, true
}

func figure(name string) func(*load.Result) (float64, bool) {
	return func(r *load.Result) (float64, bool) {
		v, ok := r.Figures[name]
		return v, ok
	}
}
