package handshake

import "math"

// A Window tells datagrams that were seen from new ones. It remembers which of the last WindowSize numbers have come,
// and treats everything older as seen: the ring of RFC 6479. The zero Window has seen nothing. It belongs to one
// goroutine at a time.
//
// Call Check before a datagram is opened, which is cheap, and Accept only after it has opened: otherwise anyone could
// move the window with a forged number.
type Window struct {
	next  uint64              // one above the highest number seen
	words [windowWords]uint64 // bit n%64 of word n/64%windowWords: n was seen
}

// Check reports whether counter is new: neither seen nor too old.
func (w *Window) Check(counter uint64) bool {
	if counter >= w.next {
		return counter != math.MaxUint64 // never sealed: the nonce of rekeying
	}
	if w.next-counter > WindowSize {
		return false
	}
	return w.words[counter/64%windowWords]&(1<<(counter%64)) == 0
}

// Accept is Check, and marks counter as seen.
func (w *Window) Accept(counter uint64) bool {
	if !w.Check(counter) {
		return false
	}
	if counter >= w.next {
		w.slide(counter)
	}
	w.words[counter/64%windowWords] |= 1 << (counter % 64)
	return true
}

// slide clears the words that the window enters. Those between are stale from one round of the ring before.
func (w *Window) slide(counter uint64) {
	to := counter / 64
	if w.next > 0 {
		from := (w.next - 1) / 64
		for i := uint64(0); i < min(to-from, windowWords); i++ {
			w.words[(to-i)%windowWords] = 0
		}
	}
	w.next = counter + 1
}
