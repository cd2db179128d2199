package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/carrier-p2p/carrier/bench/load"
	"github.com/carrier-p2p/carrier/bench/report"
	"github.com/carrier-p2p/carrier/bench/scenario"
	"github.com/carrier-p2p/carrier/bench/slo"
)

// docs/p2pbench.md names every command about load, every ready scenario, every form of a report, every key of
// a scenario file; and the rules in it can be read.
func TestDocument(t *testing.T) {
	b, err := os.ReadFile("../../docs/p2pbench.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	named := func(what, name string) {
		t.Helper()
		if !regexp.MustCompile("`[^`\n]*" + regexp.QuoteMeta(name) + "[^`\n]*`").MatchString(text) {
			t.Errorf("it does not name the %s %q", what, name)
		}
	}
	for _, name := range append(load.Scenarios(), "compare", "report", "completion", "man") {
		named("command", name)
	}
	for _, name := range scenario.ReadyNames() {
		named("ready scenario", name)
	}
	for _, format := range []string{".html", ".md", ".csv", ".txt", ".json", ".jsonl", ".bench", ".prom"} {
		if _, err := report.FormatOf("a" + format); err != nil {
			t.Errorf("%s: %v", format, err)
		}
		named("ending", format)
	}
	source, err := os.ReadFile("../../bench/scenario/file.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range regexp.MustCompile(`(?m)^	case "([a-z]+)":`).FindAllStringSubmatch(string(source), -1) {
		named("key", key[1])
	}
	rules := regexp.MustCompile("[a-z0-9./-]+(?:[<>]=?)[0-9.]+(?:[a-z]+|%)?").FindAllString(text, -1)
	if len(rules) < 5 {
		t.Fatalf("only %d rules in it", len(rules))
	}
	for _, rule := range rules {
		if _, err := slo.Parse(strings.TrimSpace(rule)); err != nil {
			t.Errorf("the rule %s: %v", rule, err)
		}
	}
}
