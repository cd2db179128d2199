package docs_test

import (
	"encoding/hex"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/ack"
	"github.com/carrier-p2p/carrier/engine/component/metric"
	"github.com/carrier-p2p/carrier/opcode"
)

const wireDelivery = "wire-delivery.md"

var deliveryLimits = map[string]int{
	"ack.WindowLimit": ack.WindowLimit, "engine.AckIDs": engine.AckIDs, "metric.MeasureLimit": metric.MeasureLimit,
}

// deliveryVectors are those of component/ack, and the two of component/metric, which need no file.
func deliveryVectors(t *testing.T) map[string]wireVector {
	t.Helper()
	text, err := os.ReadFile("../engine/component/ack/testdata/messages.txt")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]wireVector{
		"metric-request":  {name: "metric-request", op: "16", bytes: make([]byte, 20)},
		"metric-response": {name: "metric-response", op: "17", bytes: []byte{20, 0, 0, 0}},
	}
	for block := range strings.SplitSeq(string(text), "\n\n") {
		value := map[string]string{}
		for line := range strings.Lines(block) {
			k, v, _ := strings.Cut(strings.TrimSpace(line), "=")
			value[k] = v
		}
		if name := value["name"]; name != "" {
			b, err := hex.DecodeString(value["hex"])
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			all[name] = wireVector{name, "18", b, value["expect"] != "ok"}
		}
	}
	return all
}

// TestWireDelivery holds wire-delivery.md against the code, as TestWireOverlay does for its page.
func TestWireDelivery(t *testing.T) {
	text, err := os.ReadFile(wireDelivery)
	if err != nil {
		t.Fatal(err)
	}
	page, vectors, named := string(text), deliveryVectors(t), map[string]bool{}
	sections := readSections(t, page)
	if len(sections) != 4 {
		t.Fatalf("%d sections", len(sections))
	}
	for _, s := range sections {
		op := opcodeLine.FindStringSubmatch(s.text)[1]
		n, _ := strconv.Atoi(op)
		if name, _, _ := strings.Cut(s.title, ":"); opcode.Opcode(n).String() != name {
			t.Errorf("%s: opcode %d is %v", s.title, n, opcode.Opcode(n))
		}
		for _, row := range overlayLimitRow.FindAllStringSubmatch(s.text, -1) {
			if want, ok := deliveryLimits[row[1]]; !ok || strconv.Itoa(want) != row[2] {
				t.Errorf("%s: %s is %d, the page says %s", s.title, row[1], want, row[2])
			}
		}
		for _, row := range wrongRow.FindAllStringSubmatch(s.text[strings.Index(s.text, "### What can be wrong"):], -1) {
			if row[1] == "vectors" || strings.Trim(row[1], "-") == "" {
				continue
			}
			for _, name := range strings.Fields(row[1]) {
				named[name] = true
				if v, ok := vectors[name]; !ok || !v.bad {
					t.Errorf("%s: there is no bad vector %q", s.title, name)
				}
			}
		}
		m := example.FindStringSubmatch(s.text)
		if m == nil {
			t.Errorf("%s has no example", s.title)
			continue
		}
		v, ok := vectors[m[1]]
		if !ok || v.bad || v.op != op {
			t.Errorf("%s: vector %q: there %t, bad %t, opcode %s", s.title, m[1], ok, v.bad, v.op)
			continue
		}
		want, err := s.explain(v.bytes)
		switch {
		case err != nil:
			t.Errorf("%s: %s: %v", s.title, v.name, err)
		case *update:
			page = strings.Replace(page, m[0], strings.Replace(m[0], "```text\n"+m[2], "```text\n"+want, 1), 1)
		case m[2] != want:
			t.Errorf("%s: the example differs from %s (-update writes it), which is:\n%s", s.title, v.name, want)
		}
	}
	for name, v := range vectors {
		if v.bad && !named[name] {
			t.Errorf("the bad vector %q is not explained", name)
		}
	}
	if *update {
		if err := os.WriteFile(wireDelivery, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
