package framing

import (
	"encoding/binary"
	"errors"
	"strings"

	"github.com/carrier-p2p/carrier/internal/invariant"
	"github.com/carrier-p2p/carrier/opcode"
)

// Why a frame is refused. Each is the peer's fault and ends the connection: the record was authentic, so the
// peer itself wrote it.
var (
	ErrFrameTruncated = errors.New("framing: frame ends after its record")
	ErrFrameTooLong   = errors.New("framing: frame payload longer than FramePayloadLimit")
	ErrFlags          = errors.New("framing: frame with unknown flags")
)

// Flags say how a frame is to be taken. A bit that is not listed here is refused: it would have changed the meaning.
type Flags uint8

const (
	FlagReply      Flags = 1 << iota // answers the request of this id; the id is the asker's
	FlagWantsAck                     // the sender resends until an AckResponse names this id
	FlagMore                         // more fragments of this message follow, with the same id; see Assembler
	FlagCompressed                   // the payload is compressed, as the two ends agreed for this opcode

	flagsKnown = FlagReply | FlagWantsAck | FlagMore | FlagCompressed
)

// flagNames are in the order of the bits.
var flagNames = [...]string{"reply", "wants-ack", "more", "compressed"}

// String returns the set flags as "reply|more", "none", and unknown bits as hex.
func (f Flags) String() string {
	if f == 0 {
		return "none"
	}
	var names []string
	for i, name := range flagNames {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if unknown := f &^ flagsKnown; unknown != 0 {
		const hex = "0123456789abcdef"
		names = append(names, "0x"+string([]byte{hex[unknown>>4], hex[unknown&15]}))
	}
	return strings.Join(names, "|")
}

// A Frame is one message, or one fragment of a message. It is a view: Payload aliases the record it was read from.
type Frame struct {
	Op      opcode.Opcode
	Flags   Flags
	ID      uint32 // numbers requests and fragments of the direction it travels in; 0: none. Replies carry the asker's
	Payload []byte
}

// NextFrame takes the frame at the front of b, which is what is left of one opened record: a frame never spans records, so
// one that ends after b is an error and not a reason to wait. n is the whole length, at least FrameHeaderSize. Loop while
// len(b) > 0; an empty record has no frame.
//
// f.Payload aliases b, lives as long as b does, and has no room behind its end.
//
// A loop that handles millions of frames should use Frame.Next, which does the same into a Frame of the caller.
func NextFrame(b []byte) (f Frame, n int, err error) {
	n, err = f.Next(b)
	return f, n, err
}

// Next is NextFrame into f, which is left as it was on an error. It takes a quarter of the time: a Frame is one byte too
// large for registers, and a returned one is copied in wide loads from the narrow stores that have just filled it, which
// stalls the processor for longer than the rest takes. It inlines, and a test keeps it so.
func (f *Frame) Next(b []byte) (n int, err error) {
	if len(b) >= FrameHeaderSize {
		h := binary.LittleEndian.Uint64(b)
		n = FrameHeaderSize + int(h&0xff_ffff)
		if n > FrameHeaderSize+FramePayloadLimit {
			return 0, ErrFrameTooLong
		}
		if h&(uint64(^flagsKnown)<<24) != 0 {
			return 0, ErrFlags
		}
		if n <= len(b) {
			// Field by field: a composite literal is built on the stack and then copied, with the stall told above.
			f.Op = opcode.Opcode(h >> 32)
			f.Flags = Flags(h >> 24)
			f.ID = binary.LittleEndian.Uint32(b[8:])
			f.Payload = b[FrameHeaderSize:n:n]
			return n, nil
		}
	}
	return 0, ErrFrameTruncated
}

// PutFrameHeader writes a frame's header at the front of b, which must have room for FrameHeaderSize bytes; payloadLen
// bytes of payload are to follow it. More than FramePayloadLimit of them, or an unknown flag, is a bug of the caller.
func PutFrameHeader(b []byte, op opcode.Opcode, flags Flags, id uint32, payloadLen int) {
	h := firstEight(op, flags, payloadLen)
	_ = b[FrameHeaderSize-1]
	binary.LittleEndian.PutUint64(b, h)
	binary.LittleEndian.PutUint32(b[8:], id)
}

// AppendFrame appends header and payload of f to dst. Its limits are those of PutFrameHeader.
func AppendFrame(dst []byte, f Frame) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, firstEight(f.Op, f.Flags, len(f.Payload)))
	dst = binary.LittleEndian.AppendUint32(dst, f.ID)
	return append(dst, f.Payload...)
}

// firstEight returns length, flags and opcode as one number: they are written and read with a single store and load.
func firstEight(op opcode.Opcode, flags Flags, payloadLen int) uint64 {
	if payloadLen < 0 || payloadLen > FramePayloadLimit || flags&^flagsKnown != 0 {
		panic(invariant.Violation("framing: bug: frame with a payload above FramePayloadLimit or unknown flags"))
	}
	return uint64(payloadLen) | uint64(flags)<<24 | uint64(op)<<32
}
