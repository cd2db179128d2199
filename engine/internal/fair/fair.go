// Package fair decides who makes room in a memory that is full: whoever has most of it, his oldest item first.
//
//	owner   items, oldest first        when there is no room
//	a       1 4 5 7 8 …  (loud)   ──▶  1 goes: a has most
//	b       2
//	c       3 6
//
// In a memory that forgets its oldest items, and in one with a place for everybody, a crowd or a single loud owner rolls out what
// is remembered of all others. Here who adds has his own items forgotten, unless nobody has more than he: only as many owners as
// there are places can push out an owner with one item. So the owner must be something that is not had for nothing: a proven
// origin, a network.
//
// A Memory knows no limit and forgets nothing by itself: its user adds, and removes the Victim while there are too many. In that
// order: so who adds counts with what he has added. It belongs to whoever has it. Add and Remove cost O(log owners).
package fair

import "container/heap"

// A Memory holds items of owners. The zero value is empty.
type Memory[O comparable, T any] struct {
	owners map[O]*owner[O, T]
	order  order[O, T]
	clock  uint64
	count  int
}

// An Item is one in a Memory; it belongs to it.
type Item[O comparable, T any] struct {
	Value T

	of          *owner[O, T]
	older, next *Item[O, T] // of the same owner
}

// An owner has at least one item.
type owner[O comparable, T any] struct {
	key            O
	oldest, newest *Item[O, T]
	count          int
	addedAt        uint64 // Memory.clock at the last Add
	at             int    // in Memory.order
}

// Len is how many items there are.
func (m *Memory[O, T]) Len() int { return m.count }

// Owners is how many owners there are.
func (m *Memory[O, T]) Owners() int { return len(m.owners) }

// Add adds an item as the newest of its owner.
func (m *Memory[O, T]) Add(key O, value T) *Item[O, T] {
	if m.owners == nil {
		m.owners = map[O]*owner[O, T]{}
	}
	o := m.owners[key]
	if o == nil {
		o = &owner[O, T]{key: key}
		m.owners[key] = o
		heap.Push(&m.order, o)
	}
	i := &Item[O, T]{Value: value, of: o, older: o.newest}
	if o.newest == nil {
		o.oldest = i
	} else {
		o.newest.next = i
	}
	o.newest = i
	m.clock++
	o.count, o.addedAt = o.count+1, m.clock
	m.count++
	heap.Fix(&m.order, o.at)
	return i
}

// Of is how many items an owner has.
func (m *Memory[O, T]) Of(key O) int {
	if o := m.owners[key]; o != nil {
		return o.count
	}
	return 0
}

// Owner is whose an item is, which is in the Memory.
func (m *Memory[O, T]) Owner(i *Item[O, T]) O { return i.of.key }

// Remove takes an item out, which is in the Memory.
func (m *Memory[O, T]) Remove(i *Item[O, T]) {
	o := i.of
	if i.older == nil {
		o.oldest = i.next
	} else {
		i.older.next = i.next
	}
	if i.next == nil {
		o.newest = i.older
	} else {
		i.next.older = i.older
	}
	i.of, i.older, i.next = nil, nil, nil
	m.count--
	if o.count--; o.count > 0 {
		heap.Fix(&m.order, o.at)
		return
	}
	heap.Remove(&m.order, o.at)
	delete(m.owners, o.key)
}

// Victim is the item that is to make room: the oldest of the owner that has most and, of owners with equally many, of the one
// that has added none for longest. It is nil if there is none.
func (m *Memory[O, T]) Victim() *Item[O, T] {
	if m.count == 0 {
		return nil
	}
	return m.order[0].oldest
}

// order is a heap with the owner of the Victim at its top.
type order[O comparable, T any] []*owner[O, T]

func (h order[O, T]) Len() int { return len(h) }

func (h order[O, T]) Less(i, j int) bool {
	if h[i].count != h[j].count {
		return h[i].count > h[j].count
	}
	return h[i].addedAt < h[j].addedAt
}

func (h order[O, T]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

func (h *order[O, T]) Push(x any) {
	o := x.(*owner[O, T])
	o.at = len(*h)
	*h = append(*h, o)
}

func (h *order[O, T]) Pop() any {
	last := len(*h) - 1
	o := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return o
}
