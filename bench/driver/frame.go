package driver

import (
	"encoding/binary"
	"errors"

	"github.com/carrier-p2p/carrier/bench/load"
)

const frameHeaderSize = 8

// errFrame ends a connection whose bytes are not frames.
var errFrame = errors.New("driver: frame longer than a message may be")

func putFrameHeader(b []byte, id uint32, size int) {
	binary.LittleEndian.PutUint32(b, uint32(size))
	binary.LittleEndian.PutUint32(b[4:], id)
}

func parseFrameHeader(b []byte) (id uint32, size int, err error) {
	n := binary.LittleEndian.Uint32(b)
	if n > load.SizeLimit {
		return 0, 0, errFrame
	}
	return binary.LittleEndian.Uint32(b[4:]), int(n), nil
}

func appendFrame(dst []byte, id uint32, payload []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(payload)))
	dst = binary.LittleEndian.AppendUint32(dst, id)
	return append(dst, payload...)
}

// nextFrame takes a frame from the front of b; n is 0 while it is not whole. payload aliases b.
func nextFrame(b []byte) (id uint32, payload []byte, n int, err error) {
	if len(b) < frameHeaderSize {
		return 0, nil, 0, nil
	}
	id, size, err := parseFrameHeader(b)
	if err != nil || len(b) < frameHeaderSize+size {
		return 0, nil, 0, err
	}
	n = frameHeaderSize + size
	return id, b[frameHeaderSize:n], n, nil
}
