package framing

import (
	"encoding/binary"
	"errors"
	"strconv"

	"github.com/carrier-p2p/carrier/internal/invariant"
)

// Why a record is refused. Each is the peer's fault and ends the connection: after it the boundaries of the stream are lost.
var (
	ErrRecordTooLong  = errors.New("framing: record longer than RecordBodyLimit")
	ErrRecordTooShort = errors.New("framing: record shorter than its tag")
	ErrRecordKind     = errors.New("framing: record of unknown kind")
)

// A Kind says what is sealed in a record.
type Kind uint8

// KindFrames is a record of whole frames, and the only kind of version 1. All others are held for later versions (announced
// rekeying, closing) and are refused.
const KindFrames Kind = 0

// String names the kind.
func (k Kind) String() string {
	if k == KindFrames {
		return "frames"
	}
	return "Kind(" + strconv.Itoa(int(k)) + ")"
}

// PutRecordHeader writes the header of a record at the front of b, which must have room for RecordHeaderSize bytes. bodyLen
// is what follows, tag included.
func PutRecordHeader(b []byte, kind Kind, bodyLen int) {
	if bodyLen < TagSize || bodyLen > RecordBodyLimit {
		panic(invariant.Violation("framing: bug: record body shorter than TagSize or longer than RecordBodyLimit"))
	}
	binary.LittleEndian.PutUint32(b, uint32(bodyLen)|uint32(kind)<<24)
}

// RecordLen returns how long the record at the front of b is, header included, from its header alone: 0 if the header is
// not whole yet. It is how a receiver sizes the buffer in which it carries the beginning of a record until the rest comes.
func RecordLen(b []byte) (total int, err error) {
	if len(b) < RecordHeaderSize {
		return 0, nil
	}
	h := binary.LittleEndian.Uint32(b)
	bodyLen := int(h & 0xff_ffff)
	switch {
	case Kind(h>>24) != KindFrames:
		return 0, ErrRecordKind
	case bodyLen < TagSize:
		return 0, ErrRecordTooShort
	case bodyLen > RecordBodyLimit:
		return 0, ErrRecordTooLong
	}
	return RecordHeaderSize + bodyLen, nil
}

// NextRecord takes the record at the front of b. n is its whole length; n == 0 with a nil error means that it is not whole
// yet. An error is decided from the first RecordHeaderSize bytes, however many follow.
//
// header and body alias b and live as long as it does. They are still sealed: body is ciphertext and tag, header its
// additional data.
func NextRecord(b []byte) (header, body []byte, n int, err error) {
	n, err = RecordLen(b)
	if err != nil || n == 0 || n > len(b) {
		return nil, nil, 0, err
	}
	return b[:RecordHeaderSize:RecordHeaderSize], b[RecordHeaderSize:n:n], n, nil
}
