// Package worker computes off the event loops what would hold them, and brings the results back to them in batches.
//
//	a loop ──Try──▶ queue ──▶ a worker: task(), task(), …  while more wait, batchLimit at most
//	   ▲                         │
//	   └────── PostAll ──────────┘ one call, and so one waking, for all that belongs to the loop
//
// Workers are threads with a low priority, so that the established peers' requests do not feel a storm of newcomers: their
// p99 is 0.5 ms during one, and 16 ms if the loops compute. A loop that is woken interrupts a worker, which costs two switches
// of threads for each step of a handshake. So a worker that has a result and sees more work waiting does that first: with 64
// dials at once a quarter of all switches are spared. Where nothing waits, a result goes back at once.
//
// A locked, niced thread can be preempted by the kernel while it holds one of Go's processors. Where storms are expected
// GOMAXPROCS should be the number of cores plus the number of workers: see docs/tuning.md.
//
// A Crew owns its queue and its goroutines. A panic in a task is the task's affair: it is not caught here.
package worker

import (
	"runtime"
	"slices"
	"sync"
)

// batchLimit is how many results a worker keeps back at most while it computes the next. A step of a handshake takes 0.1 ms,
// so the first of eight waits for 0.7 ms more, where a queue is so long that it has waited for as much in it.
const batchLimit = 8

// A Loop takes results back.
type Loop interface {
	// PostAll arranges for all of fs to run on the loop, in their order; none when the loop has ended. It never waits, and
	// keeps nothing of fs itself. Any goroutine.
	PostAll(fs []func())
}

// A job is a task and whose it is; to is nil when nothing comes back.
type job struct {
	to   Loop
	task func() (then func())
}

// A Crew is a number of workers with one queue. Make it with Start, end it with Stop.
type Crew struct {
	queue    chan job
	quit     chan struct{}
	done     sync.WaitGroup
	stopOnce sync.Once
}

// Start starts count workers with a queue of that length.
func Start(count, queue int) *Crew {
	c := &Crew{queue: make(chan job, queue), quit: make(chan struct{})}
	for range count {
		c.done.Go(c.run)
	}
	return c
}

// Try queues a task, which must not wait for anything; what it returns, if that is not nil, is posted to the loop. With no loop
// it returns nil. Try reports false if the queue is full: the newest is shed, those who wait keep their place. It never waits.
// Any goroutine.
func (c *Crew) Try(to Loop, task func() (then func())) bool {
	select {
	case c.queue <- job{to, task}:
		return true
	default:
		return false
	}
}

// Stop ends the workers and returns when they have ended. What still waits is dropped; results of what has been computed are
// posted. Idempotent.
func (c *Crew) Stop() {
	c.stopOnce.Do(func() { close(c.quit) })
	c.done.Wait()
}

// run is a worker. It never unlocks its thread: that ends with the goroutine, and its low priority with it.
func (c *Crew) run() {
	runtime.LockOSThread()
	lowerPriority()
	var b batch
	for {
		select {
		case j := <-c.queue:
			b.do(j)
			c.more(&b)
		case <-c.quit:
			return
		}
	}
}

// more goes on with what waits, until that is nothing or the batch is full, and delivers.
func (c *Crew) more(b *batch) {
	defer b.deliver()
	for len(b.held) < batchLimit {
		select {
		case j := <-c.queue:
			b.do(j)
		default:
			return
		}
	}
}

// A batch is what a worker has not delivered. It is the worker's own.
type batch struct {
	held []result
	same []func() // scratch of deliver
}

type result struct {
	to   Loop
	then func()
}

// do computes j. A task that has no loop is a component's, and may take long: nothing is kept back for it.
func (b *batch) do(j job) {
	if j.to == nil {
		b.deliver()
	}
	if then := j.task(); then != nil {
		b.held = append(b.held, result{j.to, then})
	}
}

// deliver posts what is held, all that is one loop's together.
func (b *batch) deliver() {
	for len(b.held) > 0 {
		to := b.held[0].to
		b.held = slices.DeleteFunc(b.held, func(r result) bool {
			if r.to == to {
				b.same = append(b.same, r.then)
			}
			return r.to == to
		})
		to.PostAll(b.same)
		clear(b.same)
		b.same = b.same[:0]
	}
}
