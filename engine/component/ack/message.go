package ack

import (
	"encoding/binary"

	"github.com/carrier-p2p/carrier/engine"
)

// AckResponse (18) carries three kinds of message, little endian:
//
//	offset size field   Begin: the sender to the receiver, before its first message on a connection
//	0      1    kind    1
//	1      4    epoch   not 0
//	5      4    first   the oldest number that waits; what is below is settled
//
//	offset size field   Taken: the receiver to the sender
//	0      1    kind    2
//	1      4    epoch   as in Begin
//	5      4    below   all numbers below are settled
//	9      n    bits    bit i of byte j: below+8j+i has been taken; the last byte is not 0
//
//	offset size field   Refused: the receiver to the sender
//	0      1    kind    3
//	1      4    epoch   as in Begin
//	5      4    number  of a message that was handed over and refused
//
// Taken tells the whole state each time: one that is lost, or late, does no harm. Refused only saves the sender from waiting for
// a Taken that will not come: nothing rests on it either.
const (
	kindBegin   = 1
	kindTaken   = 2
	kindRefused = 3

	ackSize = 9 // without the bits
)

// A message is any kind.
type message struct {
	kind  byte
	epoch uint32
	base  uint32 // first, below, or number
	bits  []byte // aliases what was parsed
}

// append writes m at the end of b.
func (m message) append(b []byte) []byte {
	b = append(b, m.kind)
	b = binary.LittleEndian.AppendUint32(b, m.epoch)
	b = binary.LittleEndian.AppendUint32(b, m.base)
	return append(b, m.bits...)
}

// parse reads the whole of b, or fails with ErrMalformed.
func parse(b []byte) (m message, err error) {
	if len(b) < ackSize || len(b) > ackSize+WindowLimit/8 {
		return m, ErrMalformed
	}
	m = message{b[0], binary.LittleEndian.Uint32(b[1:]), binary.LittleEndian.Uint32(b[5:]), b[ackSize:]}
	switch {
	case m.epoch == 0, m.base >= engine.AckIDs:
		return m, ErrMalformed
	case (m.kind == kindBegin || m.kind == kindRefused) && len(m.bits) == 0:
		return m, nil
	case m.kind == kindTaken && (len(m.bits) == 0 || m.bits[len(m.bits)-1] != 0):
		return m, nil
	}
	return m, ErrMalformed
}

// has reports bit i.
func (m message) has(i uint32) bool { return int(i/8) < len(m.bits) && m.bits[i/8]>>(i%8)&1 != 0 }

// ahead is how far b is ahead of a, among numbers that come round: less than half of them, or else b is behind.
func ahead(a, b uint32) (n uint32, is bool) {
	n = (b - a) % engine.AckIDs
	return n, n < engine.AckIDs/2
}
