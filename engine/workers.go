package engine

import (
	"github.com/carrier-p2p/carrier/engine/internal/worker"
	"github.com/carrier-p2p/carrier/engine/transport"
)

// workers compute handshakes off the loops: the node's own, or those of a transport that has an idea of its own when things
// happen.
type workers struct {
	own     *worker.Crew
	offload transport.Offloader // nil: own
}

// Compute has task run on the workers that compute handshakes: for a component's arithmetic that would hold a loop, such
// as checking signatures. It reports false if too much is waiting already, or the network does not run; then the
// component does without. task must not wait for anything; a panic in it is counted and logged, as in a component's
// callbacks. Any goroutine.
func (n *Network) Compute(task func()) bool {
	guarded := func() { n.guard(n.callbacks, task) }
	switch w := n.workers; {
	case !n.running():
		return false
	case w.offload != nil:
		return w.offload.Offload(guarded)
	default:
		return w.own.Try(nil, func() func() { guarded(); return nil })
	}
}

// try has task computed, and what it returns run on l. It reports false if too much is waiting: the newest is shed.
func (w *workers) try(l *loop, task func() (then func())) bool {
	if w.offload == nil {
		return w.own.Try(l, task)
	}
	if r, ok := w.offload.(transport.Returner); ok {
		return r.OffloadTo(l.port, func() func() {
			then := task()
			return func() { l.post(then) }
		})
	}
	return w.offload.Offload(func() { l.post(task()) })
}

func (w *workers) stop() {
	if w.own != nil {
		w.own.Stop()
	}
}
