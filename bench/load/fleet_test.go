package load_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/carrier-p2p/carrier/bench/load"
)

// newFleet is a Bench of hold whose dialling processes are runs of their own beside it.
func newFleet(f *fake, conns, dialers int) *load.Bench {
	b := newBench(f, load.Config{Scenario: load.Hold, Conns: conns, Dialers: dialers})
	b.Fleet = func(ctx context.Context, conns int) (*load.Result, error) {
		c := load.Config{Scenario: load.Hold, Conns: conns, Duration: 1 << 40, Warmup: -1}
		return (&load.Bench{Config: c, Driver: "fake", Dialer: f, Patience: b.Patience}).Run(ctx)
	}
	return b
}

// Connections that other processes hold are counted where they are served, and each process asks on some of its own.
func TestFleet(t *testing.T) {
	var dials atomic.Int64
	f := &fake{dial: func(int) error { dials.Add(1); return nil }}
	b := newFleet(f, 100, 3)
	r, err := b.Run(t.Context())
	if err != nil || r.Failed() {
		t.Fatalf("%+v, %v", r, err)
	}
	if dials.Load() != 100 || r.Connections != 100 || r.Messages != 100 || r.Figures["asked"] != 100 || r.Client.Goroutines == 0 {
		t.Errorf("%d dialled, %d held, %d answered, figures %v, %+v", dials.Load(), r.Connections, r.Messages, r.Figures, r.Client)
	}
}

// A dialling process that fails, or ends by itself, ends the run with its number; so does one that is not answered.
func TestFleetFailures(t *testing.T) {
	b := newFleet(&fake{dial: func(n int) error {
		if n == 20 {
			return errGone
		}
		return nil
	}}, 100, 2)
	if r, err := b.Run(t.Context()); !errors.Is(err, errGone) || !strings.Contains(err.Error(), "dialling process") {
		t.Errorf("a dial that fails: %+v, %v", r, err)
	}
	b = newFleet(&fake{}, 100, 2)
	b.Fleet = func(context.Context, int) (*load.Result, error) { return &load.Result{}, nil }
	if r, err := b.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "before it was told") {
		t.Errorf("processes that end: %+v, %v", r, err)
	}
	f := &fake{answer: func(int, []byte) ([]byte, error) { return nil, errGone }}
	if r, err := newFleet(f, 10, 2).Run(t.Context()); err != nil || !r.Failed() || r.Errors["no_answer"] != 10 {
		t.Errorf("connections that do not answer: %+v, %v", r, err)
	}
	b = newFleet(&fake{}, 100, 2)
	b.Fleet = nil
	if r, err := b.Run(t.Context()); !errors.Is(err, load.ErrConfig) {
		t.Errorf("nobody to dial: %+v, %v", r, err)
	}
}

// A run that is interrupted while it gathers ends, and its processes with it.
func TestFleetInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := &fake{dial: func(int) error { cancel(); return errGone }}
	if r, err := newFleet(f, 4, 2).Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v", r, err)
	}
}
