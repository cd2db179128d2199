package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/carrier-p2p/carrier/bench/load"
)

// WriteBench writes Go benchmark lines, which benchstat reads: one for each run, named by its variables.
func WriteBench(w io.Writer, records []Record) error {
	out := bufio.NewWriter(w)
	if len(records) > 0 {
		writeBenchHead(out, &records[0])
	}
	said := map[string]bool{}
	for i := range records {
		for _, m := range Metrics(records[i].Scenario) {
			if m.Better != Either && !said[m.Unit] {
				said[m.Unit] = true
				fmt.Fprintf(out, "Unit %s better=%s\n", m.Unit, map[Better]string{Lower: "lower", Higher: "higher"}[m.Better])
			}
		}
	}
	for i := range records {
		r := &records[i]
		fmt.Fprintf(out, "%s\t%d", benchName(r), max(r.Messages, 1))
		for _, m := range Metrics(r.Scenario) {
			if v, ok := r.get(m); ok {
				fmt.Fprintf(out, "\t%s %s", number(m, v), m.Unit)
			}
		}
		fmt.Fprintln(out)
	}
	return out.Flush()
}

func writeBenchHead(out io.Writer, r *Record) {
	if h := r.Host; h != nil {
		fmt.Fprintf(out, "goos: %s\ngoarch: %s\n", h.OS, h.Arch)
		if h.CPU != "" {
			fmt.Fprintf(out, "cpu: %s\n", h.CPU)
		}
	}
	if b := r.Build; b != nil && b.Module != "" {
		fmt.Fprintf(out, "pkg: %s/cmd/p2pbench\n", b.Module)
	}
}

// benchName names a run as benchstat wants it: variables as key=value between slashes, the driver last.
func benchName(r *Record) string {
	c := r.config()
	parts := []string{"BenchmarkP2P", "scenario=" + c.Scenario, fmt.Sprintf("conns=%d", c.Conns)}
	add := func(wanted bool, format string, args ...any) {
		if wanted {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	sized := c.Scenario != load.Connect && c.Scenario != load.Churn && c.Scenario != load.Hold
	add(sized && len(c.Sizes) == 0, "size=%d", c.Size)
	add(len(c.Sizes) > 0, "sizes=%s", strings.ReplaceAll(strings.TrimPrefix(sizesOf(c), "sizes "), " ", ","))
	add(c.Inflight > 1 || c.Scenario == load.RPC, "inflight=%d", c.Inflight)
	add(c.AnswerSize > 0, "answer=%d", c.AnswerSize)
	add(c.Scenario == load.Mixed || c.Scenario == load.Slow, "bulk=%d", c.BulkSize)
	add(c.Direction != "", "direction=%s", c.Direction)
	add(c.Spoof, "spoofed=%g", c.SpoofRate)
	add(c.Rate > 0, "rate=%g", c.Rate)
	add(len(c.Stages) > 0, "%s", strings.ReplaceAll(strings.Replace(strings.TrimSuffix(paceOf(c), " at random"), "stages ", "stages=", 1), " ", ","))
	add(c.Poisson, "arrival=poisson")
	add(true, "driver=%s", r.Driver)
	return strings.Join(parts, "/")
}
