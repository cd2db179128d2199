package scenario

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/carrier-p2p/carrier/bench/load"
)

// ParseSize reads a number of bytes: 64, 1KiB or 1MiB.
func ParseSize(text string) (int, error) {
	number, unit := text, 1
	if before, ok := strings.CutSuffix(text, "KiB"); ok {
		number, unit = before, 1<<10
	} else if before, ok := strings.CutSuffix(text, "MiB"); ok {
		number, unit = before, 1<<20
	}
	n, err := strconv.Atoi(strings.TrimSpace(number))
	if err != nil || n < 0 || n > math.MaxInt32/unit {
		return 0, fmt.Errorf("%q is no size: want bytes such as 64, 1KiB or 1MiB", text)
	}
	return n * unit, nil
}

// ParseRate reads a number, perhaps with k or M.
func ParseRate(text string) (float64, error) {
	number, unit := text, 1.0
	if before, ok := strings.CutSuffix(text, "k"); ok {
		number, unit = before, 1e3
	} else if before, ok := strings.CutSuffix(text, "M"); ok {
		number, unit = before, 1e6
	}
	rate, err := strconv.ParseFloat(number, 64)
	if err != nil || !(rate >= 0 && rate < math.MaxInt32) {
		return 0, fmt.Errorf("%q is no rate: want a number such as 2000, 10k or 1.5M", text)
	}
	return rate * unit, nil
}

// ParseStage reads a stretch of time and the rate in it, or the rates at its ends: 5k or 0..5k.
func ParseStage(span, rates string) (load.Stage, error) {
	from, to, ramp := strings.Cut(rates, "..")
	if !ramp {
		to = from
	}
	length, err := time.ParseDuration(span)
	first, firstErr := ParseRate(from)
	last, lastErr := ParseRate(to)
	if err != nil || firstErr != nil || lastErr != nil {
		return load.Stage{}, fmt.Errorf("%q %q is no stage: want a time and a rate, or the rates at its ends: 30s 5k or 10s 0..5k", span, rates)
	}
	return load.Stage{For: length, From: first, To: last}, nil
}

// ParseShare reads a size and how many messages have it: 64:90.
func ParseShare(text string) (load.SizeShare, error) {
	size, share, _ := strings.Cut(text, ":")
	bytes, err := ParseSize(size)
	n, shareErr := strconv.Atoi(share)
	if err != nil || shareErr != nil {
		return load.SizeShare{}, fmt.Errorf("%q is no size and share: want 64:90", text)
	}
	return load.SizeShare{Bytes: bytes, Share: n}, nil
}
