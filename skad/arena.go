package skad

import (
	"math/bits"
	"time"
)

// A tick is engine time in sixteenths of a second: 4 years in four bytes, and as many before the start, for what a
// snapshot remembers. The table keeps its times in it, because there are hundreds of contacts in a node and a hundred
// thousand nodes in a simulation.
type tick int32

const tickLength = time.Second / 16

// tickOf rounds up, so that what is due at a tick is never early.
func tickOf(d time.Duration) tick {
	t := d / tickLength
	if d%tickLength > 0 {
		t++
	}
	return tick(t)
}

func (t tick) duration() time.Duration { return time.Duration(t) * tickLength }

// A mark is one thing that is so about a contact.
type mark uint8

const (
	inBucket   mark = 1 << iota // in its bucket
	inSiblings                  // in the sibling list
	inSpares                    // in the replacement cache of its bucket, never together with the two above
	isVerified                  // it has answered a question of ours
	isLost                      // a spare that stopped answering
	isBroken                    // its session broke, and it has not answered since

	isMember = inBucket | inSiblings // in the table
	isPlaced = isMember | inSpares
)

// A slot is what the core remembers about one contact: 24 bytes, beside the Contact itself, which nodes may share.
type slot struct {
	contact    *Contact // nil: the slot is free
	verifiedAt tick     // last answer to a question of ours; of members, last sign of life
	firstAt    tick     // first such answer; what lives long will live longer
	srtt       uint16   // smoothed round trip and its variation (RFC 6298), in rttUnit; 0: not measured
	rttvar     uint16
	score      uint8 // what it has done wrong, see Reason
	misses     uint8 // questions in a row that it did not answer while others did
	refs       uint8 // open questions to it
	marks      mark
}

// has reports whether any of the marks is set.
func (s *slot) has(m mark) bool { return s.marks&m != 0 }

// An arena holds the slots and finds them by ID. A slot exists while its contact has a place, is a sibling, or has a
// question open. Slot numbers start at 1: 0 is no slot.
type arena struct {
	slots []slot
	free  []uint16
	index []uint16 // open addressing with linear probing, a power of two, at most three quarters full
	held  int
	salt  uint64 // keeps an attacker who chooses IDs from choosing collisions
}

func (a *arena) home(id *ID) int {
	h := (id[0] ^ id[3] ^ a.salt) * 0x9E3779B97F4A7C15
	return int(h >> (64 - uint(bits.Len(uint(len(a.index)-1)))))
}

// find returns the slot of id, 0 if there is none.
func (a *arena) find(id *ID) uint16 {
	if len(a.index) == 0 {
		return 0
	}
	for p := a.home(id); a.index[p] != 0; p = (p + 1) & (len(a.index) - 1) {
		if i := a.index[p]; a.slots[i].contact.ID == *id {
			return i
		}
	}
	return 0
}

// acquire returns the slot of c's ID, a new one if there is none, and 0 if the arena is full.
func (a *arena) acquire(c *Contact) uint16 {
	if i := a.find(&c.ID); i != 0 {
		return i
	}
	if a.held >= contactLimit {
		return 0
	}
	if 4*(a.held+1) > 3*len(a.index) {
		a.grow()
	}
	var i uint16
	if n := len(a.free); n > 0 {
		i, a.free = a.free[n-1], a.free[:n-1]
	} else {
		if len(a.slots) == 0 {
			a.slots = append(a.slots, slot{})
		}
		i = uint16(len(a.slots))
		a.slots = append(roomy(a.slots), slot{})
	}
	a.slots[i] = slot{contact: c}
	a.held++
	a.link(i)
	return i
}

// release frees slot i.
func (a *arena) release(i uint16) {
	mask := len(a.index) - 1
	hole := a.home(&a.slots[i].contact.ID)
	for a.index[hole] != i {
		hole = (hole + 1) & mask
	}
	// What stands behind the hole moves up if its home is not behind the hole itself.
	for p := (hole + 1) & mask; a.index[p] != 0; p = (p + 1) & mask {
		home := a.home(&a.slots[a.index[p]].contact.ID)
		if (p-home)&mask >= (p-hole)&mask {
			a.index[hole], hole = a.index[p], p
		}
	}
	a.index[hole] = 0
	a.slots[i] = slot{}
	a.free = append(a.free, i)
	a.held--
}

func (a *arena) link(i uint16) {
	p := a.home(&a.slots[i].contact.ID)
	for a.index[p] != 0 {
		p = (p + 1) & (len(a.index) - 1)
	}
	a.index[p] = i
}

func (a *arena) grow() {
	a.index = make([]uint16, max(16, 2*len(a.index)))
	for i := range a.slots {
		if a.slots[i].contact != nil {
			a.link(uint16(i))
		}
	}
}

// roomy returns s with room for one more, grown by an eighth instead of doubled: a table grows a few times in its life,
// and there may be a hundred thousand of them.
func roomy[T any](s []T) []T {
	if len(s) < cap(s) {
		return s
	}
	return append(make([]T, 0, len(s)+len(s)/8+8), s...)
}
