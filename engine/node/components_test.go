package node_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/ack"
	"github.com/carrier-p2p/carrier/engine/component/backoff"
	"github.com/carrier-p2p/carrier/engine/component/metric"
	"github.com/carrier-p2p/carrier/engine/node"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// The stock node answers acknowledgements and measurements; it reconnects if it is told to. Bad settings are reported
// together.
func TestStockComponents(t *testing.T) {
	weak := node.Config{Puzzle: &identity.Puzzle{}, WeakPuzzle: true}
	n, err := node.New(weak)
	if err != nil {
		t.Fatal(err)
	}
	_, acks := engine.ComponentOf[*ack.Component](n)
	_, metrics := engine.ComponentOf[*metric.Component](n)
	_, reconnects := engine.ComponentOf[*backoff.Component](n)
	if !acks || !metrics || reconnects {
		t.Errorf("acknowledges %v, measures %v, reconnects %v", acks, metrics, reconnects)
	}
	weak.Reconnect = &backoff.Config{}
	if n, err = node.New(weak); err != nil {
		t.Fatal(err)
	}
	if _, ok := engine.ComponentOf[*backoff.Component](n); !ok {
		t.Error("it does not reconnect")
	}
	weak.Ack.Retry, weak.Metric.Timeout, weak.Reconnect.First, weak.Keepalive.Every, weak.Timeout = -1, -1, -1, -1, -1
	_, err = node.New(weak)
	if err == nil || errors.Is(err, engine.ErrClosed) {
		t.Fatalf("bad settings: %v", err)
	}
	for _, part := range []string{"ack: Retry", "metric: Timeout", "backoff: First", "keepalive: Every", "Timeout -1ns"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not tell of %s", err, part)
		}
	}
}
