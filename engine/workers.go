package engine

import (
	"runtime"
	"sync"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// workers compute handshakes off the loops, on threads of their own with a lower priority, so that the established peers'
// requests do not feel a storm of newcomers: their p99 is 0.5 ms during one, and 16 ms if the loops compute.
//
// A locked, niced thread can be preempted by the kernel while it holds one of Go's processors. Where storms are expected
// GOMAXPROCS should be the number of cores plus the number of workers: see docs/tuning.md.
type workers struct {
	queue    chan func()
	quit     chan struct{}
	done     sync.WaitGroup
	offload  transport.Offloader
	stopOnce sync.Once
}

// startWorkers starts count workers with a queue of that length.
func startWorkers(count, queue int) *workers {
	w := &workers{queue: make(chan func(), queue), quit: make(chan struct{})}
	for range count {
		w.done.Add(1)
		go w.run()
	}
	return w
}

// offloaded leaves the work to the transport.
func offloaded(o transport.Offloader) *workers { return &workers{offload: o} }

// Compute has task run on the workers that compute handshakes: for a component's arithmetic that would hold a loop, such
// as checking signatures. It reports false if too much is waiting already, or the network does not run; then the
// component does without. task must not wait for anything; a panic in it is counted and logged, as in a component's
// callbacks. Any goroutine.
func (n *Network) Compute(task func()) bool {
	return n.running() && n.workers.try(func() { n.guard(n.callbacks, task) })
}

// run never unlocks its thread: it ends with the goroutine, and its low priority with it.
func (w *workers) run() {
	defer w.done.Done()
	runtime.LockOSThread()
	lowerPriority()
	for {
		select {
		case task := <-w.queue:
			task()
		case <-w.quit:
			return
		}
	}
}

// try queues a task, or reports false if the queue is full: the newest is shed, those who wait keep their place.
func (w *workers) try(task func()) bool {
	if w.offload != nil {
		return w.offload.Offload(task)
	}
	select {
	case w.queue <- task:
		return true
	default:
		return false
	}
}

func (w *workers) stop() {
	if w.offload == nil {
		w.stopOnce.Do(func() { close(w.quit) })
		w.done.Wait()
	}
}
