package main

import (
	"fmt"
	"math"

	"github.com/carrier-p2p/carrier/bench/load"
)

// A metric is one column of a table.
type metric struct {
	name string
	show func(float64) string
	get  func(*load.Result) (value float64, ok bool)
}

// Allocations for each message: near zero where things go well, so a ratio of two of them says nothing.
const (
	allocsDialling = "allocs dialling"
	allocsServing  = "allocs serving"
)

// metrics returns what tables show for a scenario. The first is what the scenario is about.
func metrics(scenario string) []metric {
	switch scenario {
	case load.OneWay:
		return []metric{
			{"messages/s", short, rate}, {"MB/s", megabytes, bytesRate}, {"p50 us", plain, latency(p50)}, {"p99 us", plain, latency(p99)},
			{"CPU-s/million", plain, cpuPerMillion}, {allocsDialling, plain, clientAllocs}, {allocsServing, plain, serverAllocs},
		}
	case load.RPC, load.Soak:
		return []metric{
			{"requests/s", short, rate}, {"p50 us", plain, latency(p50)}, {"p99 us", plain, latency(p99)}, {"p99.9 us", plain, latency(p999)},
			{"service p99 us", plain, serviceP99},
			{"CPU-s/million", plain, cpuPerMillion}, {allocsDialling, plain, clientAllocs}, {allocsServing, plain, serverAllocs},
		}
	case load.Connect:
		return []metric{
			{"handshakes/s", short, rate}, {"p50 us", plain, latency(p50)}, {"p99 us", plain, latency(p99)},
			{"CPU-s/million", plain, cpuPerMillion}, {allocsDialling, plain, clientAllocs}, {allocsServing, plain, serverAllocs},
		}
	case load.Stream:
		return []metric{
			{"MB/s", megabytes, bytesRate}, {"down MB/s", megabytes, figure("down_bytes_per_second")}, {"up MB/s", megabytes, figure("up_bytes_per_second")},
			{"p50 us", plain, latency(p50)}, {"p99 us", plain, latency(p99)},
			{"CPU-s/million", plain, cpuPerMillion}, {allocsDialling, plain, clientAllocs}, {allocsServing, plain, serverAllocs},
		}
	case load.Churn:
		return []metric{
			{"replaced/s", short, rate}, {"p50 us", plain, latency(p50)}, {"p99 us", plain, latency(p99)}, {"CPU-s/million", plain, cpuPerMillion},
			{"left heap B/conn", plain, figure("left_heap_bytes_per_connection")}, {"left goroutines", plain, figure("left_goroutines")},
		}
	case load.Hold:
		return []metric{
			{"heap B/conn", plain, server(func(s *load.Side) float64 { return s.HeapPerConn })},
			{"RSS B/conn", plain, server(func(s *load.Side) float64 { return s.RSSPerConn })},
			{"goroutines", plain, server(func(s *load.Side) float64 { return float64(s.Goroutines) })},
			{"idle CPU %", plain, figure("server_idle_cpu_percent")},
			{"dialled/s", short, func(r *load.Result) (float64, bool) { return r.HandshakesPerSecond, true }},
		}
	case load.FanOut:
		return []metric{
			{"deliveries/s", short, rate}, {"round p50 us", plain, latency(p50)}, {"round p99 us", plain, latency(p99)},
			{"CPU-s/million", plain, cpuPerMillion}, {"delivered", plain, figure("delivered")},
		}
	case load.Mixed:
		return []metric{
			{"p99 us", plain, latency(p99)}, {"p50 us", plain, latency(p50)}, {"bulk MB/s", megabytes, figure("bulk_bytes_per_second")},
			{"alone MB/s", megabytes, figure("bulk_alone_bytes_per_second")}, {"bulk kept", plain, figure("bulk_kept")},
		}
	case load.Storm:
		return []metric{
			{"p99 us", plain, latency(p99)}, {"quiet p99 us", plain, figure("quiet_p99_us")}, {"p99 ratio", plain, figure("p99_ratio")},
			{"p50 us", plain, latency(p50)}, {"handshakes/s", short, func(r *load.Result) (float64, bool) { return r.HandshakesPerSecond, true }},
		}
	case load.Slow:
		return []metric{
			{"p99 us", plain, latency(p99)}, {"quiet p99 us", plain, figure("quiet_p99_us")}, {"p99 ratio", plain, figure("p99_ratio")},
			{"serving heap growth MB", megabytes, figure("server_heap_growth_bytes")}, {"RSS growth MB", megabytes, figure("server_rss_growth_bytes")},
		}
	}
	return nil
}

func rate(r *load.Result) (float64, bool)      { return r.MessagesPerSecond, r.MessagesPerSecond > 0 }
func bytesRate(r *load.Result) (float64, bool) { return r.BytesPerSecond, r.BytesPerSecond > 0 }

func cpuPerMillion(r *load.Result) (float64, bool) {
	return r.CPUPerMillion, r.Server != nil && r.Messages > 0 // of one side it would be half the truth
}

func clientAllocs(r *load.Result) (float64, bool) { return r.Client.AllocsPerMessage, r.Messages > 0 }

func serverAllocs(r *load.Result) (float64, bool) {
	return server(func(s *load.Side) float64 { return s.AllocsPerMessage })(r)
}

func server(get func(*load.Side) float64) func(*load.Result) (float64, bool) {
	return func(r *load.Result) (float64, bool) {
		if r.Server == nil {
			return 0, false
		}
		return get(r.Server), true
	}
}

func p50(l *load.Latency) float64  { return l.P50 }
func p99(l *load.Latency) float64  { return l.P99 }
func p999(l *load.Latency) float64 { return l.P999 }

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

// short shows rates: 3 digits and a k or M.
func short(v float64) string {
	switch {
	case math.Abs(v) >= 999.5e3:
		return digits(v/1e6) + "M"
	case math.Abs(v) >= 9995:
		return digits(v/1e3) + "k"
	}
	return plain(v)
}

// plain shows a number with about 3 digits that matter.
func plain(v float64) string {
	if math.Abs(v) >= 999.5 {
		return fmt.Sprintf("%.0f", v)
	}
	return digits(v)
}

func digits(v float64) string {
	switch a := math.Abs(v); {
	case a >= 99.95:
		return fmt.Sprintf("%.0f", v)
	case a >= 9.995:
		return fmt.Sprintf("%.1f", v)
	case a >= 0.995:
		return fmt.Sprintf("%.2f", v)
	case a == 0:
		return "0"
	}
	return fmt.Sprintf("%.3f", v)
}

func megabytes(v float64) string { return plain(v / 1e6) }
