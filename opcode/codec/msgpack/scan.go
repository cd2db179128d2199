package msgpack

import (
	"encoding/binary"
	"errors"
)

// depthLimit bounds how deep arrays and maps nest. 100: as in the other codecs of this library, far more than messages
// have; each level costs a few hundred bytes of stack.
const depthLimit = 100

// What scan finds wrong. Parse wraps these together with opcode.ErrPayload.
var (
	ErrTruncated = errors.New("msgpack: payload ends too early")
	ErrTrailing  = errors.New("msgpack: bytes left over")
	ErrLength    = errors.New("msgpack: length above the bytes that remain")
	ErrDepth     = errors.New("msgpack: nested too deeply")
	ErrExtension = errors.New("msgpack: extension types are not supported")
	ErrCode      = errors.New("msgpack: a byte that MessagePack never uses")
)

// scan reports whether b is exactly one MessagePack value in which every length is true: what is claimed is there. After
// it the library may allocate what a length says, as that much has been paid for in bytes. The int is where it stopped.
//
// It takes time in proportion to b and no memory.
func scan(b []byte) (int, error) {
	var due [depthLimit + 1]int // items still to come at each depth
	due[0] = 1
	at, depth := 0, 0
	for depth >= 0 {
		if due[depth] == 0 {
			depth--
			continue
		}
		due[depth]--
		size, items, err := item(b[at:])
		if err != nil {
			return at, err
		}
		at += size
		if items == 0 {
			continue
		}
		if items > len(b)-at {
			return at, ErrLength
		}
		if depth == depthLimit {
			return at, ErrDepth
		}
		depth++
		due[depth] = items
	}
	if at < len(b) {
		return at, ErrTrailing
	}
	return at, nil
}

// item returns how many bytes the value at the front of b has, without the items that are inside it, and the number of those.
//
//	first byte      value                           first byte      value
//	00-7f, e0-ff    small integer                   c7-c9, d4-d8    extension
//	80-8f de df     map, 16- and 32-bit count       ca cb           float
//	90-9f dc dd     array, likewise                 cc-cf d0-d3     integer of 1, 2, 4, 8 bytes
//	a0-bf d9 da db  string, 8-, 16-, 32-bit length  c0 c2 c3        nil, false, true
//	c4 c5 c6        bytes, likewise                 c1              never used
func item(b []byte) (size, items int, err error) {
	if len(b) == 0 {
		return 0, 0, ErrTruncated
	}
	switch c := b[0]; {
	case c <= 0x7f, c >= 0xe0, c == 0xc0, c == 0xc2, c == 0xc3:
		return 1, 0, nil
	case c <= 0x8f:
		return 1, 2 * int(c&0x0f), nil
	case c <= 0x9f:
		return 1, int(c & 0x0f), nil
	case c <= 0xbf:
		return whole(b, 1, int(c&0x1f))
	case c == 0xc1:
		return 0, 0, ErrCode
	case c <= 0xc6:
		return counted(b, 1<<(c-0xc4), 1, 0)
	case c <= 0xc9, c >= 0xd4 && c <= 0xd8:
		return 0, 0, ErrExtension
	case c <= 0xcb:
		return whole(b, 1, 4<<(c-0xca))
	case c <= 0xcf:
		return whole(b, 1, 1<<(c-0xcc))
	case c <= 0xd3:
		return whole(b, 1, 1<<(c-0xd0))
	case c <= 0xdb:
		return counted(b, 1<<(c-0xd9), 1, 0)
	case c <= 0xdd:
		return counted(b, 2<<(c-0xdc), 0, 1)
	default:
		return counted(b, 2<<(c-0xde), 0, 2)
	}
}

// counted reads a count of width bytes behind the first byte: of each bytes that follow, or of items times so many.
func counted(b []byte, width, each, items int) (int, int, error) {
	if len(b) < 1+width {
		return 0, 0, ErrTruncated
	}
	var n int64
	switch width {
	case 1:
		n = int64(b[1])
	case 2:
		n = int64(binary.BigEndian.Uint16(b[1:]))
	case 4:
		n = int64(binary.BigEndian.Uint32(b[1:]))
	}
	if n > int64(len(b)-1-width) { // every item takes at least one byte
		return 0, 0, ErrLength
	}
	return 1 + width + each*int(n), items * int(n), nil
}

// whole returns the size of a value of head and body bytes, all of which must be there.
func whole(b []byte, head, body int) (int, int, error) {
	if body > len(b)-head {
		return 0, 0, ErrTruncated
	}
	return head + body, 0, nil
}
