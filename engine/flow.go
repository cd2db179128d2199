package engine

import "fmt"

// A flow says how far a sender of datagrams may run ahead of what the receiver has told it: in records, which have numbers,
// so that a lost one is known to be gone as soon as a later one has come. The receiver tells the highest number and how many
// have arrived; the difference is the loss.
//
//	arrived      the window grows by what arrived, and slower from where it was last cut (RFC 5681)
//	lost > 1/32  it is cut to 7/10 (CUBIC's factor), once for each window: fewer losses are the path's, not the crowd's
//	silence      it falls to the least, and the receiver is asked
//
// The window bounds what can be under way, and so both the queue of the slowest hop and what reaches a receiver that is
// behind: receipts are sent when records have been handled. It is under the peer's mu.
type flow struct {
	sent      uint64 // records sealed
	next      uint64 // the receiver has seen, or missed, all below
	received  uint64 // of them it has
	cutAt     uint64 // no further cut before next is here
	window    uint32 // records that may be under way
	threshold uint32 // above it the window grows by one for each window that arrives
	grown     uint32 // of that
	news      bool   // the last receipt said something new
}

func newFlow() flow { return flow{window: flowFirst, threshold: flowMost} }

// open reports whether another record may be sent.
func (f *flow) open() bool { return f.sent-f.next < uint64(f.window) }

// told takes a receipt. Old ones change nothing.
func (f *flow) told(next, received uint64) error {
	if next > f.sent || received > next {
		return fmt.Errorf("engine: receipt for %d of %d records, %d sent", received, next, f.sent)
	}
	f.news = next > f.next || received > f.received
	if next < f.next || received < f.received {
		return nil
	}
	passed, arrived := next-f.next, received-f.received
	f.next, f.received = next, received
	lost := passed - min(arrived, passed)
	switch {
	case lost > max(flowSpare, passed/flowLoss):
		f.cut()
	case f.window < f.threshold:
		f.window = min(f.window+uint32(min(arrived, flowMost)), flowMost)
	default:
		f.grown += uint32(min(arrived, flowMost))
		if f.grown >= f.window {
			f.grown = 0
			f.window = min(f.window+1, flowMost)
		}
	}
	return nil
}

// cut makes the window smaller, once for all losses of one window.
func (f *flow) cut() {
	if f.next < f.cutAt {
		return
	}
	f.window = max(f.window/10*7, flowLeast)
	f.threshold, f.grown = f.window, 0
	f.cutAt = f.sent
}

// stalled: no receipt has come for a while.
func (f *flow) stalled() {
	f.threshold = max(f.window/2, flowLeast)
	f.window, f.grown = flowLeast, 0
}
