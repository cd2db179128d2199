// Package framed is what drivers share whose libraries give a stream of bytes, or a reactor that reads one: frames with numbers,
// and the requests under way. It is a package of its own for the drivers of other modules, which need it and none of the
// contestants.
//
//	offset size field
//	0      4    length of the payload, at most load.SizeLimit, little endian
//	4      4    id: pairs an answer with its request; 0 is a one-way message
//	8      n    payload
//
// It is no protocol to build on: a frame that lies ends its connection, and that is all the care it takes. Serve and Dial are the
// two ends of a connection; Calls belongs to any goroutine.
package framed

import (
	"encoding/binary"
	"errors"

	"github.com/carrier-p2p/carrier/bench/load"
)

// HeaderSize is how many bytes stand before the payload.
const HeaderSize = 8

// ErrFrame ends a connection whose bytes are not frames.
var ErrFrame = errors.New("framed: frame longer than a message may be")

func putHeader(b []byte, id uint32, size int) {
	binary.LittleEndian.PutUint32(b, uint32(size))
	binary.LittleEndian.PutUint32(b[4:], id)
}

// ParseHeader reads a header from at least HeaderSize bytes. Its only error is ErrFrame.
func ParseHeader(b []byte) (id uint32, size int, err error) {
	n := binary.LittleEndian.Uint32(b)
	if n > load.SizeLimit {
		return 0, 0, ErrFrame
	}
	return binary.LittleEndian.Uint32(b[4:]), int(n), nil
}

// Append appends a frame.
func Append(dst []byte, id uint32, payload []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(payload)))
	dst = binary.LittleEndian.AppendUint32(dst, id)
	return append(dst, payload...)
}

// Next takes a frame from the front of b; n is 0 while it is not whole. payload aliases b.
func Next(b []byte) (id uint32, payload []byte, n int, err error) {
	if len(b) < HeaderSize {
		return 0, nil, 0, nil
	}
	id, size, err := ParseHeader(b)
	if err != nil || len(b) < HeaderSize+size {
		return 0, nil, 0, err
	}
	n = HeaderSize + size
	return id, b[HeaderSize:n], n, nil
}
