package main

import (
	"strings"

	"github.com/carrier-p2p/carrier/bench/load"
	"github.com/carrier-p2p/carrier/bench/report"
	"github.com/carrier-p2p/carrier/bench/scenario"
	"github.com/carrier-p2p/carrier/bench/slo"
)

// A byteSize is a number of bytes, typed as 64, 1KiB or 1MiB.
type byteSize int

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *byteSize) UnmarshalText(text []byte) error {
	n, err := scenario.ParseSize(string(text))
	if err == nil {
		*s = byteSize(n)
	}
	return err
}

// String is the inverse of UnmarshalText.
func (s byteSize) String() string { return report.Bytes(int(s)) }

// A perSecond is a rate, typed as 2000, 10k or 1.5M.
type perSecond float64

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *perSecond) UnmarshalText(text []byte) error {
	v, err := scenario.ParseRate(string(text))
	if err == nil {
		*r = perSecond(v)
	}
	return err
}

// A stages is a timetable, typed as 10s:0..5k,30s:5k: a stretch of time and the rate in it, or the rates at its ends.
type stages []load.Stage

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *stages) UnmarshalText(text []byte) error {
	*s = nil
	for part := range strings.SplitSeq(string(text), ",") {
		span, rates, _ := strings.Cut(part, ":")
		stage, err := scenario.ParseStage(span, rates)
		if err != nil {
			return err
		}
		*s = append(*s, stage)
	}
	return nil
}

// A shares is a mix of sizes, typed as 64:90,16KiB:10.
type shares []load.SizeShare

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *shares) UnmarshalText(text []byte) error {
	*s = nil
	for part := range strings.SplitSeq(string(text), ",") {
		share, err := scenario.ParseShare(part)
		if err != nil {
			return err
		}
		*s = append(*s, share)
	}
	return nil
}

// A rules is what a run is held to, typed as p99<2ms,errors<0.1%.
type rules slo.Rules

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *rules) UnmarshalText(text []byte) error {
	parsed, err := slo.Parse(string(text))
	*r = rules(parsed)
	return err
}
