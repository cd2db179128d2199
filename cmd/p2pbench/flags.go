package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/carrier-p2p/carrier/bench/driver"
	"github.com/carrier-p2p/carrier/bench/load"
)

// errUsage is wrapped by every complaint about the command line.
var errUsage = errors.New("p2pbench: usage")

// runFlags are those of everything that measures.
type runFlags struct {
	Driver   string        `help:"What to measure: ${drivers}; ${driver} if nothing is said." default:"${driver}" placeholder:"NAME"`
	Duration time.Duration `help:"Length of each measured part." default:"2s"`
	Warmup   time.Duration `help:"What runs before the clock starts; 0 for none." default:"500ms"`
	JSON     string        `help:"Write one JSON object for each run, one to a line; - for standard output." placeholder:"FILE|-"`
	Quiet    bool          `help:"No progress, no table." short:"q"`
	Against  []string      `help:"Also measure these drivers, in turns with --driver, and print ratios." placeholder:"NAME"`
	Rounds   int           `help:"How often each takes its turn; 0: 3 with --against, else 1." placeholder:"N"`
	Label    string        `hidden:"" help:"Shown in front of progress."`
	Follow   bool          `hidden:"" help:"Ignore interrupts, and end with what was measured when standard input does."`
	NoTable  bool          `hidden:"" help:"Progress, but no table: whoever started this prints one."`
}

// loadFlags are those of a single scenario.
type loadFlags struct {
	runFlags
	Target  string `help:"Address that 'p2pbench serve' printed; none: a child process serves." placeholder:"ADDR"`
	Profile string `help:"Write CPU profiles of both sides to PREFIX-dialling.pprof and PREFIX-serving.pprof." placeholder:"PREFIX"`
	Control string `help:"Control address that 'p2pbench serve' printed; without it a target cannot be asked." placeholder:"ADDR"`
}

// drivers returns the names of everything to measure, the one in question first.
func (f *runFlags) drivers() ([]string, error) {
	names := append([]string{f.Driver}, f.Against...)
	for i, name := range names {
		if _, err := driver.ByName(name); err != nil {
			return nil, fmt.Errorf("%w: %w", errUsage, err)
		}
		for _, earlier := range names[:i] {
			if earlier == name {
				return nil, fmt.Errorf("%w: %s would be compared with itself", errUsage, name)
			}
		}
	}
	return names, nil
}

func (f *runFlags) rounds() int {
	switch {
	case f.Rounds > 0:
		return f.Rounds
	case len(f.Against) > 0:
		return 3
	}
	return 1
}

// arguments is the command line of one run of c with one driver, for a process of its own.
func arguments(c load.Config, driverName, label string) []string {
	args := []string{
		c.Scenario, "--driver", driverName, "--json", "-", "--label", label, "--follow",
		"--duration", c.Duration.String(), "--warmup", max(c.Warmup, 0).String(), "--conns", strconv.Itoa(c.Conns),
	}
	has := func(flag string, value string, scenarios ...string) {
		for _, s := range scenarios {
			if s == c.Scenario {
				args = append(args, flag, value)
			}
		}
	}
	has("--size", strconv.Itoa(c.Size), load.OneWay, load.RPC, load.FanOut, load.Mixed, load.Storm, load.Slow)
	has("--inflight", strconv.Itoa(c.Inflight), load.RPC, load.Mixed, load.Storm, load.Slow)
	has("--rate", strconv.FormatFloat(c.Rate, 'g', -1, 64), load.OneWay, load.RPC, load.Mixed, load.Storm, load.Slow)
	has("--bulk-size", strconv.Itoa(c.BulkSize), load.Mixed, load.Slow)
	return args
}

// config adds what all scenarios share.
func (f *runFlags) config(c load.Config) (load.Config, error) {
	c.Duration, c.Warmup = f.Duration, f.Warmup
	if c.Warmup == 0 {
		c.Warmup = -1 // in a Config 0 means the default
	}
	c, err := c.WithDefaults()
	if err != nil {
		return c, fmt.Errorf("%w: %w", errUsage, err)
	}
	return c, nil
}

// A byteSize is a number of bytes, typed as 64, 1KiB or 1MiB.
type byteSize int

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *byteSize) UnmarshalText(text []byte) error {
	number, unit := string(text), 1
	for suffix, n := range map[string]int{"KiB": 1 << 10, "MiB": 1 << 20} {
		if before, ok := strings.CutSuffix(number, suffix); ok {
			number, unit = before, n
		}
	}
	n, err := strconv.Atoi(strings.TrimSpace(number))
	if err != nil || n < 0 || n > math.MaxInt32/unit {
		return fmt.Errorf("%q is no size: want bytes such as 64, 1KiB or 1MiB", text)
	}
	*s = byteSize(n * unit)
	return nil
}

// String is the inverse of UnmarshalText.
func (s byteSize) String() string {
	switch n := int(s); {
	case n >= 1<<20 && n%(1<<20) == 0:
		return strconv.Itoa(n>>20) + "MiB"
	case n >= 1<<10 && n%(1<<10) == 0:
		return strconv.Itoa(n>>10) + "KiB"
	default:
		return strconv.Itoa(n)
	}
}
