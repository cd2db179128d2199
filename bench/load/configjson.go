package load

import (
	"encoding/json"
	"math"
	"time"
)

// configJSON is how a Config stands in a result: spans in seconds, as every other span there.
type configJSON struct {
	Conns           int         `json:"conns"`
	Dialers         int         `json:"dialers,omitempty"`
	Spoof           bool        `json:"spoof,omitempty"`
	SpoofRate       float64     `json:"spoof_rate,omitempty"`
	Inflight        int         `json:"inflight"`
	Size            int         `json:"size"`
	Sizes           []SizeShare `json:"sizes,omitempty"`
	AnswerSize      int         `json:"answer_size,omitempty"`
	BulkSize        int         `json:"bulk_size"`
	Direction       string      `json:"direction,omitempty"`
	DurationSeconds float64     `json:"duration_seconds"`
	WarmupSeconds   float64     `json:"warmup_seconds"`
	Rate            float64     `json:"rate"`
	Stages          []stageJSON `json:"stages,omitempty"`
	Poisson         bool        `json:"poisson,omitempty"`
}

type stageJSON struct {
	Seconds float64 `json:"seconds"`
	From    float64 `json:"from"`
	To      float64 `json:"to"`
}

// MarshalJSON implements json.Marshaler. The scenario is not part of it: it stands in the Result.
func (c Config) MarshalJSON() ([]byte, error) {
	j := configJSON{
		c.Conns, c.Dialers, c.Spoof, c.SpoofRate, c.Inflight, c.Size, c.Sizes, c.AnswerSize, c.BulkSize, c.Direction,
		c.Duration.Seconds(), max(c.Warmup, 0).Seconds(), c.Rate, nil, c.Poisson,
	}
	for _, s := range c.Stages {
		j.Stages = append(j.Stages, stageJSON{s.For.Seconds(), s.From, s.To})
	}
	return json.Marshal(j)
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *Config) UnmarshalJSON(b []byte) error {
	var j configJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	seconds := func(s float64) time.Duration { return time.Duration(math.Round(s * float64(time.Second))) }
	*c = Config{
		Conns: j.Conns, Dialers: j.Dialers, Spoof: j.Spoof, SpoofRate: j.SpoofRate, Inflight: j.Inflight, Size: j.Size, Sizes: j.Sizes, AnswerSize: j.AnswerSize, BulkSize: j.BulkSize,
		Direction: j.Direction, Duration: seconds(j.DurationSeconds), Warmup: seconds(j.WarmupSeconds), Rate: j.Rate, Poisson: j.Poisson,
	}
	if c.Warmup == 0 {
		c.Warmup = NoWarmup // in JSON 0 is 0, as configs there have their defaults
	}
	for _, s := range j.Stages {
		c.Stages = append(c.Stages, Stage{seconds(s.Seconds), s.From, s.To})
	}
	return nil
}
