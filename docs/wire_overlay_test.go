package docs_test

import (
	"testing"

	"github.com/carrier-p2p/carrier/engine/component/overlay"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
	"github.com/carrier-p2p/carrier/skad/spread"
)

// TestWireOverlay holds wire-overlay.md against the code.
func TestWireOverlay(t *testing.T) {
	page := wirePage{
		file: "wire-overlay.md",
		limits: map[string]int{
			"skad.ReplyLimit": skad.ReplyLimit, "skad.FingerprintLimit": skad.FingerprintLimit, "skad.RouteTTL": skad.RouteTTL, "skad.RouteCopyLimit": skad.RouteCopyLimit,
			"skad.RoutePayloadLimit": skad.RoutePayloadLimit, "identity.RecordSizeLimit": identity.RecordSizeLimit,
			"spread.PayloadLimit": spread.PayloadLimit, "spread.IDLimit": spread.IDLimit, "overlay.PayloadLimit": overlay.PayloadLimit,
		},
		vectors: readVectors(t, "", "../skad/testdata/messages.txt", "../skad/spread/testdata/messages.txt",
			"../engine/component/overlay/testdata/envelopes.txt", "../engine/component/reach/testdata/messages.txt"),
		opcodes: []string{"12", "13", "21", "22", "23", "24", "25", "26", "none", "27", "28"},
	}
	delete(page.vectors, "not-ours") // a message of an opcode that is none of the overlay's
	page.check(t)
}
