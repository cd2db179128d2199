package slo

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/carrier-p2p/carrier/bench/load"
	"github.com/carrier-p2p/carrier/bench/report"
)

// ErrRule is wrapped by everything that Parse refuses.
var ErrRule = errors.New("slo: not a rule")

// rulesLimit bounds the rules of one text. 32: more than there are measures of a scenario.
const rulesLimit = 32

// A Rule is a measure and its bound.
type Rule struct {
	Measure string
	Op      string  // "<", "<=", ">" or ">="
	Bound   float64 // times in microseconds, shares between 0 and 1
}

// Rules are all to be met.
type Rules []Rule

// Parse reads rules between commas.
func Parse(text string) (Rules, error) {
	parts := strings.Split(text, ",")
	if len(parts) > rulesLimit {
		return nil, fmt.Errorf("%w: %d of them: want at most %d", ErrRule, len(parts), rulesLimit)
	}
	var rules Rules
	for _, part := range parts {
		r, err := parseRule(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		rules = append(rules, r)
	}
	return rules, nil
}

func parseRule(text string) (Rule, error) {
	at := strings.IndexAny(text, "<>")
	if at < 0 {
		return Rule{}, fmt.Errorf("%w: %q compares nothing: want one like p99<2ms", ErrRule, text)
	}
	r := Rule{Measure: strings.TrimSpace(text[:at]), Op: text[at : at+1]}
	bound := text[at+1:]
	if rest, ok := strings.CutPrefix(bound, "="); ok {
		r.Op, bound = r.Op+"=", rest
	}
	k := kindOf(r.Measure)
	if k == unknown {
		return Rule{}, fmt.Errorf("%w: %q: no measure %q: want a percentile, max, mean, errors, late, unsent, rate or one of %s",
			ErrRule, text, r.Measure, strings.Join(units(), ", "))
	}
	var ok bool
	if r.Bound, ok = k.parse(strings.TrimSpace(bound)); !ok {
		if strings.ContainsAny(bound, "<>") && strings.Contains(strings.TrimSpace(bound), " ") {
			return Rule{}, fmt.Errorf("%w: %q: want commas between rules", ErrRule, text)
		}
		return Rule{}, fmt.Errorf("%w: %q: the bound of %s is %s", ErrRule, text, r.Measure, k.wanted())
	}
	return r, nil
}

// kind is what the bound of a measure looks like.
type kind uint8

const (
	unknown kind = iota
	span
	share
	number
)

func (k kind) wanted() string {
	return [...]string{"", "a time such as 500us, 2ms or 1s", "a share such as 0.1% or 0.001", "a number such as 64, 10k or 1.5M"}[k]
}

func kindOf(measure string) kind {
	if _, ok := quantiles[strings.TrimPrefix(measure, "service-")]; ok {
		return span
	}
	switch {
	case measure == "errors" || measure == "late" || measure == "unsent":
		return share
	case measure == "rate" || slices.Contains(units(), measure):
		return number
	}
	return unknown
}

// units are those of every scenario's metrics that are no latencies, each once.
func units() (all []string) {
	for _, scenario := range load.Scenarios() {
		for _, m := range report.Metrics(scenario) {
			if !strings.HasSuffix(m.Unit, "-us") && !slices.Contains(all, m.Unit) {
				all = append(all, m.Unit)
			}
		}
	}
	return all
}

// suffixes of bounds, the longer ones first, and what they multiply by.
var suffixes = map[kind][]struct {
	text string
	by   float64
}{
	span:   {{"ns", 1e-3}, {"us", 1}, {"ms", 1e3}, {"s", 1e6}},
	share:  {{"%", 0.01}, {"", 1}},
	number: {{"k", 1e3}, {"M", 1e6}, {"", 1}},
}

func (k kind) parse(text string) (float64, bool) {
	for _, suffix := range suffixes[k] {
		digits, found := strings.CutSuffix(text, suffix.text)
		if !found {
			continue
		}
		v, err := strconv.ParseFloat(digits, 64)
		if err != nil || math.IsNaN(v) || v < 0 || v > 1e18 || k == share && v*suffix.by > 1 {
			return 0, false
		}
		return v * suffix.by, true
	}
	return 0, false
}

// String is a rule as Parse reads it.
func (r Rule) String() string {
	bound := strconv.FormatFloat(r.Bound, 'g', -1, 64)
	if kindOf(r.Measure) == span {
		bound += "us"
	}
	for _, suffix := range suffixes[kindOf(r.Measure)] {
		shorter := strconv.FormatFloat(r.Bound/suffix.by, 'g', -1, 64) + suffix.text
		if v, ok := kindOf(r.Measure).parse(shorter); ok && v == r.Bound && len(shorter) < len(bound) {
			bound = shorter
		}
	}
	return r.Measure + r.Op + bound
}

// String is rules as Parse reads them.
func (rules Rules) String() string {
	texts := make([]string, len(rules))
	for i, r := range rules {
		texts[i] = r.String()
	}
	return strings.Join(texts, ",")
}

func (r Rule) met(v float64) bool {
	switch r.Op {
	case "<":
		return v < r.Bound
	case "<=":
		return v <= r.Bound
	case ">":
		return v > r.Bound
	}
	return v >= r.Bound
}
