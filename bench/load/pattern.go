package load

import (
	"bytes"
	"encoding/binary"
)

// HeaderSize is the smallest message: what every message carries in front of its content.
const HeaderSize = 24

const (
	offSeq    = 0
	offStamp  = 8
	offStream = 16
	offCheck  = 20

	markBit = 1 << 31 // in the stream field: this message ends a phase
)

// windowSteps is how many windows of the pattern there are. The one of a message is picked by a
// multiplicative hash of its place, so that a buffer that still holds the end of an earlier message shows the
// wrong one: always for neighbours and for the powers of two that pools and rings work in, else in 63 of 64
// cases.
const windowSteps = 64

// windowStep is the distance of two windows: whole words, so that copying and comparing stay aligned.
const windowStep = 8

// A Pattern is the bytes that contents are cut from. It never changes after NewPattern, so any number of goroutines may
// share one.
type Pattern struct{ bytes []byte }

// A Header is what a message says about itself.
type Header struct {
	Seq    uint64
	Stamp  int64 // one-way: a stamp, 0 in a closed loop; requests: bytes of the answer, 0 for their own
	Stream uint32
	Mark   bool
}

// NewPattern makes the pattern. Every process makes the same one.
func NewPattern() *Pattern {
	p := &Pattern{bytes: make([]byte, SizeLimit+windowSteps*windowStep)}
	x := uint64(0x9E3779B97F4A7C15)
	for i := 0; i+8 <= len(p.bytes); i += 8 {
		x ^= x << 13 // xorshift64, Marsaglia 2003: no repeats within the pattern
		x ^= x >> 7
		x ^= x << 17
		binary.LittleEndian.PutUint64(p.bytes[i:], x)
	}
	return p
}

// Put writes a whole message into msg, whose length decides the content's.
func (p *Pattern) Put(msg []byte, h Header) {
	stream := h.Stream
	if h.Mark {
		stream |= markBit
	}
	binary.LittleEndian.PutUint64(msg[offSeq:], h.Seq)
	binary.LittleEndian.PutUint64(msg[offStamp:], uint64(h.Stamp))
	binary.LittleEndian.PutUint32(msg[offStream:], stream)
	binary.LittleEndian.PutUint32(msg[offCheck:], mix(h.Seq, uint64(h.Stamp), stream, len(msg)))
	copy(msg[HeaderSize:], p.window(h.Seq, len(msg)))
}

// Check reads a message and reports whether it is one that Put has written, unaltered and whole.
func (p *Pattern) Check(msg []byte) (h Header, ok bool) {
	if len(msg) < HeaderSize || len(msg) > SizeLimit {
		return Header{}, false
	}
	stream := binary.LittleEndian.Uint32(msg[offStream:])
	h = Header{
		Seq:    binary.LittleEndian.Uint64(msg[offSeq:]),
		Stamp:  int64(binary.LittleEndian.Uint64(msg[offStamp:])),
		Stream: stream &^ markBit,
		Mark:   stream&markBit != 0,
	}
	if binary.LittleEndian.Uint32(msg[offCheck:]) != mix(h.Seq, uint64(h.Stamp), stream, len(msg)) {
		return Header{}, false
	}
	return h, bytes.Equal(msg[HeaderSize:], p.window(h.Seq, len(msg)))
}

// Answer returns the content of an answer of the given size to request seq. It is the pattern's memory: not to be altered.
func (p *Pattern) Answer(seq uint64, size int) []byte { return p.window(seq, size+HeaderSize) }

func (p *Pattern) window(seq uint64, size int) []byte {
	at := int(seq*0x9E3779B97F4A7C15>>58) * windowStep // the top 6 bits: 64 windows
	return p.bytes[at : at+size-HeaderSize]
}

// mix spreads every bit of the header and the length over the check field. It guards against accidents, not against anybody.
func mix(seq, stamp uint64, stream uint32, size int) uint32 {
	x := seq*0x9E3779B97F4A7C15 ^ stamp*0xC2B2AE3D27D4EB4F ^ (uint64(stream)<<32|uint64(uint32(size)))*0x165667B19E3779F9
	x ^= x >> 32
	x *= 0xD6E8FEB86659FD93
	return uint32(x >> 32)
}
