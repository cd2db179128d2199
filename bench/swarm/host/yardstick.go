package host

import (
	"sync"
	"time"

	"github.com/carrier-p2p/carrier/engine"
)

// A yardstick is a task that does nothing but arithmetic: no memory, no lock, no system call, the same each time. How long
// it holds a loop beyond that is the machine's doing: other processes, the collector, the threads of the swarm itself, of
// which there are more than cores. What the tasks of the overlay take is to be read beside it.
type yardstick struct {
	engine.Component
	steps int
	task  *engine.Task
	sum   uint64 // owned by the home loop; so that nothing is left out as useless
}

// yardstickName is the name of the task.
const yardstickName = "yardstick"

// yardstickLong is about how long the arithmetic takes: as the longer tasks of the overlay do. Once a second on each of two
// hundred nodes it is a hundredth of a core.
const (
	yardstickLong  = 50 * time.Microsecond
	yardstickEvery = time.Second
)

// yardstickSteps is how much arithmetic that is on this machine: by the quickest of many tries, which nothing has interrupted.
var yardstickSteps = sync.OnceValue(func() int {
	const steps, tries = 10_000, 50
	quickest := time.Hour
	for range tries {
		began := time.Now()
		if arithmetic(1, steps) == 0 {
			return 1 // it never is; but then it cannot be left out
		}
		quickest = min(quickest, time.Since(began))
	}
	return max(1, int(steps*yardstickLong/max(1, quickest)))
})

// arithmetic is xorshift64 (Marsaglia 2003), each step of which needs the one before. It is never 0.
func arithmetic(x uint64, steps int) uint64 {
	for range steps {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}

// Startup begins.
func (y *yardstick) Startup(n *engine.Network) {
	y.steps, y.sum = yardstickSteps(), 1
	loop := n.HomeLoop()
	y.task = loop.NewTask(yardstickName, func() {
		y.sum = arithmetic(y.sum, y.steps)
		y.task.WakeAt(loop.Now() + yardstickEvery)
	})
	y.task.Wake()
}

// Cleanup ends it.
func (y *yardstick) Cleanup(n *engine.Network) { n.HomeLoop().Post(y.task.Stop) }
