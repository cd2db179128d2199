// Package wire holds the primitives from which every message of the protocol is made: fixed little-endian integers and
// byte strings behind a length.
//
//	Uint8 Uint16 Uint24 Uint32 Uint64    1, 2, 3, 4, 8 bytes, least significant first
//	Bytes8 Bytes16 Bytes32               a Uint8, Uint16 or Uint32 length, then so many bytes
//
// They come in pairs. Append writes at the end and returns the slice, so that writers compose without allocating.
// Consume reads from the front and returns the value and the number of bytes it took; a negative number means no: the
// value is not there, b is untouched, and whoever asked knows which error of its own that is. Numbers have no second
// spelling, so what was consumed appends back to the same bytes.
//
// Nothing here is aware of messages, and no state is kept: all functions are safe for concurrent use.
package wire

import (
	"encoding/binary"
	"fmt"
)

// The negative results of Consume.
const (
	Short = -1 // b ends before the value does
	Long  = -2 // the length in front of the bytes is above the limit; decided without waiting for them
)

// Uint24Max is the largest number that three bytes hold.
const Uint24Max = 1<<24 - 1

// AppendUint8 appends one byte.
func AppendUint8(dst []byte, v uint8) []byte { return append(dst, v) }

// AppendUint16 appends two bytes.
func AppendUint16(dst []byte, v uint16) []byte { return binary.LittleEndian.AppendUint16(dst, v) }

// AppendUint24 appends three bytes. A v above Uint24Max is a bug of the caller and panics.
func AppendUint24(dst []byte, v uint32) []byte {
	if v > Uint24Max {
		tooBig("Uint24", uint64(v))
	}
	return append(dst, byte(v), byte(v>>8), byte(v>>16))
}

// AppendUint32 appends four bytes.
func AppendUint32(dst []byte, v uint32) []byte { return binary.LittleEndian.AppendUint32(dst, v) }

// AppendUint64 appends eight bytes.
func AppendUint64(dst []byte, v uint64) []byte { return binary.LittleEndian.AppendUint64(dst, v) }

// ConsumeUint8 reads one byte.
func ConsumeUint8(b []byte) (v uint8, n int) {
	if len(b) < 1 {
		return 0, Short
	}
	return b[0], 1
}

// ConsumeUint16 reads two bytes.
func ConsumeUint16(b []byte) (v uint16, n int) {
	if len(b) < 2 {
		return 0, Short
	}
	return binary.LittleEndian.Uint16(b), 2
}

// ConsumeUint24 reads three bytes.
func ConsumeUint24(b []byte) (v uint32, n int) {
	if len(b) < 3 {
		return 0, Short
	}
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16, 3
}

// ConsumeUint32 reads four bytes.
func ConsumeUint32(b []byte) (v uint32, n int) {
	if len(b) < 4 {
		return 0, Short
	}
	return binary.LittleEndian.Uint32(b), 4
}

// ConsumeUint64 reads eight bytes.
func ConsumeUint64(b []byte) (v uint64, n int) {
	if len(b) < 8 {
		return 0, Short
	}
	return binary.LittleEndian.Uint64(b), 8
}

// tooBig is kept out of line so that the appenders stay small enough to inline.
//
//go:noinline
func tooBig(what string, v uint64) { panic(fmt.Sprintf("wire: bug: %d does not fit a %s", v, what)) }
