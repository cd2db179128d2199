package broadcast

import (
	"sync"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/skad"
	"github.com/carrier-p2p/carrier/skad/spread"
)

// An item is something that the home loop is to be told.
type item struct {
	kind    itemKind
	peer    *engine.PeerClient
	contact *skad.Contact  // up
	message spread.Message // came; aliases the batch
	dial    *dial          // dialled
	err     error          // dialled
}

type itemKind uint8

const (
	came itemKind = iota
	up
	down
	dialled
)

// A batch is what came between two looks of the home loop. The bytes and ids of its messages lie in memory of its own, so
// that filling a batch that was used before allocates nothing.
type batch struct {
	items []item
	next  int
	bytes []byte
	ids   []spread.MessageID
	cost  int                        // of the messages in it
	count int                        // messages in it
	costs map[*engine.PeerClient]int // by who sent them
}

// An inbox takes what other loops have for the home loop. While one batch is being filled the other is worked off.
type inbox struct {
	mu      sync.Mutex
	filling *batch
	dropped uint64 // messages that found no room
	closed  bool
}

// put adds an item that is not a message; of these there are as many as connections begin and end.
func (b *inbox) put(i item) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.filling.items = append(b.filling.items, i)
	}
}

// message adds a message with a copy of what it aliases. Without room it is dropped, and counted.
func (b *inbox) message(from *engine.PeerClient, m *spread.Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.filling
	cost := itemCost + len(m.Payload) + len(m.IDs)*len(spread.MessageID{})
	if b.closed {
		return
	}
	if f.cost+cost > inboxBytes || f.count == inboxMessages || f.costs[from]+cost > inboxBytes/inboxShare {
		b.dropped++
		return
	}
	f.cost += cost
	f.count++
	f.costs[from] += cost
	f.items = append(f.items, item{kind: came, peer: from, message: *m})
	own := &f.items[len(f.items)-1].message
	start := len(f.bytes)
	f.bytes = append(f.bytes, m.Payload...)
	own.Payload = f.bytes[start:len(f.bytes):len(f.bytes)]
	start = len(f.ids)
	f.ids = append(f.ids, m.IDs...)
	own.IDs = f.ids[start:len(f.ids):len(f.ids)]
}

// swap returns the batch that was filled; done is filled next. It returns nil if there is nothing.
func (b *inbox) swap(done *batch) *batch {
	done.clear()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.filling.items) == 0 {
		return nil
	}
	full := b.filling
	b.filling = done
	return full
}

// close drops everything, and what comes from now on.
func (b *inbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.filling = newBatch()
}

func (b *inbox) drops() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dropped
}

func newBatch() *batch { return &batch{costs: map[*engine.PeerClient]int{}} }

// batchKept is the memory that a batch keeps for the next time; a burst is not kept.
const batchKept = 64 << 10

// clear makes room for the next use.
func (f *batch) clear() {
	if cap(f.bytes) > batchKept || cap(f.items) > batchKept/512 || cap(f.ids) > batchKept/16 {
		*f = *newBatch()
		return
	}
	clear(f.items)
	f.items, f.bytes, f.ids = f.items[:0], f.bytes[:0], f.ids[:0]
	f.next, f.cost, f.count = 0, 0, 0
	clear(f.costs)
}
