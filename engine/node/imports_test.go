package node_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestNoQUIC: a program that does not ask for QUIC does not link it.
func TestNoQUIC(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "github.com/carrier-p2p/carrier/engine/node").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	deps := strings.Fields(string(out))
	for _, d := range deps {
		if strings.Contains(d, "quic") {
			t.Errorf("engine/node depends on %s", d)
		}
	}
	if len(deps) < 100 {
		t.Errorf("go list names %d packages only", len(deps))
	}
}
