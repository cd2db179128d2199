package ack

import (
	"container/list"
	"encoding/binary"
	"math/bits"
	"net/netip"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/internal/fair"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// A window knows which of a sender's numbers have been taken. It decides and does nothing else.
//
//	settled │ 1 0 1 1 0 0 … │ not seen
//	        below           below+WindowLimit
//
// Invariant: below itself has not been taken.
type window struct {
	epoch uint32
	below uint32
	taken []uint64 // a ring of bits, by number modulo WindowLimit; nil: none above below
	count int      // bits that are set
	some  bool     // a number of this epoch has been taken
}

// begin is told what the sender says of its numbers. Another epoch is another sender: nothing is known of it.
func (w *window) begin(epoch, first uint32) {
	if w.epoch != epoch {
		*w = window{epoch: epoch, below: first}
		return
	}
	if n, is := ahead(w.below, first); is {
		w.slide(n)
	}
}

// fresh reports whether id has not been taken. One far ahead moves the window: its sender says by it that it waits for
// nothing older.
func (w *window) fresh(id uint32) bool {
	n, is := ahead(w.below, id)
	if !is {
		return false
	}
	if n >= WindowLimit {
		w.slide(n - WindowLimit + 1)
	}
	return !w.has(id)
}

func (w *window) has(id uint32) bool {
	at := id % WindowLimit
	return w.taken != nil && w.taken[at/64]>>(at%64)&1 != 0
}

// take notes that id, which was fresh, has been taken.
func (w *window) take(id uint32) {
	w.some = true
	if id == w.below {
		w.slide(1)
		return
	}
	if w.taken == nil {
		w.taken = make([]uint64, WindowLimit/64)
	}
	at := id % WindowLimit
	w.taken[at/64] |= 1 << (at % 64)
	w.count++
}

// slide settles the next n numbers, and those behind them that have been taken.
func (w *window) slide(n uint32) {
	if n >= WindowLimit {
		w.taken, w.count = nil, 0
	}
	if w.count == 0 {
		w.below = (w.below + n) % engine.AckIDs
		return
	}
	for ; n > 0 || w.count > 0 && w.has(w.below); n = max(n, 1) - 1 {
		if w.has(w.below) {
			at := w.below % WindowLimit
			w.taken[at/64] &^= 1 << (at % 64)
			w.count--
		}
		w.below = (w.below + 1) % engine.AckIDs
	}
	if w.count == 0 {
		w.taken = nil
	}
}

// state is what the sender is told; its bits are written into room.
func (w *window) state(room *[WindowLimit / 8]byte) message {
	m := message{kind: kindTaken, epoch: w.epoch, base: w.below}
	if w.count == 0 {
		return m
	}
	const words = WindowLimit / 64
	first, shift := w.below%WindowLimit/64, w.below%64
	size := 0
	for i := range uint32(words) {
		word := w.taken[(first+i)%words]>>shift | w.taken[(first+i+1)%words]<<(64-shift) // a shift by 64 leaves nothing
		binary.LittleEndian.PutUint64(room[8*i:], word)
		if word != 0 {
			size = int(8*i) + (bits.Len64(word)+7)/8
		}
	}
	m.bits = room[:size]
	return m
}

// An inbox is what is remembered of one sender. It belongs to the loop of the connection, or, between two connections, to
// the Component, under its lock.
type inbox struct {
	window
	from     identity.ID
	instance uint64
	peer     *engine.PeerClient // nil between connections
	dirty    bool               // the sender has to be told
	forgetAt time.Duration      // engine time, while place is set

	// Among the departed, under the Component's lock; nil while there is a connection.
	place *list.Element
	share *fair.Item[netip.Prefix, *inbox] // of its subnet
}
