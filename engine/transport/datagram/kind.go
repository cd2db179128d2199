package datagram

import (
	"encoding/binary"
	"fmt"
)

// A Kind is the first byte of a datagram.
type Kind uint8

const (
	Knock  Kind = 1
	Cookie Kind = 2
	Open   Kind = 3
	Answer Kind = 4
	Data   Kind = 5
	Probe  Kind = 6
	Probed Kind = 7
)

var kindNames = [...]string{"", "Knock", "Cookie", "Open", "Answer", "Data", "Probe", "Probed"}

// String names the kind.
func (k Kind) String() string {
	if k > 0 && int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// An ID names a link at the end that receives: loop (8 bits), place in the loop's table (24), and 32 random bits, so that
// a guess, or an id of a link that has ended, does not fit.
type ID uint64

func makeID(loop int, slot uint32, random uint32) ID {
	return ID(uint64(loop) | uint64(slot)<<8 | uint64(random)<<32)
}

// Loop is the number of the loop that the id belongs to.
func (id ID) Loop() int { return int(id & 0xff) }

func (id ID) slot() int { return int(id >> 8 & (LinkLimit - 1)) }

// PutHeader writes the front of a datagram into b, which has room for HeaderSize bytes.
func PutHeader(b []byte, k Kind, to ID) {
	b[0] = byte(k)
	binary.LittleEndian.PutUint64(b[1:HeaderSize], uint64(to))
}

// ParseHeader reads it, and reports whether b is long enough for its kind: nothing else about b is checked.
func ParseHeader(b []byte) (k Kind, to ID, ok bool) {
	if len(b) < HeaderSize {
		return 0, 0, false
	}
	k, to = Kind(b[0]), ID(binary.LittleEndian.Uint64(b[1:]))
	least := HeaderSize
	switch k {
	case Knock:
		least = BaseSize
	case Cookie:
		least = HeaderSize + cookieSize
	case Open:
		least = openHead
	case Answer:
		least = answerHead
	case Data:
	case Probe, Probed:
		least = probeSize
	default:
		return k, to, false
	}
	return k, to, len(b) >= least
}
