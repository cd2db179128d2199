package discovery

import (
	"sync"
	"time"

	"github.com/carrier-p2p/carrier/skad"
)

// An item is something that the home loop is to be told.
type item struct {
	kind    itemKind
	session *session     // came, up, down
	message skad.Message // came; its Payload is the batch's
	dial    *dial        // dialled
	seed    skad.ID      // seeded
	err     error        // dialled
	do      func(now time.Duration, core *skad.Core)
}

type itemKind uint8

const (
	came itemKind = iota
	up
	down
	dialled
	seeded
	asked
)

// A batch is what came between two looks of the home loop. Filling one that was used before allocates nothing.
type batch struct {
	items    []item
	next     int
	bytes    []byte // payloads
	messages int
	asks     int
}

// An inbox takes what other goroutines have for the home loop. While one batch is being filled the other is worked off.
type inbox struct {
	mu      sync.Mutex
	filling *batch
	turn    uint64 // counts batches
	closed  bool   // before Startup and after Cleanup
}

// put adds an item of which there cannot be more than connections and dials that begin and end.
func (b *inbox) put(i item) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.filling.items = append(b.filling.items, i)
	}
}

// message adds a message of a peer. It reports false if there is no room for it.
func (b *inbox) message(s *session, m *skad.Message) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.filling
	if s.batch != b.turn {
		s.batch, s.queued = b.turn, 0
	}
	if b.closed || f.messages == inboxLimit || s.queued == inboxPeerLimit {
		return false
	}
	f.messages++
	s.queued++
	f.items = append(f.items, item{kind: came, session: s, message: *m})
	if len(m.Payload) > 0 {
		from := len(f.bytes)
		f.bytes = append(f.bytes, m.Payload...)
		f.items[len(f.items)-1].message.Payload = f.bytes[from:len(f.bytes):len(f.bytes)]
	}
	return true
}

// do adds a function of a caller.
func (b *inbox) do(f func(now time.Duration, core *skad.Core)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return ErrClosed
	case b.filling.asks == doLimit:
		return ErrBusy
	}
	b.filling.asks++
	b.filling.items = append(b.filling.items, item{kind: asked, do: f})
	return nil
}

// swap returns the batch that was filled; done is filled next. It returns nil if there is nothing.
func (b *inbox) swap(done *batch) *batch {
	done.clear()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.filling.items) == 0 {
		return nil
	}
	b.turn++
	full := b.filling
	b.filling = done
	return full
}

// open begins.
func (b *inbox) open() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = false
}

// close refuses what comes from now on.
func (b *inbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
}

// batchKept is how many items and bytes of room a batch keeps for the next time; a burst is not kept.
const batchKept = 256

// clear makes room for the next use.
func (f *batch) clear() {
	if cap(f.items) > batchKept || cap(f.bytes) > 64*batchKept {
		*f = batch{}
		return
	}
	clear(f.items)
	*f = batch{items: f.items[:0], bytes: f.bytes[:0]}
}
