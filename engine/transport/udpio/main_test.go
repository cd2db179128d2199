package udpio_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/carrier-p2p/carrier/engine/lab"
)

// The goroutines of gnet's worker pool, which the lab's nodes link, are the process's.
func TestMain(m *testing.M) {
	lab.Helpers(map[string]lab.Helper{"serve": labServe, "dial": labDial, "crowd": labCrowd})
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*goWorker).run.func1"),
	)
}
