package report

import (
	"errors"
	"strings"
	"testing"

	"github.com/carrier-p2p/carrier/bench/load"
)

// A column for each driver, a line for each figure that matters: medians, and the first driver's divided by
// them. Who did not take part has an empty cell, who could not n/a, who broke failed.
func TestWriteRatios(t *testing.T) {
	run := func(driver string, c load.Config, p50, rate float64) Record {
		return Record{Result: load.Result{
			Scenario: c.Scenario, Driver: driver, Config: c, Messages: 1, MessagesPerSecond: rate, LatencyMicros: &load.Latency{P50: p50}, Errors: map[string]uint64{},
		}}
	}
	single := load.Config{Scenario: load.RPC, Conns: 1, Inflight: 1, Size: 64, Duration: 2e9}
	many := load.Config{Scenario: load.RPC, Conns: 10, Inflight: 1, Size: 64, Duration: 1e9}
	hold := load.Config{Scenario: load.Hold, Conns: 100, Size: 64, Duration: 1e9}
	idle := run("ours", hold, 0, 0)
	idle.Server = &load.Side{HeapPerConn: 1500, RSSPerConn: 3000, GoroutinesPerConn: 0}
	theirs := run("theirs", hold, 0, 0)
	theirs.Server, theirs.Library = &load.Side{HeapPerConn: 150_000, RSSPerConn: 6000, GoroutinesPerConn: 2}, "theirs v1"
	unable := run("unable", many, 0, 0)
	unable.Cannot = "connection 1 of 10: this driver has no way: it has no requests"
	broken := run("broken", many, 0, 0)
	broken.Failure = "exit status 2"
	lossy := run("theirs", many, 1, 100)
	lossy.Errors["lost"] = 3
	all := []Record{
		run("ours", single, 50, 9), run("theirs", single, 100, 9), run("ours", many, 1, 3000), lossy, unable, broken, idle, theirs,
		run("other", single, 10, 1), run("theirs", single, 30, 1),
	}
	all[8].Set, all[9].Set = "other", "other" // the same config as the first two, and another comparison
	var md strings.Builder
	if err := WriteRatios(&md, "md", all); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"|  | ours | theirs | unable | broken |\n|---|---:|---:|---:|---:|\n",
		"| rpc, 1 connection, 1 in flight on each, 64 B: p50 us | 50.0 | 100 (0.5) |  |  |\n",
		"| rpc, 10 connections, 1 in flight on each, 64 B: requests/s | 3000 | 100 (30)* | n/a | failed |\n",
		"| hold, 100 connections: heap B/conn | 1500 | 150k (0.01) |  |  |\n",
		"| hold, 100 connections: goroutines/conn | 0 | 2.00 |  |  |\n",
		"|  | other | theirs |\n|---|---:|---:|\n| rpc, 1 connection, 1 in flight on each, 64 B: p50 us | 10.0 | 30.0 (0.33) |\n",
		"- medians of rounds in turns: 1, 2s or 1s each\n", "- theirs v1\n", "- unable: n/a: it has no requests\n",
		"- rpc, broken: failed: exit status 2\n", "theirs: lost 3\n",
	} {
		if !strings.Contains(md.String(), want) {
			t.Errorf("no %q in\n%s", want, md.String())
		}
	}
	if err := WriteRatios(&md, "html", all); !errors.Is(err, ErrFormat) {
		t.Errorf("as HTML: %v", err)
	}
}

func TestRatio(t *testing.T) {
	for _, test := range []struct {
		v    float64
		want string
	}{{0.00123, "0.0012"}, {0.064, "0.064"}, {0.5, "0.5"}, {1, "1"}, {1.25, "1.2"}, {9.94, "9.9"}, {9.96, "10"}, {123.4, "123"}} {
		if got := Ratio(test.v); got != test.want {
			t.Errorf("Ratio(%v) = %q, want %q", test.v, got, test.want)
		}
	}
}

// What is between the marks is replaced, and nothing else; a page without one place for it is left alone.
func TestBetween(t *testing.T) {
	const page = "a\n" + beginMark + "\nold\n" + endMark + "\nb\n"
	got, err := Between(page, "new\nlines\n\n")
	if want := strings.Replace(page, "old\n", "new\nlines\n", 1); err != nil || got != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	if again, err := Between(got, "new\nlines"); err != nil || again != got {
		t.Errorf("the same again: %q, %v", again, err)
	}
	for _, page := range []string{"", "a\n", beginMark + "\n", endMark + "\n" + beginMark + "\n", page + page, page + beginMark + "\n"} {
		if got, err := Between(page, "x"); !errors.Is(err, ErrMarks) || got != "" {
			t.Errorf("%q: %q, %v, want ErrMarks", page, got, err)
		}
	}
}
