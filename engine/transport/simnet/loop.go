package simnet

import (
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/internal/invariant"
)

// A Loop is one event loop of a Host: a name under which events happen one at a time. It has no goroutine.
type Loop struct {
	host  *Host // fixed, as is index
	index int

	wake  pending // under the Net's lock, as is alarm
	alarm pending
}

var _ transport.Loop = (*Loop)(nil)

// Index implements transport.Loop.
func (lp *Loop) Index() int { return lp.index }

// Now implements transport.Loop: virtual time since the host was started.
func (lp *Loop) Now() time.Duration {
	return lp.host.net.Now() - time.Duration(lp.host.epoch.Load())
}

// Wake implements transport.Loop. The Turn comes 1 to 20 microseconds later.
func (lp *Loop) Wake() {
	n := lp.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if lp.host.state != hostRunning || lp.wake.queued() {
		return
	}
	n.schedule(&lp.wake, n.tick()+n.between(turnAfterMin, turnAfterMax))
}

// WakeAt implements transport.Loop. The Turn comes exactly at engine time at, or a microsecond from now if that is over.
func (lp *Loop) WakeAt(at time.Duration) {
	lp.mustBeCurrent("Loop.WakeAt")
	n := lp.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if lp.host.state != hostRunning || at > clockLimit {
		n.queue.stop(&lp.alarm) // at is Never, or might as well be
		return
	}
	n.schedule(&lp.alarm, max(at+time.Duration(lp.host.epoch.Load()), n.tick()+turnAfterMin))
}

func (lp *Loop) runs(*Net, *pending) *Host { return lp.host }

// fire tells the sink of a turn.
func (lp *Loop) fire(n *Net, _ *pending) {
	n.call.kind, n.call.host, n.call.loop = Turn, lp.host, lp
}

// mustBeCurrent holds that a call is made on lp. It cannot see a call that another goroutine makes during a Sink call on
// the same loop; a race detector can.
func (lp *Loop) mustBeCurrent(call string) {
	if lp.host.net.current.Load() != lp {
		invariant.Bug("simnet: bug: %s of loop %d of %v called off that loop", call, lp.index, lp.host.machine.addr)
	}
}
