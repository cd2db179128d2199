package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"github.com/carrier-p2p/carrier/bench/driver"
	"github.com/carrier-p2p/carrier/bench/load"
)

// Medians and bounds, of odd and even numbers, in any order.
func TestSpread(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   Spread
	}{
		{[]float64{3}, Spread{3, 3, 3}},
		{[]float64{9, 1, 4}, Spread{4, 1, 9}},
		{[]float64{4, 1, 2, 9}, Spread{3, 1, 9}},
		{[]float64{5, 5, 5, 5, 100}, Spread{5, 5, 100}},
	} {
		if got := spreadOf(test.values); got != test.want {
			t.Errorf("%v: %+v, want %+v", test.values, got, test.want)
		}
	}
}

// Ratios are medians of the first driver by medians of the other; what neither has, or is nearly nothing in both, has none.
func TestRatios(t *testing.T) {
	run := func(rate, allocs float64) *load.Result {
		return &load.Result{
			Messages: 1, MessagesPerSecond: rate, Errors: map[string]uint64{},
			Client: load.Side{AllocsPerMessage: allocs}, Server: &load.Side{},
		}
	}
	c := &comparison{
		Scenario: load.OneWay, Config: load.Config{Scenario: load.OneWay, Conns: 1, Size: 64}, Rounds: 3, Drivers: []string{"ours", "theirs"},
		runs: map[string][]*load.Result{
			"ours":   {run(30, 0.001), run(10, 0.001), run(20, 0.002)},
			"theirs": {run(5, 1), run(4, 1), run(600, 1)},
		},
	}
	c.summarize()
	if got := c.Ratios["theirs"]["messages/s"]; got != 4 {
		t.Errorf("ratio %v, want 20/5", got)
	}
	if _, ok := c.Ratios["theirs"][allocsDialling]; ok {
		t.Error("a ratio of allocations")
	}
	if _, ok := c.Spreads["ours"]["p99 us"]; ok {
		t.Error("a latency that nobody measured")
	}
	c.runs["theirs"][1].Errors["lost"] = 7
	var out strings.Builder
	c.print(&out)
	for _, want := range []string{
		"oneway, 1 connection, 64 B: medians [min..max] of 3 rounds in turns\n", "20.0 [10.0..30.0]", "5.00 [4.00..600]", "lost 7",
		"ours / theirs  4.00x",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "p99 us") {
		t.Errorf("a column that nobody measured:\n%s", out.String())
	}
}

// Every scenario has metrics, the command line of a run comes back as the config it was made from, and every flag in it exists.
func TestArgumentsRoundTrip(t *testing.T) {
	for _, scenario := range load.Scenarios() {
		if len(metrics(scenario)) == 0 {
			t.Errorf("%s has no metrics", scenario)
		}
		want := load.Config{Scenario: scenario, Conns: 7, Size: 1024, Duration: 1500 * time.Millisecond, Warmup: 20 * time.Millisecond}
		if scenario == load.RPC {
			want.Sizes, want.AnswerSize, want.Poisson = []load.SizeShare{{Bytes: 64, Share: 9}, {Bytes: 1024, Share: 1}}, 5, true
			want.Stages = []load.Stage{{For: time.Second, From: 0, To: 1e6 / 3.0}, {For: 500 * time.Millisecond, From: 7, To: 7}}
		}
		want, err := want.WithDefaults()
		if err != nil {
			t.Fatal(err)
		}
		var c commands
		parser, err := kong.New(&c, kong.Vars{"drivers": "", "driver": "tls"})
		if err != nil {
			t.Fatal(err)
		}
		command, err := parser.Parse(arguments(want, "tls", "round 1/2"))
		if err != nil {
			t.Errorf("%s: %v", scenario, err)
			continue
		}
		if got := command.Command(); got != scenario {
			t.Errorf("command %q, want %q", got, scenario)
		}
		flags := map[string]*loadFlags{
			load.OneWay: &c.Oneway.loadFlags, load.RPC: &c.RPC.loadFlags, load.Connect: &c.Connect.loadFlags, load.Hold: &c.Hold.loadFlags,
			load.FanOut: &c.Fanout.loadFlags, load.Mixed: &c.Mixed.loadFlags, load.Storm: &c.Storm.loadFlags, load.Slow: &c.Slow.loadFlags,
			load.Stream: &c.Stream.loadFlags, load.Churn: &c.Churn.loadFlags, load.Soak: &c.Soak.loadFlags,
		}[scenario]
		if flags.Driver != "tls" || flags.JSON != "-" || flags.Label != "round 1/2" {
			t.Errorf("%s: flags %+v", scenario, flags)
		}
		if got, err := flags.config(load.Config{Scenario: scenario, Conns: 1, Rate: 5}); err != nil || cmp.Diff(want, got) != "" {
			t.Errorf("%s: %v, %s", scenario, err, cmp.Diff(want, got))
		}
	}
}

// Timetables and mixes as people type them.
func TestStagesAndShares(t *testing.T) {
	for _, test := range []struct {
		text string
		want stages
	}{
		{"10s:0..5k,30s:5k", stages{{For: 10 * time.Second, From: 0, To: 5000}, {For: 30 * time.Second, From: 5000, To: 5000}}},
		{"1m:1.5M", stages{{For: time.Minute, From: 1.5e6, To: 1.5e6}}},
		{"", nil}, {"10s", nil}, {"10s:", nil}, {"10s:5..", nil}, {"10:5", nil}, {"10s:5,", nil}, {"10s:k", nil}, {"10s:5..6..7", nil},
	} {
		var got stages
		if err := got.UnmarshalText([]byte(test.text)); (err == nil) != (test.want != nil) || err == nil && cmp.Diff(test.want, got) != "" {
			t.Errorf("%q: %v, %v; want %v", test.text, got, err, test.want)
		}
	}
	for _, test := range []struct {
		text string
		want shares
	}{
		{"64:90,16KiB:10", shares{{Bytes: 64, Share: 90}, {Bytes: 16384, Share: 10}}}, {"64:1", shares{{Bytes: 64, Share: 1}}},
		{"", nil}, {"64", nil}, {"64:", nil}, {":1", nil}, {"64:1,", nil}, {"64:x", nil},
	} {
		var got shares
		if err := got.UnmarshalText([]byte(test.text)); (err == nil) != (test.want != nil) || err == nil && cmp.Diff(test.want, got) != "" {
			t.Errorf("%q: %v, %v; want %v", test.text, got, err, test.want)
		}
	}
}

// Tours are made of runs that can be run.
func TestToursAreValid(t *testing.T) {
	for _, c := range append(shortTour(), fullTour()...) {
		if _, err := (&runFlags{Duration: time.Second}).config(c); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// Sizes as people type them, and back.
func TestByteSize(t *testing.T) {
	for _, test := range []struct {
		text string
		want byteSize
		ok   bool
	}{
		{"64", 64, true}, {"1KiB", 1024, true}, {"64KiB", 65536, true}, {"1MiB", 1 << 20, true}, {"1 KiB", 1024, true}, {"0", 0, true},
		{"", 0, false}, {"KiB", 0, false}, {"-1", 0, false}, {"1KB", 0, false}, {"1.5KiB", 0, false}, {"4096MiB", 0, false},
		{"99999999999999999999", 0, false},
	} {
		var got byteSize
		if err := got.UnmarshalText([]byte(test.text)); (err == nil) != test.ok || got != test.want {
			t.Errorf("%q: %d, %v; want %d, ok %v", test.text, got, err, test.want, test.ok)
		}
		if !test.ok {
			continue
		}
		var again byteSize
		if err := again.UnmarshalText([]byte(got.String())); err != nil || again != got {
			t.Errorf("%q: shown as %q, which reads as %d, %v", test.text, got, again, err)
		}
	}
}

// Numbers keep three digits that matter and never wander into exponents.
func TestShow(t *testing.T) {
	for _, test := range []struct {
		v            float64
		plain, short string
	}{
		{0, "0", "0"}, {0.0004, "0.000", "0.000"}, {0.1234, "0.123", "0.123"}, {1.006, "1.01", "1.01"}, {9.999, "10.0", "10.0"},
		{12.34, "12.3", "12.3"}, {99.96, "100", "100"}, {123.4, "123", "123"}, {1234, "1234", "1234"}, {12345, "12345", "12.3k"},
		{999_600, "999600", "1.00M"}, {1.234e7, "12340000", "12.3M"}, {-5, "-5.00", "-5.00"}, {-12345, "-12345", "-12.3k"},
	} {
		if got := plain(test.v); got != test.plain {
			t.Errorf("plain(%v) = %q, want %q", test.v, got, test.plain)
		}
		if got := short(test.v); got != test.short {
			t.Errorf("short(%v) = %q, want %q", test.v, got, test.short)
		}
	}
}

// Hexadecimal as it is pasted.
func TestParseHex(t *testing.T) {
	for _, test := range []struct {
		text string
		want []byte
		ok   bool
	}{
		{"", []byte{}, true}, {"00ff", []byte{0, 255}, true}, {"0x00 0xFF", []byte{0, 255}, true}, {"00:ff,\n 10", []byte{0, 255, 16}, true},
		{"0", nil, false}, {"zz", nil, false}, {"00-ff", nil, false},
	} {
		got, err := parseHex(test.text)
		if test.ok != (err == nil) || (test.ok && cmp.Diff(test.want, got) != "") {
			t.Errorf("%q: %x, %v; want %x, ok %v", test.text, got, err, test.want, test.ok)
		}
		if err != nil && !errors.Is(err, errUsage) {
			t.Errorf("%q: %v is no usage error", test.text, err)
		}
	}
}

// The line of progress, with and without something to count.
func TestProgressLine(t *testing.T) {
	for _, test := range []struct {
		tick load.Tick
		want string
	}{
		{load.Tick{Part: "warm-up", Elapsed: 200 * time.Millisecond}, "rpc tls: warm-up 0.2s"},
		{load.Tick{Part: "rpc", Elapsed: 2 * time.Second, Messages: 50_000}, "rpc tls: rpc 2.0s, 50.0k (25.0k/s)"},
	} {
		if got := progressLine("rpc tls", test.tick); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

// Errors are shown without the names of our packages, and end with the code that the documents promise.
func TestExitCodes(t *testing.T) {
	for _, test := range []struct {
		err  error
		want int
	}{
		{nil, exitFine}, {errFaults, exitFaults}, {errInterrupted, exitInterrupted}, {errUsage, exitUsage}, {errors.New("x"), exitFailed},
		{outcome(&load.Result{Interrupted: true}), exitInterrupted},
		{outcome(&load.Result{Interrupted: true, Errors: map[string]uint64{"lost": 1}}), exitFaults},
		{outcome(&load.Result{}), exitFine},
	} {
		if got := exitCode(test.err); got != test.want {
			t.Errorf("%v: exit code %d, want %d", test.err, got, test.want)
		}
	}
	if got := trimPackage(errors.New("load: config: driver: bad")); got != "config: bad" {
		t.Errorf("shown as %q", got)
	}
}

// Every driver that the command line offers exists under its name, and no two share one.
func TestDriverNames(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range driver.Names() {
		d, err := driver.ByName(name)
		if err != nil || d.Name() != name || seen[name] {
			t.Errorf("%s: %v, %v", name, d, err)
		}
		seen[name] = true
	}
	if _, err := driver.ByName("nonsense"); err == nil {
		t.Error("there is a driver of nonsense")
	}
}
