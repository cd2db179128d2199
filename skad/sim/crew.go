package sim

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carrier-p2p/carrier/skad"
)

// A crew is the workers of a network while it runs: the goroutine that runs it has the first shard, and every
// other shard a goroutine of its own. They are hired with the first window that is worth it.
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
	watch := len(c.w.shards) <= runtime.GOMAXPROCS(0)
	for _, s := range c.w.shards[1:] {
		x := &worker{begin: newGate(watch), done: newGate(watch)}
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

// A gate lets one goroutine wait for another, for a while with open eyes: a window takes a tenth of a
// millisecond, and falling asleep and waking up as long as that. So as long as that is worth it the wait is a
// look at every moment. Where processors have others to serve, whoever is waited for may not be running at
// all: every look in vain halves the next one, and one that is not makes it whole again.
type gate struct {
	state    atomic.Int32
	wake     chan struct{}
	patience int  // of the goroutine that passes
	watch    bool // false: there are fewer processors than workers, and nobody opens the gate while it is looked at
}

const (
	shut int32 = iota
	opened
	asleep
)

// gatePatience and gateImpatience are how often a gate is looked at, at most and at least, before its
// goroutine falls asleep: a tenth of a millisecond, the length of a window, and a sixteenth of that.
const (
	gatePatience   = 320_000
	gateImpatience = gatePatience / 16
)

func newGate(watch bool) gate {
	return gate{wake: make(chan struct{}, 1), patience: gatePatience, watch: watch}
}

// open lets who waits pass, or who comes next.
func (g *gate) open() {
	if g.state.Swap(opened) == asleep {
		g.wake <- struct{}{}
	}
}

// pass waits until the gate is open, and shuts it.
func (g *gate) pass() {
	if g.watch {
		g.look()
	}
	if g.state.CompareAndSwap(shut, asleep) {
		<-g.wake
	}
	g.state.Store(shut)
}

// look waits with open eyes.
func (g *gate) look() {
	for range g.patience {
		if g.state.Load() == opened {
			g.patience = gatePatience
			return
		}
	}
	g.patience = max(g.patience/2, gateImpatience)
}
