package report

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/carrier-p2p/carrier/bench/load"
)

func set(better Better, values ...float64) *Set {
	return &Set{Samples: []Sample{{Name: "x", Unit: "u", Better: better, Values: values}}}
}

// A verdict needs enough rounds, order beyond chance, and an effect that matters; which way is better, the figure says.
func TestCompare(t *testing.T) {
	limits := Limits{Alpha: 0.01, Effect: 0.05}
	low, high := []float64{10, 11, 12, 13, 14}, []float64{20, 21, 22, 23, 24}
	near := []float64{10.1, 11.1, 12.1, 13.1, 14.1}
	for _, test := range []struct {
		name   string
		a, b   []float64
		better Better
		want   Verdict
	}{
		{"slower", high, low, Higher, Worse}, {"faster", low, high, Higher, Improved}, {"larger", low, high, Lower, Worse}, {"smaller", high, low, Lower, Improved},
		{"other", low, high, Either, Changed}, {"the same", low, low, Higher, Unchanged}, {"noise", low, near, Higher, Unchanged},
		{"four rounds", low[:4], high[:4], Higher, TooFew}, {"one round", low[:1], high[:1], Higher, TooFew},
		{"clear but small", []float64{100, 100.1, 100.2, 100.3, 100.4}, []float64{101, 101.1, 101.2, 101.3, 101.4}, Lower, Unchanged},
		{"from nothing", []float64{0, 0, 0, 0, 0}, []float64{1, 1, 1, 1, 1}, Lower, Worse}, {"nothing at all", []float64{0, 0, 0, 0, 0}, []float64{0, 0, 0, 0, 0}, Lower, Unchanged},
	} {
		c := Compare(set(test.better, test.a...), set(test.better, test.b...), limits)
		if len(c.Changes) != 1 || c.Changes[0].Verdict != test.want {
			t.Errorf("%s: %+v, want %v", test.name, c.Changes, test.want)
		}
	}
}

// From nothing to next to nothing is no change where objects are counted.
func TestCompareNextToNothing(t *testing.T) {
	zero := []float64{0, 0, 0, 0, 0}
	for _, test := range []struct {
		unit string
		to   float64
		want Verdict
	}{{"B/op", 1, Unchanged}, {"B/op", 8, Worse}, {"allocs-serving/op", 0.005, Unchanged}, {"allocs-serving/op", 0.5, Worse}, {"allocs/op", 1, Worse}} {
		a, b := set(Lower, zero...), set(Lower, test.to, test.to, test.to, test.to, test.to)
		a.Samples[0].Unit, b.Samples[0].Unit = test.unit, test.unit
		if c := Compare(a, b, Limits{Alpha: 0.01, Effect: 0.05}); c.Changes[0].Verdict != test.want {
			t.Errorf("%v %s: %v, want %v", test.to, test.unit, c.Changes[0].Verdict, test.want)
		}
	}
}

// What is in one file only is named; the text has the worst first and counts everything.
func TestCompareText(t *testing.T) {
	a, b := set(Lower, 10, 11, 12, 13, 14), set(Lower, 20, 21, 22, 23, 24)
	a.Samples = append(a.Samples, Sample{Name: "BenchmarkGone", Unit: "ns/op", Values: []float64{1}}, Sample{Name: "BenchmarkStays", Unit: "ns/op", Values: []float64{5, 5, 5, 5, 5}})
	b.Samples = append(b.Samples, Sample{Name: "BenchmarkStays", Unit: "ns/op", Values: []float64{5, 5, 5, 5, 5}}, Sample{Name: "BenchmarkNew", Unit: "ns/op", Values: []float64{1}})
	c := Compare(a, b, Limits{Alpha: 0.01, Effect: 0.05})
	var some, all bytes.Buffer
	if err := errors.Join(c.WriteText(&some, false), c.WriteText(&all, true)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"worse    x          u     12 [10..14]  22 [20..24]  +83.3 %  0.0079\n", "1 worse, 0 better, 0 changed, 1 within noise", "; 1 only in A, 1 only in B\n"} {
		if !strings.Contains(some.String(), want) {
			t.Errorf("no %q in\n%s", want, some.String())
		}
	}
	if strings.Contains(some.String(), "Stays") || !strings.Contains(all.String(), "Stays") {
		t.Errorf("what stays is shown when it is not asked for, or not when it is:\n%s\n%s", some.String(), all.String())
	}
	if c.OnlyA[0] != "BenchmarkGone ns/op" || c.OnlyB[0] != "BenchmarkNew ns/op" {
		t.Errorf("only in A %v, only in B %v", c.OnlyA, c.OnlyB)
	}
}

// The least p that can be seen: 2 in all orders of the values.
func TestLeastP(t *testing.T) {
	for _, test := range []struct {
		n, m int
		want float64
	}{{1, 1, 1}, {3, 3, 0.1}, {4, 4, 2.0 / 70}, {5, 5, 2.0 / 252}, {5, 3, 2.0 / 56}, {3, 5, 2.0 / 56}} {
		if got := leastP(test.n, test.m); math.Abs(got-test.want) > 1e-12 {
			t.Errorf("%d and %d: %v, want %v", test.n, test.m, got, test.want)
		}
	}
}

const goBench = `goos: linux
goarch: amd64
pkg: example.org/x
cpu: AMD EPYC
Unit weight better=lower
some log line
BenchmarkSeal/size=64-2   	 1000	      75.2 ns/op	  850.00 MB/s	       0 B/op	       0 allocs/op
BenchmarkSeal/size=64-2   	 1000	      76.2 ns/op	  840.00 MB/s	       0 B/op	       0 allocs/op
BenchmarkOdd-2            	 1	 5 weight	 7 colour
BenchmarkSays something of its own here
PASS
ok  	example.org/x	1.2s
`

// Go benchmark output is read with its machine and units; results of p2pbench are read the same through their own lines.
func TestReadSet(t *testing.T) {
	set, err := ReadSet(strings.NewReader(goBench))
	if err != nil {
		t.Fatal(err)
	}
	if set.Host == nil || set.Host.CPU != "AMD EPYC" || set.Host.OS != "linux" || len(set.Samples) != 6 {
		t.Fatalf("%+v", set)
	}
	for i, want := range []Sample{
		{"BenchmarkSeal/size=64-2", "ns/op", Lower, []float64{75.2, 76.2}}, {"BenchmarkSeal/size=64-2", "MB/s", Higher, []float64{850, 840}},
		{"BenchmarkSeal/size=64-2", "B/op", Lower, []float64{0, 0}}, {"BenchmarkSeal/size=64-2", "allocs/op", Lower, []float64{0, 0}},
		{"BenchmarkOdd-2", "weight", Lower, []float64{5}}, {"BenchmarkOdd-2", "colour", Either, []float64{7}},
	} {
		got := set.Samples[i]
		if got.Name != want.Name || got.Unit != want.Unit || got.Better != want.Better || len(got.Values) != len(want.Values) || got.Values[0] != want.Values[0] {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	stream := record("ours", 1, 30)
	stream.Scenario, stream.BytesPerSecond = load.Stream, 5e6
	all := append(records(), stream)
	var jsonl, bench bytes.Buffer
	if err := errors.Join(WriteJSONL(&jsonl, all), WriteBench(&bench, all)); err != nil {
		t.Fatal(err)
	}
	fromJSON, err := ReadSet(&jsonl)
	if err != nil {
		t.Fatal(err)
	}
	fromLines, err := ReadSet(&bench)
	if err != nil {
		t.Fatal(err)
	}
	c := Compare(fromJSON, fromLines, Limits{})
	for _, change := range c.Changes {
		if math.Abs(change.Share) > 1e-5 { // six digits
			t.Errorf("read from JSON and from lines they differ: %+v", change)
		}
	}
	if len(c.OnlyA)+len(c.OnlyB) > 0 || len(c.Changes) == 0 {
		t.Errorf("read from JSON and from lines they differ: only %v, only %v", c.OnlyA, c.OnlyB)
	}
}

// What holds nothing to compare, or a line that lies about itself, is refused.
func TestReadSetRefuses(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"", "empty"}, {"PASS\n", "neither"}, {"BenchmarkX-2 5 7 ns/op 3\n", "line 1"}, {"PASS\nBenchmarkX-2 5 fast ns/op\n", "line 2"}, {"BenchmarkX-2 5 NaN ns/op", "line 1"}, {"{", "line 1"}, {"[", ""},
	} {
		if _, err := ReadSet(strings.NewReader(test.in)); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v, want ErrFormat that mentions %q", test.in, err, test.want)
		}
	}
}

// law: what is read compares with itself without a difference, and every value is in a sample with a name and a unit.
func FuzzReadSet(f *testing.F) {
	f.Add([]byte(goBench))
	f.Add([]byte("BenchmarkX 1 1e400 u\n"))
	f.Add([]byte(`{"scenario":"hold","server":{}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		set, err := ReadSet(bytes.NewReader(in))
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("%v is no ErrFormat", err)
			}
			return
		}
		for _, s := range set.Samples {
			if s.Name == "" || s.Unit == "" || len(s.Values) == 0 {
				t.Fatalf("%+v", s)
			}
		}
		c := Compare(set, set, Limits{Alpha: 1, Effect: 0.01})
		if len(c.OnlyA)+len(c.OnlyB) > 0 || c.Count(Worse)+c.Count(Improved)+c.Count(Changed) > 0 {
			t.Fatalf("it differs from itself: %+v", c)
		}
	})
}
