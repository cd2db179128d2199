package scenario

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/carrier-p2p/carrier/bench/load"
	"github.com/carrier-p2p/carrier/bench/slo"
)

// ErrFile is wrapped by everything that Parse refuses.
var ErrFile = errors.New("scenario: not a scenario file")

const (
	// sizeLimit bounds a file. 64 KiB: a hundred runs of ten lines are a tenth of it.
	sizeLimit = 64 << 10

	// runsLimit bounds the runs of a file. 100: with five rounds and two drivers that is an hour and a half.
	runsLimit = 100

	// roundsLimit bounds the rounds. 1000, as nobody waits for more.
	roundsLimit = 1000

	// wrongLimit bounds the wrong lines that are told. 10: more than that and it is no scenario file.
	wrongLimit = 10
)

// A File is what a scenario file says.
type File struct {
	Title   string
	Driver  string // "": it does not say
	Against []string
	Rounds  int // 0: it does not say
	Runs    []Run
}

// A Run is one scenario and what is expected of it.
type Run struct {
	Config  load.Config // with defaults
	Expect  slo.Rules
	Driver  string   // "": the file's
	Against []string // nil: the file's
}

// Parse reads a file, or says what is wrong with its first ten wrong lines.
func Parse(text string) (*File, error) {
	if len(text) > sizeLimit {
		return nil, fmt.Errorf("%w: %d bytes: want at most %d", ErrFile, len(text), sizeLimit)
	}
	p := parser{file: &File{}, said: map[string]bool{}}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line, _, _ = strings.Cut(line, "#")
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if key == "" {
			continue
		}
		p.note(number, p.line(key, strings.TrimSpace(value), number))
		if len(p.wrong) == wrongLimit {
			break
		}
	}
	p.endRun()
	if len(p.wrong) == 0 && len(p.file.Runs) == 0 {
		return nil, fmt.Errorf("%w: it has no scenario", ErrFile)
	}
	if len(p.wrong) > 0 {
		return nil, fmt.Errorf("%w: %w", ErrFile, p.wrong)
	}
	return p.file, nil
}

// wrongLines are what is wrong, a line each.
type wrongLines []error

func (w wrongLines) Error() string {
	if len(w) == 1 {
		return w[0].Error()
	}
	var b strings.Builder
	for _, err := range w {
		b.WriteString("\n  " + err.Error())
	}
	return b.String()
}

func (w wrongLines) Unwrap() []error { return w }

// A parser is between two lines of a file.
type parser struct {
	file     *File
	run      *Run            // nil before the first scenario
	began    int             // the line of its beginning
	said     map[string]bool // keys of the file, then of the run
	spoilt   bool            // a line of the run is wrong, so it is no run
	wrong    wrongLines
	duration time.Duration // the file's
	warmup   time.Duration // the file's; 0: not said
}

// repeated keys add up; all others are said once.
var repeated = map[string]bool{"scenario": true, "stage": true, "expect": true}

// note keeps what is wrong with a line, if anything is.
func (p *parser) note(line int, err error) {
	if err != nil {
		p.wrong, p.spoilt = append(p.wrong, fmt.Errorf("line %d: %w", line, err)), true
	}
}

func (p *parser) line(key, value string, number int) error {
	if value == "" {
		return fmt.Errorf("%s has no value", key)
	}
	if p.said[key] && !repeated[key] {
		return fmt.Errorf("%s is said twice", key)
	}
	p.said[key] = true
	if key == "scenario" {
		p.endRun()
		return p.beginRun(value, number)
	}
	if p.run == nil {
		return p.ofFile(key, value)
	}
	return p.ofRun(key, value)
}

func (p *parser) beginRun(scenario string, number int) error {
	if len(p.file.Runs) == runsLimit {
		return fmt.Errorf("more than %d runs", runsLimit)
	}
	if scenario == "broadcast" { // as the command may be called, too
		scenario = load.FanOut
	}
	p.said, p.began, p.spoilt = map[string]bool{}, number, false
	p.run = &Run{Config: load.Config{Scenario: scenario, Duration: p.duration, Warmup: p.warmup}}
	return nil
}

// endRun completes the run that is over. What is wrong with it as a whole is said of the line where it begins.
func (p *parser) endRun() {
	if p.run == nil || p.spoilt {
		return
	}
	if len(p.run.Config.Stages) > 0 && p.said["duration"] {
		p.note(p.began, errors.New("a duration and stages: want one of them"))
		return
	}
	c, err := p.run.Config.WithDefaults()
	if err != nil {
		p.note(p.began, err)
		return
	}
	p.run.Config = c
	p.file.Runs = append(p.file.Runs, *p.run)
	p.run = nil
}

func (p *parser) ofFile(key, value string) (err error) {
	f := p.file
	switch key {
	case "title":
		f.Title = value
	case "driver":
		f.Driver = value
	case "against":
		f.Against = strings.Fields(value)
	case "rounds":
		f.Rounds, err = count(value, roundsLimit)
	case "duration":
		p.duration, err = span(value)
	case "warmup":
		p.warmup, err = warmup(value)
	default:
		return noKey(key, head, body)
	}
	return err
}

func (p *parser) ofRun(key, value string) (err error) {
	c := &p.run.Config
	switch key {
	case "driver":
		p.run.Driver = value
	case "against":
		p.run.Against = strings.Fields(value)
	case "conns":
		c.Conns, err = count(value, 1<<24)
	case "inflight":
		c.Inflight, err = count(value, 1<<20)
	case "size":
		c.Size, err = ParseSize(value)
	case "answer":
		c.AnswerSize, err = ParseSize(value)
	case "bulk":
		c.BulkSize, err = ParseSize(value)
	case "direction":
		c.Direction = value
	case "duration":
		c.Duration, err = span(value)
	case "warmup":
		c.Warmup, err = warmup(value)
	case "rate":
		c.Rate, err = ParseRate(value)
	case "sizes":
		return parseShares(c, value)
	case "stage":
		return parseStage(c, value)
	case "arrival":
		c.Poisson = value == "poisson"
		if !c.Poisson && value != "uniform" {
			return fmt.Errorf("arrival %q: want uniform or poisson", value)
		}
	case "expect":
		rules, err := slo.Parse(value)
		p.run.Expect = append(p.run.Expect, rules...)
		return err
	default:
		return noKey(key, body, head)
	}
	return err
}

func parseShares(c *load.Config, value string) error {
	for field := range strings.FieldsSeq(value) {
		share, err := ParseShare(field)
		if err != nil {
			return err
		}
		c.Sizes = append(c.Sizes, share)
	}
	return nil
}

func parseStage(c *load.Config, value string) error {
	span, rates, _ := strings.Cut(value, " ")
	stage, err := ParseStage(span, strings.TrimSpace(rates))
	c.Stages = append(c.Stages, stage)
	return err
}

func count(value string, limit int) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > limit {
		return 0, fmt.Errorf("%q: want a number from 1 to %d", value, limit)
	}
	return n, nil
}

func span(value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is no length of time: want one such as 500ms, 2s or 1m30s", value)
	}
	return d, nil
}

// warmup reads a span of which 0 means none.
func warmup(value string) (time.Duration, error) {
	if d, err := time.ParseDuration(value); err == nil && d == 0 {
		return load.NoWarmup, nil
	}
	return span(value)
}
