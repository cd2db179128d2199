package load

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ErrConfig is wrapped by every problem that Config.Validate reports.
var ErrConfig = errors.New("load: config")

// Names of the scenarios.
const (
	OneWay  = "oneway"  // messages in one direction, as fast as they are taken or at a rate
	RPC     = "rpc"     // requests and their answers
	Connect = "connect" // dial, handshake, close, again and again
	Hold    = "hold"    // connections that do nothing, and what they cost
	FanOut  = "fanout"  // the same to everybody, round after round
	Mixed   = "mixed"   // requests beside a bulk stream on the same connection
	Storm   = "storm"   // requests of an established peer while others shake hands
	Slow    = "slow"    // requests of many peers while one has stopped reading
	Stream  = "stream"  // bulk, up or down or both
	Churn   = "churn"   // connections that are replaced again and again, and what they leave behind
	Soak    = "soak"    // requests for long, and what creeps
)

// Scenarios returns the names in the order documents use.
func Scenarios() []string {
	return []string{OneWay, RPC, Stream, Connect, Churn, Hold, FanOut, Mixed, Storm, Slow, Soak}
}

// NoWarmup is a Config's Warmup of a run without one.
const NoWarmup time.Duration = -1

// A Config says what to run. The zero value of a field other than Scenario means what its comment says.
type Config struct {
	Scenario   string
	Conns      int           // connections; 0: 1. In connect and storm: dials under way at once
	Dialers    int           // dialling processes that share the connections of hold; 0: the run's own dials
	Spoof      bool          // what shakes hands in storm, or connect, comes from made-up addresses and never gets beyond the first word
	SpoofRate  float64       // of these a second; 0: as many as one processor can
	Inflight   int           // requests under way on each connection; 0: 1, in a stream down 16
	Size       int           // bytes of a message or request; 0: 64, in a stream 64 KiB
	Sizes      []SizeShare   // several sizes and their shares, in place of Size; empty: one size
	AnswerSize int           // bytes of an answer; 0: a request's own bytes come back
	BulkSize   int           // bytes of a message of the bulk stream in mixed; 0: 64 KiB
	Direction  string        // of a stream: Up, Down or Both; "": Up
	Duration   time.Duration // of each measured part; 0: 2 s, or as long as the stages
	Warmup     time.Duration // before the clock starts; NoWarmup: none; 0: 500 ms
	Rate       float64       // messages, requests, dials or rounds a second in all; 0: closed loop
	Stages     []Stage       // a rate that changes, in place of Rate; empty: it does not
	Poisson    bool          // planned times are a Poisson process's, as of many strangers; false: evenly spaced
}

// A Stage is a stretch of a timetable in which the rate goes evenly from one value to another.
type Stage struct {
	For  time.Duration
	From float64 // a second
	To   float64
}

// table returns the timetable of the measured part.
func (c Config) table() timetable {
	t := steady(c.Rate)
	if len(c.Stages) > 0 {
		t.stages = c.Stages
	}
	t.poisson = c.Poisson && t.open()
	return t
}

// warmTable returns the timetable of the warm-up: steady, at the rate with which the measured part begins, or goes towards if
// that is none.
func (c Config) warmTable() timetable {
	t := steady(c.Rate)
	if len(c.Stages) > 0 {
		first := c.Stages[0]
		t = steady(cmp.Or(first.From, first.To))
	}
	t.poisson = c.Poisson && t.open()
	return t
}

// WithDefaults returns the config with zero values replaced, or every problem it has.
func (c Config) WithDefaults() (Config, error) {
	c.Conns = cmp.Or(c.Conns, 1)
	size, inflight := 64, 1
	if c.Scenario == Stream {
		size, c.Direction = 64<<10, cmp.Or(c.Direction, Up)
		if c.Direction != Up {
			inflight = 16
		}
	}
	c.Inflight, c.Size = cmp.Or(c.Inflight, inflight), cmp.Or(c.Size, size)
	c.BulkSize = cmp.Or(c.BulkSize, 64<<10)
	if len(c.Stages) > 0 {
		c.Duration = 0
		for _, s := range c.Stages {
			c.Duration += s.For
		}
	}
	c.Duration = cmp.Or(c.Duration, 2*time.Second)
	c.Warmup = max(cmp.Or(c.Warmup, 500*time.Millisecond), NoWarmup)
	return c, errors.Join(append(c.problems(), c.combinations()...)...)
}

// complaints gathers what is wrong.
type complaints []error

func (p *complaints) add(wrong bool, format string, args ...any) {
	if wrong {
		*p = append(*p, fmt.Errorf("%w: "+format, append([]any{ErrConfig}, args...)...))
	}
}

// problems are those of single fields.
func (c Config) problems() (p complaints) {
	sized := func(n int) bool { return n >= HeaderSize && n <= SizeLimit }
	p.add(!slices.Contains(Scenarios(), c.Scenario), "no scenario %q: want one of %s", c.Scenario, strings.Join(Scenarios(), ", "))
	p.add(c.Conns < 0, "%d connections", c.Conns)
	p.add(c.Dialers < 0 || c.Dialers > dialersLimit, "%d dialling processes: want at most %d", c.Dialers, dialersLimit)
	p.add(c.Inflight < 0, "%d requests in flight", c.Inflight)
	p.add(!sized(c.Size), "size %d: want %d to %d bytes, the header every message carries included", c.Size, HeaderSize, SizeLimit)
	p.add(!sized(c.BulkSize), "bulk size %d: want %d to %d bytes", c.BulkSize, HeaderSize, SizeLimit)
	p.add(c.AnswerSize < 0 || c.AnswerSize > SizeLimit, "answer size %d: want at most %d bytes", c.AnswerSize, SizeLimit)
	p.add(len(c.Sizes) > sizesLimit, "%d sizes: want at most %d", len(c.Sizes), sizesLimit)
	for _, s := range c.Sizes {
		p.add(!sized(s.Bytes), "size %d: want %d to %d bytes", s.Bytes, HeaderSize, SizeLimit)
		p.add(s.Share < 1 || s.Share > shareLimit, "a share of %d: want 1 to %d", s.Share, shareLimit)
	}
	p.add(c.Duration < 0, "duration %v", c.Duration)
	p.add(c.Direction != "" && !slices.Contains(Directions(), c.Direction), "no direction %q: want one of %s", c.Direction, strings.Join(Directions(), ", "))
	return append(p, c.rates()...)
}

// rates are problems of the timetable. The comparisons are false for what is no number.
func (c Config) rates() (p complaints) {
	rated := func(r float64) bool { return r >= 0 && r <= rateLimit }
	p.add(!rated(c.Rate), "rate %v: want 0 to %d", c.Rate, rateLimit)
	p.add(!rated(c.SpoofRate), "rate of made-up handshakes %v: want 0 to %d", c.SpoofRate, rateLimit)
	p.add(len(c.Stages) > stagesLimit, "%d stages: want at most %d", len(c.Stages), stagesLimit)
	for i, s := range c.Stages {
		p.add(s.For <= 0 || s.For > stageLimit, "stage %d lasts %v: want up to %v", i+1, s.For, stageLimit)
		p.add(!rated(s.From) || !rated(s.To), "stage %d: rates %v to %v: want 0 to %d", i+1, s.From, s.To, rateLimit)
	}
	return p
}

// combinations are fields that do not go together.
func (c Config) combinations() (p complaints) {
	is := func(scenarios ...string) bool { return slices.Contains(scenarios, c.Scenario) }
	planned := c.Rate > 0 || len(c.Stages) > 0
	p.add(planned && is(Hold), "%s has no rate: nothing happens in it", c.Scenario)
	p.add(planned && c.Scenario == Stream && c.Direction == Both, "a stream both ways has no rate: it is a closed loop")
	p.add(c.Rate > 0 && len(c.Stages) > 0, "a rate and stages: want one of them")
	p.add(c.Dialers > 0 && !is(Hold), "%s has no dialling processes of its own", c.Scenario)
	p.add(c.Spoof && !is(Storm, Connect), "%s has no handshakes to make up", c.Scenario)
	p.add(c.SpoofRate > 0 && !c.Spoof, "a rate of made-up handshakes, and none are made up")
	p.add(c.Dialers > c.Conns, "%d dialling processes for %d connections", c.Dialers, c.Conns)
	p.add(c.Poisson && !planned, "Poisson arrivals need a rate")
	p.add(c.Inflight > 1 && (is(OneWay, FanOut, Connect, Churn, Hold) || c.Scenario == Stream && c.Direction == Up),
		"%s has no requests, so none in flight", c.Scenario)
	p.add(len(c.Sizes) > 0 && !is(OneWay, RPC, Soak), "%s has one size of messages", c.Scenario)
	p.add(c.AnswerSize > 0 && !is(RPC, Soak), "%s has no size of answers", c.Scenario)
	p.add(c.Direction != "" && !is(Stream), "%s has no direction", c.Scenario)
	return p
}

// Shape is what the drivers are told about the run.
func (c Config) Shape() Shape {
	return Shape{Fan: c.Scenario == FanOut, Conns: c.Conns, Idle: c.Scenario == Hold, Churn: c.Scenario == Connect || c.Scenario == Churn, Storm: c.Scenario == Connect || c.Scenario == Storm}
}
