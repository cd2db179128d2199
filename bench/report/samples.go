package report

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/carrier-p2p/carrier/bench/fingerprint"
)

// A Sample is all values of one figure in one file: several rounds of it.
type Sample struct {
	Name   string // of the benchmark, with its variables
	Unit   string
	Better Better
	Values []float64
}

// A Set is a file's samples, in the order in which each first came, and the machine they are from; nil: it does not say.
type Set struct {
	Samples []Sample
	Host    *fingerprint.Host
}

// ReadSet reads what can be compared: results of p2pbench, or Go benchmark output.
func ReadSet(r io.Reader) (*Set, error) {
	in := bufio.NewReader(r)
	first, err := firstByte(in)
	if err != nil {
		return nil, err
	}
	if first != '{' && first != '[' {
		return readBench(in)
	}
	records, err := ReadRecords(in)
	if err != nil {
		return nil, err
	}
	set := newSetBuilder()
	for i := range records {
		r := &records[i]
		set.host = r.Host
		for _, m := range Metrics(r.Scenario) {
			if v, ok := r.get(m); ok {
				set.add(benchName(r), m.Unit, m.Better, m.Scaled(v))
			}
		}
	}
	return set.done(), nil
}

type setBuilder struct {
	samples []Sample
	at      map[[2]string]int
	better  map[string]Better
	host    *fingerprint.Host
}

func newSetBuilder() *setBuilder {
	return &setBuilder{at: map[[2]string]int{}, better: map[string]Better{}}
}

func (b *setBuilder) add(name, unit string, better Better, v float64) {
	key := [2]string{name, unit}
	i, ok := b.at[key]
	if !ok {
		i = len(b.samples)
		b.at[key] = i
		b.samples = append(b.samples, Sample{Name: name, Unit: unit, Better: better})
	}
	b.samples[i].Values = append(b.samples[i].Values, v)
}

func (b *setBuilder) done() *Set { return &Set{b.samples, b.host} }

// readBench reads Go benchmark output: lines of a name, a count, and pairs of value and unit; configuration lines of a machine;
// unit lines. Everything else, such as the output of tests, is passed over.
func readBench(in io.Reader) (*Set, error) {
	set := newSetBuilder()
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, lineLimit)
	var host fingerprint.Host
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		fields := strings.Fields(string(line))
		switch {
		case len(fields) >= 2 && fields[0] == "goos:":
			host.OS = fields[1]
		case len(fields) >= 2 && fields[0] == "goarch:":
			host.Arch = fields[1]
		case bytes.HasPrefix(line, []byte("cpu: ")):
			host.CPU = string(line[len("cpu: "):])
		case len(fields) >= 3 && fields[0] == "Unit":
			set.unit(fields[1], fields[2:])
		case len(fields) >= 4 && strings.HasPrefix(fields[0], "Benchmark"):
			if err := set.benchLine(fields); err != nil {
				return nil, fmt.Errorf("%w: line %d: %w", ErrFormat, n, err)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if len(set.samples) == 0 {
		return nil, fmt.Errorf("%w: neither results of p2pbench nor benchmark lines", ErrFormat)
	}
	if host.OS != "" {
		set.host = &host
	}
	return set.done(), nil
}

func (b *setBuilder) unit(name string, settings []string) {
	for _, s := range settings {
		switch s {
		case "better=lower":
			b.better[name] = Lower
		case "better=higher":
			b.better[name] = Higher
		}
	}
}

func (b *setBuilder) benchLine(fields []string) error {
	if _, err := strconv.ParseUint(fields[1], 10, 64); err != nil {
		return nil // a benchmark's own output on its line
	}
	pairs := fields[2:]
	if len(pairs)%2 != 0 {
		return fmt.Errorf("%s: %d fields after the count: want pairs of value and unit", fields[0], len(pairs))
	}
	for i := 0; i < len(pairs); i += 2 {
		v, err := strconv.ParseFloat(pairs[i], 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("%s: %q is no number", fields[0], pairs[i])
		}
		b.add(fields[0], pairs[i+1], b.betterOf(pairs[i+1]), v)
	}
	return nil
}

// betterOf knows the units of the testing package, and rates by their name.
func (b *setBuilder) betterOf(unit string) Better {
	if better, ok := b.better[unit]; ok {
		return better
	}
	switch {
	case unit == "ns/op", unit == "B/op", unit == "allocs/op", strings.HasPrefix(unit, "heap-B/"):
		return Lower
	case strings.HasSuffix(unit, "/s"):
		return Higher
	}
	return Either
}
