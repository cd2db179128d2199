package report

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"

	"github.com/carrier-p2p/carrier/bench/stats"
)

// A Verdict is what became of one figure.
type Verdict uint8

// Verdicts, the ones that matter first.
const (
	Worse     Verdict = iota
	Improved          // beyond noise, and beyond the least effect
	Changed           // the same of a figure that has no better
	Unchanged         // within noise, or too little to matter
	TooFew            // so few rounds that nothing could have been seen
)

func (v Verdict) String() string {
	return [...]string{"worse", "better", "changed", "same", "too few rounds"}[v]
}

// A Change is one figure in two files.
type Change struct {
	Name, Unit string
	A, B       Spread
	Share      float64 // of A's median, by which B's is larger; infinite if A's is 0 and B's is not
	P          float64 // the probability of so much difference by chance
	Verdict    Verdict
}

// A Comparison is all of them, and what is in one file only.
type Comparison struct {
	Changes      []Change
	OnlyA, OnlyB []string // "name unit"
}

// Limits say when a difference counts.
type Limits struct {
	Alpha  float64 // the most P may be: 0.01 lets one figure of a hundred look different by chance
	Effect float64 // the least share
}

// Compare holds B against A.
func Compare(a, b *Set, l Limits) Comparison {
	var c Comparison
	inB := map[[2]string]*Sample{}
	for i := range b.Samples {
		inB[[2]string{b.Samples[i].Name, b.Samples[i].Unit}] = &b.Samples[i]
	}
	for i := range a.Samples {
		before := &a.Samples[i]
		key := [2]string{before.Name, before.Unit}
		after := inB[key]
		if after == nil {
			c.OnlyA = append(c.OnlyA, before.Name+" "+before.Unit)
			continue
		}
		delete(inB, key)
		c.Changes = append(c.Changes, l.judge(before, after))
	}
	for i := range b.Samples {
		if s := &b.Samples[i]; inB[[2]string{s.Name, s.Unit}] != nil {
			c.OnlyB = append(c.OnlyB, s.Name+" "+s.Unit)
		}
	}
	return c
}

func (l Limits) judge(a, b *Sample) Change {
	c := Change{Name: a.Name, Unit: a.Unit, A: SpreadOf(a.Values), B: SpreadOf(b.Values), P: stats.MannWhitney(a.Values, b.Values)}
	difference := c.B.Median - c.A.Median
	switch {
	case difference == 0:
	case c.A.Median == 0:
		c.Share = math.Inf(1)
		if difference < 0 {
			c.Share = math.Inf(-1)
		}
	default:
		c.Share = difference / math.Abs(c.A.Median)
	}
	switch {
	case leastP(len(a.Values), len(b.Values)) > l.Alpha:
		c.Verdict = TooFew
	case c.P > l.Alpha || math.Abs(c.Share) < l.Effect || math.Abs(difference) < leastDifference(a.Unit) || difference == 0:
		c.Verdict = Unchanged
	case a.Better == Either:
		c.Verdict = Changed
	case (difference > 0) == (a.Better == Higher):
		c.Verdict = Improved
	default:
		c.Verdict = Worse
	}
	return c
}

// leastDifference is what a figure that is zero, or nearly, must grow by to matter: a share of nothing is infinite.
func leastDifference(unit string) float64 {
	switch {
	case unit == "B/op":
		return 8 // the smallest object
	case strings.HasPrefix(unit, "allocs-"):
		return 0.01 // of whole processes: timers and windows allocate by the second
	}
	return 0
}

// leastP is the smallest probability that so many values can show: all of one set beyond all of the other, either way.
func leastP(n, m int) float64 {
	ways := 1.0
	for i := 1; i <= min(n, m); i++ {
		ways *= float64(max(n, m)+i) / float64(i)
	}
	return 2 / ways
}

// Count returns how many figures have a verdict.
func (c *Comparison) Count(v Verdict) (n int) {
	for i := range c.Changes {
		if c.Changes[i].Verdict == v {
			n++
		}
	}
	return n
}

// WriteText prints what differs, or with all everything that is in both files, the worst first.
func (c *Comparison) WriteText(w io.Writer, all bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	shown := 0
	for _, v := range []Verdict{Worse, Improved, Changed, Unchanged, TooFew} {
		if v >= Unchanged && !all {
			continue
		}
		for i := range c.Changes {
			if ch := &c.Changes[i]; ch.Verdict == v {
				if shown++; shown == 1 {
					fmt.Fprintln(t, "verdict\tbenchmark\tunit\tA\tB\tchange\tp")
				}
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%.4f\n", v, shortName(ch.Name), ch.Unit, ch.A.text(), ch.B.text(), percent(ch.Share), ch.P)
			}
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "%d worse, %d better, %d changed, %d within noise or too little to matter", c.Count(Worse), c.Count(Improved), c.Count(Changed), c.Count(Unchanged))
	if n := c.Count(TooFew); n > 0 {
		fmt.Fprintf(w, ", %d with too few rounds to tell", n)
	}
	if only := len(c.OnlyA) + len(c.OnlyB); only > 0 {
		fmt.Fprintf(w, "; %d only in A, %d only in B", len(c.OnlyA), len(c.OnlyB))
	}
	_, err := fmt.Fprintln(w)
	return err
}

func (s Spread) text() string {
	return fmt.Sprintf("%s [%s..%s]", amount(s.Median), amount(s.Min), amount(s.Max))
}

func shortName(name string) string {
	return strings.TrimPrefix(strings.TrimPrefix(name, "BenchmarkP2P/"), "Benchmark")
}

func percent(share float64) string {
	if math.IsInf(share, 0) {
		return "from 0"
	}
	return fmt.Sprintf("%+.1f %%", 100*share)
}
