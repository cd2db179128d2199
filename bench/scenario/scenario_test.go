package scenario_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/carrier-p2p/carrier/bench/load"
	"github.com/carrier-p2p/carrier/bench/scenario"
	"github.com/carrier-p2p/carrier/bench/slo"
)

// A file with everything in it.
func TestParse(t *testing.T) {
	got, err := scenario.Parse(`
# all keys
title    everything   # at once
driver   tls
against  gnet tcp
rounds   3
duration 3s
warmup   0s
scenario rpc
  conns 10
  inflight 4
  sizes 64:90 16KiB:10
  answer 1KiB
  stage 5s 0..20k
  stage 1m 20k
  arrival poisson
  expect p99<2ms, errors<0.1%
  expect rate>1k
scenario stream
	direction both
	size 1MiB
	duration 1s
	warmup 1s
scenario mixed
  bulk 128KiB
  rate 1.5k
  driver carrier-quic
  against quic lent
`)
	if err != nil {
		t.Fatal(err)
	}
	want := &scenario.File{
		Title: "everything", Driver: "tls", Against: []string{"gnet", "tcp"}, Rounds: 3,
		Runs: []scenario.Run{
			{
				Config: load.Config{
					Scenario: load.RPC, Conns: 10, Inflight: 4, Size: 64, Sizes: []load.SizeShare{{Bytes: 64, Share: 90}, {Bytes: 16384, Share: 10}}, AnswerSize: 1024,
					BulkSize: 65536, Duration: 65 * time.Second, Warmup: -1, Poisson: true,
					Stages: []load.Stage{{For: 5 * time.Second, From: 0, To: 20_000}, {For: time.Minute, From: 20_000, To: 20_000}},
				},
				Expect: slo.Rules{{Measure: "p99", Op: "<", Bound: 2000}, {Measure: "errors", Op: "<", Bound: 0.001}, {Measure: "rate", Op: ">", Bound: 1000}},
			},
			{Config: load.Config{Scenario: load.Stream, Direction: load.Both, Conns: 1, Inflight: 16, Size: 1 << 20, BulkSize: 65536, Duration: time.Second, Warmup: time.Second}},
			{Config: load.Config{Scenario: load.Mixed, Conns: 1, Inflight: 1, Size: 64, BulkSize: 131072, Duration: 3 * time.Second, Warmup: -1, Rate: 1500}, Driver: "carrier-quic", Against: []string{"quic", "lent"}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A scenario may be called what its command may be called.
func TestParseAlias(t *testing.T) {
	got, err := scenario.Parse("scenario broadcast\nconns 20")
	if err != nil || got.Runs[0].Config.Scenario != load.FanOut {
		t.Errorf("%+v, %v", got, err)
	}
}

// Every wrong line is told, up to ten, with the key that was meant; a run that is not as it was meant is not judged as a whole.
func TestParseTellsAll(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"druation 2s\nscenario rpc", `line 1: no key "druation" before the first scenario: did you mean "duration"?`},
		{"scenario rpc\ninflght 64\n\nsize 64x # bytes\nscenario hold\nrate 5\nscenario rpc\nrate 5\nstage 1s 5", `
  line 2: no key "inflght" in a scenario: did you mean "inflight"?
  line 4: "64x" is no size: want bytes such as 64, 1KiB or 1MiB
  line 5: load: config: hold has no rate: nothing happens in it
  line 7: load: config: a rate and stages: want one of them`},
		{"scenario rpc\nszie 64\nexpct p99<1s\nstages 1s 5\nwarm 1s\nzzz 1\nsize 1", `
  line 2: no key "szie" in a scenario: did you mean "size"?
  line 3: no key "expct" in a scenario: did you mean "expect"?
  line 4: no key "stages" in a scenario: did you mean "stage"?
  line 5: no key "warm" in a scenario: want one of conns, inflight, size, sizes, answer, bulk, direction, duration, warmup, rate, stage, arrival, expect, driver, against, scenario
  line 6: no key "zzz" in a scenario: want one of conns, inflight, size, sizes, answer, bulk, direction, duration, warmup, rate, stage, arrival, expect, driver, against, scenario`},
		{"scenario rpc\nan-extraordinarily-long-key 1", `line 2: no key "an-extraordinarily-long-key" in a scenario: want one of`},
	} {
		_, err := scenario.Parse(test.text)
		if err == nil || !strings.HasPrefix(err.Error(), "scenario: not a scenario file: "+test.want) {
			t.Errorf("%q: %v, want %s", test.text, err, test.want)
		}
	}
	_, err := scenario.Parse("scenario rpc\n" + strings.Repeat("nonsense 1\n", 50))
	if n := strings.Count(err.Error(), "\n"); n != 10 {
		t.Errorf("%d lines of 50 wrong ones are told, want 10", n)
	}
}

// What is wrong is said with its line.
func TestParseRefuses(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", "no scenario"}, {"# nothing\n", "no scenario"}, {"title x\n", "no scenario"},
		{"conns 5\nscenario rpc", `line 1: no key "conns" before the first scenario: it belongs in a scenario`}, {"scenario rpc\nrounds 5", `line 2: no key "rounds" in a scenario: it belongs before the first scenario`},
		{"scenario", "line 1: scenario has no value"}, {"scenario dance", `line 1: load: config: no scenario "dance"`},
		{"scenario rpc\n\nconns", "line 3: conns has no value"}, {"scenario rpc\nconns 5\nconns 6", "line 3: conns is said twice"},
		{"scenario rpc\nconns 0", "line 2"}, {"scenario rpc\nconns x", "line 2"}, {"scenario rpc\nsize 1KB", "line 2: \"1KB\" is no size"},
		{"scenario rpc\nsize 23", "line 1: load: config: size 23"}, {"scenario rpc\nrate fast", "line 2"}, {"scenario rpc\nrate -1", "line 2"},
		{"scenario rpc\nstage 5s", "line 2"}, {"scenario rpc\nstage 5s 1..2..3", "line 2"}, {"scenario rpc\nstage 0s 5", "line 1: load: config: stage 1 lasts 0s"},
		{"scenario rpc\nstage 1s 5\nduration 3s", "a duration and stages"}, {"scenario rpc\nstage 1s 5\nrate 3", "a rate and stages"},
		{"scenario rpc\narrival never", "line 2: arrival"}, {"scenario rpc\narrival poisson", "Poisson arrivals need a rate"},
		{"scenario rpc\nexpect p98<1s", "line 2: slo: not a rule"}, {"scenario rpc\nexpect p99<1s errors<=0", "commas between rules"}, {"scenario rpc\nduration 0s", "line 2"}, {"scenario rpc\nwarmup -1s", "line 2"},
		{"rounds 1001\nscenario rpc", "line 1"}, {"scenario hold\nrate 5\nscenario rpc", "line 1: load: config: hold has no rate"},
		{strings.Repeat("scenario rpc\n", 101), "line 101: more than 100 runs"}, {strings.Repeat("#", 1<<16+1), "65537 bytes"},
		{"scenario rpc\nsizes 64", "line 2"}, {"scenario rpc\nsizes 64:0", "a share of 0"},
	} {
		_, err := scenario.Parse(test.text)
		if !errors.Is(err, scenario.ErrFile) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%.60q: %v, want ErrFile that mentions %q", test.text, err, test.want)
		}
	}
}

// law: a file that is read has runs that load accepts, is read the same with comments and blanks added, and not at all with an
// unknown key added.
func FuzzParse(f *testing.F) {
	for _, name := range scenario.ReadyNames() {
		text, err := scenario.Ready(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add("scenario rpc\nstage 1s 1e300..2\n")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := scenario.Parse(text)
		if err != nil {
			if !errors.Is(err, scenario.ErrFile) {
				t.Fatalf("%v is no ErrFile", err)
			}
			return
		}
		for _, r := range file.Runs {
			c := r.Config
			if again, err := c.WithDefaults(); err != nil || again.Duration <= 0 || again.Conns < 1 {
				t.Fatalf("%+v: %v", again, err)
			}
		}
		again, err := scenario.Parse("  # first\n\n" + strings.ReplaceAll(text, "\n", "  \n\n"))
		if err != nil {
			if len(text) > 20_000 {
				return // blanks made it too long
			}
			t.Fatalf("with blanks: %v", err)
		}
		if diff := cmp.Diff(file, again); diff != "" {
			t.Fatal(diff)
		}
		if _, err := scenario.Parse(text + "\nnonsense 5\n"); err == nil {
			t.Fatal("an unknown key was accepted")
		}
	})
}

// Every scenario that comes with the program is read, says what it is for, and expects something somewhere;
// together they use every scenario.
func TestReady(t *testing.T) {
	used := map[string]bool{}
	for _, name := range scenario.ReadyNames() {
		text, err := scenario.Ready(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := scenario.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		expects := slices.ContainsFunc(f.Runs, func(r scenario.Run) bool { return len(r.Expect) > 0 })
		if f.Title == "" || !expects {
			t.Errorf("%s: title %q, expects something: %v", name, f.Title, expects)
		}
		for _, r := range f.Runs {
			used[r.Config.Scenario] = true
		}
	}
	for _, name := range load.Scenarios() {
		if !used[name] {
			t.Errorf("no ready file uses %s", name)
		}
	}
	if _, err := scenario.Ready("../doc"); !errors.Is(err, scenario.ErrNoReady) {
		t.Errorf("a path: %v", err)
	}
}
