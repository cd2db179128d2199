package load

import (
	"cmp"
	"encoding/json"
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
)

// Scenarios returns the names in the order documents use.
func Scenarios() []string {
	return []string{OneWay, RPC, Connect, Hold, FanOut, Mixed, Storm, Slow}
}

// A Config says what to run. The zero value of a field other than Scenario means what its comment says.
type Config struct {
	Scenario string
	Conns    int           // connections; 0: 1. In connect and storm: dials under way at once
	Inflight int           // requests under way on each connection; 0: 1
	Size     int           // bytes of a message or request; 0: 64
	BulkSize int           // bytes of a message of the bulk stream in mixed; 0: 64 KiB
	Duration time.Duration // of each measured part; 0: 2 s
	Warmup   time.Duration // before the clock starts; negative: none; 0: 500 ms
	Rate     float64       // messages or requests a second in all; 0: closed loop
}

// configJSON is how a Config stands in a result: spans in seconds, as every other span there.
type configJSON struct {
	Conns           int     `json:"conns"`
	Inflight        int     `json:"inflight"`
	Size            int     `json:"size"`
	BulkSize        int     `json:"bulk_size"`
	DurationSeconds float64 `json:"duration_seconds"`
	WarmupSeconds   float64 `json:"warmup_seconds"`
	Rate            float64 `json:"rate"`
}

// MarshalJSON implements json.Marshaler. The scenario is not part of it: it stands in the Result.
func (c Config) MarshalJSON() ([]byte, error) {
	return json.Marshal(configJSON{c.Conns, c.Inflight, c.Size, c.BulkSize, c.Duration.Seconds(), c.Warmup.Seconds(), c.Rate})
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *Config) UnmarshalJSON(b []byte) error {
	var j configJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	*c = Config{
		Conns: j.Conns, Inflight: j.Inflight, Size: j.Size, BulkSize: j.BulkSize,
		Duration: seconds(j.DurationSeconds), Warmup: seconds(j.WarmupSeconds), Rate: j.Rate,
	}
	return nil
}

// WithDefaults returns the config with zero values replaced, or every problem it has.
func (c Config) WithDefaults() (Config, error) {
	c.Conns = cmp.Or(c.Conns, 1)
	c.Inflight = cmp.Or(c.Inflight, 1)
	c.Size = cmp.Or(c.Size, 64)
	c.BulkSize = cmp.Or(c.BulkSize, 64<<10)
	c.Duration = cmp.Or(c.Duration, 2*time.Second)
	c.Warmup = max(cmp.Or(c.Warmup, 500*time.Millisecond), 0)

	var problems []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			problems = append(problems, fmt.Errorf("%w: "+format, append([]any{ErrConfig}, args...)...))
		}
	}
	bad(!slices.Contains(Scenarios(), c.Scenario), "no scenario %q: want one of %s", c.Scenario, strings.Join(Scenarios(), ", "))
	bad(c.Conns < 0, "%d connections", c.Conns)
	bad(c.Inflight < 0, "%d requests in flight", c.Inflight)
	bad(c.Size < HeaderSize || c.Size > SizeLimit, "size %d: want %d to %d bytes, the header every message carries included", c.Size, HeaderSize, SizeLimit)
	bad(c.BulkSize < HeaderSize || c.BulkSize > SizeLimit, "bulk size %d: want %d to %d bytes", c.BulkSize, HeaderSize, SizeLimit)
	bad(c.Duration < 0, "duration %v", c.Duration)
	bad(c.Rate < 0, "rate %v", c.Rate)
	bad(c.Rate > 0 && (c.Scenario == Connect || c.Scenario == Hold || c.Scenario == FanOut), "%s has no rate: it is a closed loop", c.Scenario)
	bad(c.Inflight > 1 && (c.Scenario == OneWay || c.Scenario == FanOut || c.Scenario == Connect || c.Scenario == Hold),
		"%s has no requests, so none in flight", c.Scenario)
	return c, errors.Join(problems...)
}

// Shape is what the drivers are told about the run.
func (c Config) Shape() Shape {
	return Shape{Conns: c.Conns, Idle: c.Scenario == Hold, Churn: c.Scenario == Connect, Storm: c.Scenario == Connect || c.Scenario == Storm}
}
