package engine_test

import (
	"context"
	"errors"
	"testing"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
)

// A failing transport ends when the test says so, and tells its Sink, as a reactor does that can go on no longer.
type failing struct {
	transport.Transport
	sink transport.Sink
}

func (f *failing) Start(sink transport.Sink, listen []transport.Addr) ([]transport.Addr, error) {
	f.sink = sink
	return f.Transport.Start(sink, listen)
}

func (f *failing) fail() error {
	err := f.Stop()
	f.sink.Failed(errors.New("out of descriptors"))
	return err
}

// ender is a component that ends its work on the loop, as Cleanup should.
type ender struct {
	engine.Component
	did error
	ran bool
}

func (e *ender) Cleanup(n *engine.Network) { e.did = n.HomeLoop().Do(func() { e.ran = true }) }

// Do has run what it was given when it returns. Where the loop has ended, or would wait for itself, it says
// so instead of waiting for ever.
func TestDo(t *testing.T) {
	for _, x := range []struct {
		name  string
		fails bool
		want  error
	}{{"the loop runs", false, nil}, {"its transport has failed", true, engine.ErrClosed}} {
		t.Run(x.name, func(t *testing.T) {
			enginetest.Simulate(t, 1, simnet.Weather{}, func(w *enginetest.World) {
				cfg := w.Config()
				under := &failing{Transport: cfg.Transport}
				cfg.Transport = under
				e := &ender{}
				n := w.Start(w.New(cfg, e))
				var onLoop error
				w.Do(func() { _ = n.HomeLoop().Do(func() { onLoop = n.HomeLoop().Do(func() {}) }) })
				if onLoop != engine.ErrOnLoop {
					t.Errorf("on the loop itself: %v", onLoop)
				}
				if x.fails {
					if err := under.fail(); err != nil {
						t.Fatal(err)
					}
				}
				w.Do(func() {
					if err := n.Shutdown(context.Background()); err != nil {
						t.Error(err)
					}
				})
				if e.did != x.want || e.ran == x.fails {
					t.Errorf("Cleanup got %v, ran %v", e.did, e.ran)
				}
				if err := n.HomeLoop().Do(func() { t.Error("ran on a loop that has ended") }); err != engine.ErrClosed {
					t.Errorf("after the end: %v", err)
				}
			})
		})
	}
}
