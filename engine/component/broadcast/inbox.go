package broadcast

import (
	"slices"
	"sync"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/opcode"
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
	costs map[*engine.PeerClient]int // by their sender
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

// message reads a message into the batch, where everything it aliases lies. An error says that it is none. Without room
// it is dropped, and counted.
func (b *inbox) message(from *engine.PeerClient, op opcode.Opcode, payload []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.filling
	cost := itemCost + len(payload)
	if b.closed {
		return nil
	}
	if f.cost+cost > inboxBytes || f.count == inboxMessages || f.costs[from]+cost > inboxBytes/inboxShare {
		b.dropped++
		return nil
	}
	start := len(f.bytes)
	f.bytes = append(f.bytes, payload...)
	f.ids = slices.Grow(f.ids, spread.IDLimit)
	m, err := spread.ParseMessage(op, f.bytes[start:], f.ids)
	if err != nil {
		f.bytes = f.bytes[:start]
		return err
	}
	f.ids = f.ids[:len(f.ids)+len(m.IDs)]
	f.items = append(f.items, item{kind: came, peer: from, message: m})
	f.cost += cost
	f.count++
	f.costs[from] += cost
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

// What a batch keeps for the next time, about 100 KB; a burst is not kept.
const (
	batchKept = 64 << 10
	itemsKept = 64
	idsKept   = 1024
)

// clear makes room for the next use.
func (f *batch) clear() {
	if cap(f.bytes) > batchKept || cap(f.items) > itemsKept || cap(f.ids) > idsKept {
		*f = *newBatch()
		return
	}
	clear(f.items)
	f.items, f.bytes, f.ids = f.items[:0], f.bytes[:0], f.ids[:0]
	f.next, f.cost, f.count = 0, 0, 0
	clear(f.costs)
}
