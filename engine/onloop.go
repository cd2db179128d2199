package engine

import (
	"bytes"
	"runtime"
	"strconv"
)

// onLoop reports whether the caller runs in a component's code on one of the network's loops. A call that waits would
// then wait for itself.
//
// Go does not tell a goroutine who it is, except in the first line of its stack trace, which takes a microsecond to get.
// So that is asked only while a component's code runs on some loop at this very moment; otherwise the caller cannot be it.
func (n *Network) onLoop() bool {
	if n.phase.Load() == phaseNew { // Start may be making the loops at this moment
		return false
	}
	for _, l := range n.loops {
		if l.here() {
			return true
		}
	}
	return false
}

// OnLoop reports whether the caller runs in a component's code on one of the network's loops, where nothing may wait:
// methods of components that do return ErrOnLoop then.
func (n *Network) OnLoop() bool { return n.onLoop() }

// here reports whether the caller runs in a component's code on this loop.
func (l *loop) here() bool { return l.user.Load() != nil && l.goid.Load() == goroutineID() }

// goroutineID reads the number out of "goroutine 123 [running]:".
func goroutineID() uint64 {
	var buf [48]byte
	b := bytes.TrimPrefix(buf[:runtime.Stack(buf[:], false)], []byte("goroutine "))
	digits, _, _ := bytes.Cut(b, []byte(" "))
	id, _ := strconv.ParseUint(string(digits), 10, 64)
	return id
}

// yield lets goroutines that were just woken run before the loop goes on: they have their replies, and the loop has nothing
// to do. Worth a third of the p99 of requests beside bulk, and a quarter of the system calls of 64 requests in flight.
func yield() { runtime.Gosched() }
