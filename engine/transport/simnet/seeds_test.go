package simnet_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport/simnet"
)

// TestSeeds writes, closes and sees everything arrive, in fifty storms. A failure names its seed:
//
//	go test ./engine/transport/simnet -run 'TestSeeds/seed=17$' -v
func TestSeeds(t *testing.T) {
	storm := simnet.Weather{Latency: 80 * time.Millisecond, Jitter: 80 * time.Millisecond, Loss: 0.05, Cut: 0.5}
	for seed := range uint64(50) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			n, ea, eb := pair(t, seed, storm)
			if testing.Verbose() {
				n.Observe(func(e simnet.Event) { t.Log(e) })
			}
			ea.write(text(100_000))
			ea.Close()
			n.Quiesce(time.Hour)
			if !bytes.Equal(eb.got.Bytes(), text(100_000)) {
				t.Errorf("%d bytes arrived of 100000 (trace %x)", eb.got.Len(), n.Trace())
			}
		})
	}
}
