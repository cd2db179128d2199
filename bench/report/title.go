package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/carrier-p2p/carrier/bench/load"
)

// Title says what was run, with the variables that matter to the scenario.
func Title(c load.Config) string {
	parts := []string{c.Scenario}
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if c.Scenario == load.Stream && c.Direction != "" {
		add("%s", c.Direction)
	}
	switch {
	case c.Spoof && c.SpoofRate > 0:
		add("%s handshakes a second from made-up addresses", Short(c.SpoofRate))
	case c.Spoof:
		add("handshakes from made-up addresses")
	case c.Scenario == load.Connect || c.Scenario == load.Storm:
		add("%d dials at once", c.Conns)
	default:
		add("%s", Plural(c.Conns, "connection"))
		if c.Dialers > 0 {
			add("from %d processes", c.Dialers)
		}
	}
	if c.Inflight > 1 || c.Scenario == load.RPC {
		add("%d in flight on each", c.Inflight)
	}
	if c.Scenario != load.Connect && c.Scenario != load.Churn && c.Scenario != load.Hold {
		add("%s", sizesOf(c))
	}
	if c.AnswerSize > 0 {
		add("answers of %s", withUnit(c.AnswerSize))
	}
	if c.Scenario == load.Mixed {
		add("beside %s", withUnit(c.BulkSize))
	}
	if text := paceOf(c); text != "" {
		add("%s", text)
	}
	return strings.Join(parts, ", ")
}

func withUnit(n int) string {
	text := Bytes(n)
	if strings.HasSuffix(text, "iB") {
		return text
	}
	return text + " B"
}

func sizesOf(c load.Config) string {
	if len(c.Sizes) == 0 {
		return withUnit(c.Size)
	}
	var shares []string
	for _, s := range c.Sizes {
		shares = append(shares, fmt.Sprintf("%s:%d", Bytes(s.Bytes), s.Share))
	}
	return "sizes " + strings.Join(shares, " ")
}

func paceOf(c load.Config) (text string) {
	switch {
	case len(c.Stages) > 0:
		var stages []string
		for _, s := range c.Stages {
			stage := span(s.For) + ":" + Short(s.From)
			if s.From != s.To {
				stage += ".." + Short(s.To)
			}
			stages = append(stages, stage)
		}
		text = "stages " + strings.Join(stages, " ")
	case c.Rate > 0:
		text = Short(c.Rate) + " a second (open loop)"
	default:
		return ""
	}
	if c.Poisson {
		text += " at random"
	}
	return text
}

// span shows a duration without parts that are zero: 10s, 1m30s.
func span(d time.Duration) string {
	text := d.String()
	if before, ok := strings.CutSuffix(text, "m0s"); ok {
		text = before + "m"
	}
	if before, ok := strings.CutSuffix(text, "h0m"); ok {
		text = before + "h"
	}
	return text
}
