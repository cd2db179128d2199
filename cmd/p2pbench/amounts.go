package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/carrier-p2p/carrier/bench/load"
	"github.com/carrier-p2p/carrier/bench/report"
)

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
func (s byteSize) String() string { return report.Bytes(int(s)) }

// A stages is a timetable, typed as 10s:0..5k,30s:5k: a stretch of time and the rate in it, or the rates at its ends.
type stages []load.Stage

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *stages) UnmarshalText(text []byte) error {
	*s = nil
	for part := range strings.SplitSeq(string(text), ",") {
		span, rates, ok := strings.Cut(part, ":")
		from, to, ramp := strings.Cut(rates, "..")
		if !ramp {
			to = from
		}
		length, err := time.ParseDuration(span)
		first, firstOK := parseRate(from)
		last, lastOK := parseRate(to)
		if !ok || err != nil || !firstOK || !lastOK {
			return fmt.Errorf("%q is no stage: want a time and a rate, or the rates at its ends: 30s:5k or 10s:0..5k", part)
		}
		*s = append(*s, load.Stage{For: length, From: first, To: last})
	}
	return nil
}

// parseRate reads a number, perhaps with k or M.
func parseRate(text string) (rate float64, ok bool) {
	unit := 1.0
	if before, found := strings.CutSuffix(text, "k"); found {
		text, unit = before, 1e3
	} else if before, found := strings.CutSuffix(text, "M"); found {
		text, unit = before, 1e6
	}
	rate, err := strconv.ParseFloat(text, 64)
	return rate * unit, err == nil
}

// A shares is a mix of sizes, typed as 64:90,16KiB:10.
type shares []load.SizeShare

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *shares) UnmarshalText(text []byte) error {
	*s = nil
	for part := range strings.SplitSeq(string(text), ",") {
		size, share, ok := strings.Cut(part, ":")
		var bytes byteSize
		err := bytes.UnmarshalText([]byte(size))
		n, shareErr := strconv.Atoi(share)
		if !ok || err != nil || shareErr != nil {
			return fmt.Errorf("%q is no size and share: want 64:90", part)
		}
		*s = append(*s, load.SizeShare{Bytes: int(bytes), Share: n})
	}
	return nil
}
