package keepalive_test

import (
	"context"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/keepalive"
	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
)

// A node whose application holds a peer's messages back for half an hour is not dead, and neither is the peer: keepalives pass
// the gate both ways.
func TestGatedForLong(t *testing.T) {
	enginetest.Simulate(t, 1, simnet.Weather{Latency: 20 * time.Millisecond}, func(w *enginetest.World) {
		a := w.Node(&keepalive.Component{})
		cfg := w.Config()
		cfg.GateTimeout = time.Hour
		b := w.Start(w.New(cfg, &spy{world: w.Net()}, &keepalive.Component{}))
		toB := w.Dial(a, b)
		toA, _ := b.ConnMgr().Peer(a.ID())
		var gate *engine.Gate
		w.Do(func() {
			var err error
			if gate, err = toA.LockOnReceive(context.Background(), opNote); err != nil {
				w.Error(err)
			}
			if err := toB.TrySendRaw(opNote, nil); err != nil {
				w.Error(err)
			}
			if _, err := gate.Receive(context.Background()); err != nil {
				w.Error(err)
			}
			if err := toB.TrySendRaw(opNote, []byte("held back")); err != nil {
				w.Error(err)
			}
		})
		w.Pass(30 * time.Minute)
		if !toA.Connected() || !toB.Connected() {
			w.Fatalf("after half an hour behind a gate: %v, %v", toA.CloseReason(), toB.CloseReason())
		}
		gate.Unlock()
	})
}
