package sim

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carrier-p2p/carrier/skad"
)

// A crew is the workers of a network while it runs: the goroutine that runs it has the first shard, and every other shard a goroutine of its own. They are hired with the first window
// that is worth it.
type crew struct {
	w     *Network
	hired []*worker
	last  time.Duration // of the window; written while all of them wait
	over  bool
	gone  sync.WaitGroup
}

type worker struct {
	begin, done gate
}

// work lets all shards go through a window.
func (c *crew) work(last time.Duration) {
	if c.hired == nil {
		c.hire()
	}
	c.last = last
	for _, x := range c.hired {
		x.begin.open()
	}
	c.w.shards[0].work(last)
	for _, x := range c.hired {
		x.done.pass()
	}
}

func (c *crew) hire() {
	patience := 0
	if len(c.w.shards) <= runtime.GOMAXPROCS(0) {
		patience = gatePatience
	}
	for _, s := range c.w.shards[1:] {
		x := &worker{begin: newGate(patience), done: newGate(patience)}
		c.hired = append(c.hired, x)
		c.gone.Go(func() {
			for x.begin.pass(); !c.over; x.begin.pass() {
				s.work(c.last)
				x.done.open()
			}
		})
	}
}

// dismiss ends the workers, and takes in what is still between the shards.
func (c *crew) dismiss() {
	c.over = true
	for _, x := range c.hired {
		x.begin.open()
	}
	c.gone.Wait()
	for _, s := range c.w.shards {
		s.unload()
	}
	c.w.soonest = skad.Never
}

// A gate lets one goroutine wait for another, for a moment with open eyes: a window takes a tenth of a millisecond, and falling asleep and waking up a good part of that.
type gate struct {
	state    atomic.Int32
	wake     chan struct{}
	patience int
}

const (
	shut int32 = iota
	opened
	asleep
)

// gatePatience is how often a gate is looked at before its goroutine falls asleep: some ten microseconds. If there are fewer processors than workers nobody opens it meanwhile, and
// it is not looked at twice.
const gatePatience = 20_000

func newGate(patience int) gate { return gate{wake: make(chan struct{}, 1), patience: patience} }

// open lets who waits pass, or who comes next.
func (g *gate) open() {
	if g.state.Swap(opened) == asleep {
		g.wake <- struct{}{}
	}
}

// pass waits until the gate is open, and shuts it.
func (g *gate) pass() {
	for range g.patience {
		if g.state.Load() == opened {
			break
		}
	}
	if g.state.CompareAndSwap(shut, asleep) {
		<-g.wake
	}
	g.state.Store(shut)
}
