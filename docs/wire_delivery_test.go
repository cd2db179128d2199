package docs_test

import (
	"testing"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/ack"
	"github.com/carrier-p2p/carrier/engine/component/metric"
)

// TestWireDelivery holds wire-delivery.md against the code.
func TestWireDelivery(t *testing.T) {
	page := wirePage{
		file:    "wire-delivery.md",
		limits:  map[string]int{"ack.WindowLimit": ack.WindowLimit, "engine.AckIDs": engine.AckIDs, "metric.MeasureLimit": metric.MeasureLimit},
		vectors: readVectors(t, "18", "../engine/component/ack/testdata/messages.txt"),
		opcodes: []string{"18", "18", "18", "16", "17"},
	}
	// Those of component/metric need no file.
	page.vectors["metric-request"] = wireVector{name: "metric-request", op: "16", bytes: make([]byte, 20)}
	page.vectors["metric-response"] = wireVector{name: "metric-response", op: "17", bytes: []byte{20, 0, 0, 0}}
	page.check(t)
}
