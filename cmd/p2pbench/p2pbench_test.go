package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"github.com/carrier-p2p/carrier/bench/driver"
	"github.com/carrier-p2p/carrier/bench/load"
	"github.com/carrier-p2p/carrier/bench/process"
	"github.com/carrier-p2p/carrier/bench/report"
)

// Every scenario has metrics, the command line of a run comes back as the config it was made from, and every flag in it exists.
func TestArgumentsRoundTrip(t *testing.T) {
	for _, scenario := range load.Scenarios() {
		if len(report.Metrics(scenario)) == 0 {
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
		parser, err := kong.New(&c, kong.Vars{"drivers": "", "driver": "tls", "adversaries": ""})
		if err != nil {
			t.Fatal(err)
		}
		command, err := parser.Parse(process.Arguments(want, "tls", "round 1/2"))
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

func outcomeOf(r load.Result) error {
	kept := records{app: &app{ctx: context.Background()}, all: []report.Record{{}, {Result: r}}}
	return kept.outcome()
}

// Lines that stand out are coloured whole, however they are cut into writes; all others stay as they are.
func TestPaint(t *testing.T) {
	var out strings.Builder
	p := &painter{to: &out}
	for _, part := range []string{"  p99 us  5\n  no", "te  busy\n", "errors  none\n\nerrors  lost 3\n", "worse  x\nnot ended"} {
		if n, err := p.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	want := "  p99 us  5\n" + yellow + "  note  busy" + plain + "\nerrors  none\n\n" + red + "errors  lost 3" + plain + "\n" + red + "worse  x" + plain + "\n"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
	if p.flush(); out.String() != want+"not ended" {
		t.Errorf("%q after flush", out.String())
	}
}

// A line is cut to the window, whatever its width.
func TestFit(t *testing.T) {
	for _, test := range []struct {
		columns int
		want    string
	}{{80, "rpc tls"}, {7, "rpc tls"}, {3, "rpc"}, {0, ""}, {-1, ""}} {
		if got := fit("rpc tls", test.columns); got != test.want {
			t.Errorf("%d columns: %q, want %q", test.columns, got, test.want)
		}
	}
}

// Errors are shown without the names of our packages, and end with the code that the documents promise.
func TestExitCodes(t *testing.T) {
	for _, test := range []struct {
		err  error
		want int
	}{
		{nil, exitFine}, {errFaults, exitFaults}, {errThreshold, exitThreshold}, {outcomeOf(load.Result{Drifts: make([]load.Drift, 1)}), exitThreshold}, {errInterrupted, exitInterrupted}, {errUsage, exitUsage}, {errors.New("x"), exitFailed},
		{outcomeOf(load.Result{Interrupted: true}), exitInterrupted},
		{outcomeOf(load.Result{Interrupted: true, Errors: map[string]uint64{"lost": 1}}), exitFaults},
		{outcomeOf(load.Result{}), exitFine},
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
