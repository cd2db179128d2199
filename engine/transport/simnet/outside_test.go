package simnet_test

import (
	"sync"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport/simnet"
)

// TestRunWithCallsFromOutside: what another goroutine orders while Run is about to move the clock on is not left behind in
// the past. That would be a panic in the checked build (-tags invariant).
func TestRunWithCallsFromOutside(t *testing.T) {
	n, ea, _ := pair(t, 1, simnet.Weather{})
	lp := ea.node.Loops()[0]
	var wait sync.WaitGroup
	stop := make(chan struct{})
	wait.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				lp.Wake()
			}
		}
	})
	turns := 0
	n.Observe(func(simnet.Event) { turns++ })
	for turns < 500 {
		n.Run(50 * time.Microsecond)
	}
	close(stop)
	wait.Wait()
}
