package load

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Defaults, and what is refused, all at once.
func TestConfig(t *testing.T) {
	c, err := Config{Scenario: RPC}.WithDefaults()
	want := Config{Scenario: RPC, Conns: 1, Inflight: 1, Size: 64, BulkSize: 64 << 10, Duration: 2 * time.Second, Warmup: 500 * time.Millisecond}
	if err != nil || !cmp.Equal(c, want) {
		t.Errorf("%+v, %v; want %+v", c, err, want)
	}
	// None stays none through defaults, which are applied more than once, and through JSON, where it is 0.
	c, _ = Config{Scenario: RPC, Warmup: -time.Hour, Duration: 300 * time.Millisecond}.WithDefaults()
	b, jsonErr := json.Marshal(c)
	var read Config
	if jsonErr = errors.Join(jsonErr, json.Unmarshal(b, &read)); jsonErr != nil {
		t.Fatal(jsonErr)
	}
	read.Scenario = RPC
	if again, _ := read.WithDefaults(); again.Warmup != NoWarmup || !cmp.Equal(again, c) || !strings.Contains(string(b), `"warmup_seconds":0,`) {
		t.Errorf("warm-up %v of %s, want none", again.Warmup, b)
	}
	for _, test := range []struct {
		config   Config
		problems []string
	}{
		{Config{Scenario: "dance"}, []string{`no scenario "dance"`}},
		{Config{Scenario: RPC, Size: HeaderSize - 1}, []string{"size 23"}},
		{Config{Scenario: RPC, Size: SizeLimit + 1}, []string{"size 1048577"}},
		{Config{Scenario: Hold, Rate: 5}, []string{"no rate"}},
		{Config{Scenario: Stream, Direction: Both, Rate: 5}, []string{"no rate"}},
		{Config{Scenario: Stream, Direction: "sideways"}, []string{`no direction "sideways"`}},
		{Config{Scenario: RPC, Direction: Up}, []string{"has no direction"}},
		{Config{Scenario: RPC, Rate: math.NaN()}, []string{"rate NaN"}},
		{Config{Scenario: RPC, Rate: 1, Stages: []Stage{{time.Second, 1, 1}}}, []string{"a rate and stages"}},
		{Config{Scenario: RPC, Stages: []Stage{{0, 1, 1}, {time.Second, -1, 1}, {time.Second, 1, math.Inf(1)}, {time.Second, 1, math.NaN()}}},
			[]string{"stage 1 lasts 0s", "stage 2: rates -1 to 1", "stage 3: rates 1 to +Inf", "stage 4: rates 1 to NaN"}},
		{Config{Scenario: RPC, Stages: make([]Stage, stagesLimit+1)}, []string{"101 stages"}},
		{Config{Scenario: RPC, Poisson: true}, []string{"Poisson arrivals need a rate"}},
		{Config{Scenario: RPC, Sizes: []SizeShare{{1, 1}, {64, 0}}}, []string{"size 1:", "a share of 0"}},
		{Config{Scenario: FanOut, Sizes: []SizeShare{{64, 1}}}, []string{"one size"}},
		{Config{Scenario: OneWay, AnswerSize: 64}, []string{"no size of answers"}},
		{Config{Scenario: RPC, AnswerSize: SizeLimit + 1}, []string{"answer size 1048577"}},
		{Config{Scenario: OneWay, Inflight: 2}, []string{"none in flight"}},
		{Config{Conns: -1, Inflight: -1, BulkSize: 1, Duration: -1, Rate: -1},
			[]string{"no scenario", "-1 connections", "-1 requests", "bulk size 1", "duration", "rate -1"}},
	} {
		_, err := test.config.WithDefaults()
		if !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: %v, want ErrConfig", test.config, err)
			continue
		}
		for _, problem := range test.problems {
			if !strings.Contains(err.Error(), problem) {
				t.Errorf("%+v: %q does not mention %q", test.config, err, problem)
			}
		}
	}
}

// The keys that whoever keeps results relies on. Removing or renaming one is a break.
func TestResultKeys(t *testing.T) {
	r := Result{Scenario: RPC, LatencyMicros: &Latency{}, Server: &Side{}, Errors: map[string]uint64{}}
	b, err := json.Marshal(&r)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	has := func(in any, keys ...string) {
		t.Helper()
		object, _ := in.(map[string]any)
		for _, key := range keys {
			if _, ok := object[key]; !ok {
				t.Errorf("no key %q in %v", key, in)
			}
		}
	}
	has(got, "scenario", "config", "seconds", "messages", "messages_per_second", "bytes_per_second", "latency_us", "errors",
		"connections", "handshakes_per_second", "client", "server")
	has(got["latency_us"], "p50", "p90", "p99", "p999", "max")
	for _, side := range []string{"client", "server"} {
		has(got[side], "cpu_seconds", "rss_bytes", "heap_bytes", "goroutines", "heap_bytes_per_connection",
			"rss_bytes_per_connection", "allocs_per_message")
	}
	has(got["config"], "conns", "inflight", "size", "duration_seconds", "warmup_seconds", "rate")
}

// A result read back is the result written, spans in seconds.
func TestResultRoundTrip(t *testing.T) {
	want := Result{
		Scenario: Mixed, Driver: "tls", Seconds: 1.5, Messages: 7, Errors: map[string]uint64{"gap": 1},
		Config:        Config{Conns: 3, Inflight: 2, Size: 64, BulkSize: 1 << 16, Duration: 1500 * time.Millisecond, Warmup: 250 * time.Millisecond, Rate: 2.5},
		LatencyMicros: &Latency{P50: 1, Max: 2, Curve: []Quantile{{100, 2}}}, Server: &Side{Goroutines: 4}, Figures: map[string]float64{"bulk_kept": 0.5},
	}
	want.Config.Sizes, want.Config.AnswerSize, want.Config.Direction, want.Config.Poisson = []SizeShare{{64, 9}, {1024, 1}}, 7, Down, true
	want.Config.Stages = []Stage{{time.Second, 0, 100}, {90 * time.Second, 100, 100}}
	want.Series = Series{EverySeconds: 1, Windows: []Window{{Part: Mixed, AtSeconds: 1, Seconds: 1, Messages: 7, Latency: &Glimpse{Count: 7}, Server: &Load{Cores: 0.5}}}}
	want.Drifts, want.Warnings = []Drift{{"server heap_bytes", 1e6, 0.2, 0.001}}, []string{"others were busy"}
	b, err := json.Marshal(&want)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), `"duration_seconds":1.5`) {
		t.Errorf("%s: want the duration in seconds", b)
	}
	var got Result
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// What follows from the counts: rates, CPU for each million of both sides, memory for each connection,
// allocations for each message.
func TestDerived(t *testing.T) {
	before := Usage{RSSBytes: 1000, HeapBytes: 500, Goroutines: 4}
	start := Usage{CPUSeconds: 1, Mallocs: 100}
	end := Usage{CPUSeconds: 3, Mallocs: 300}
	after := Usage{RSSBytes: 3000, HeapBytes: 400, Goroutines: 9}
	r := Result{Messages: 1000, Seconds: 4, Server: new(Side)}
	r.Client = sideOf(before, start, end, after, r.Messages, 10)
	*r.Server = Side{CPUSeconds: 1}
	r.derive()
	want := Side{CPUSeconds: 2, RSSBytes: 3000, HeapBytes: 400, Goroutines: 9, HeapPerConn: -10, RSSPerConn: 200, GoroutinesPerConn: 0.5, AllocsPerMessage: 0.2}
	if r.Client != want {
		t.Errorf("side %+v, want %+v", r.Client, want)
	}
	if r.MessagesPerSecond != 250 || math.Abs(r.CPUPerMillion-3000) > 1e-9 {
		t.Errorf("%v messages/s, %v CPU-s a million; want 250, 3000", r.MessagesPerSecond, r.CPUPerMillion)
	}
	empty := Result{}
	empty.derive()
	if empty.MessagesPerSecond != 0 || empty.CPUPerMillion != 0 {
		t.Errorf("of nothing: %+v", empty)
	}
}
