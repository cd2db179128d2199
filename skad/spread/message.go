package spread

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/internal/wire"
	"github.com/carrier-p2p/carrier/opcode"
)

// ErrMessage is wrapped by every error of ParseMessage: the payload is not a message of its opcode.
var ErrMessage = errors.New("spread: malformed message")

// A MessageID names a broadcast message: the first 16 bytes of BLAKE2b-256(origin | seq | payload). The zero ID is
// none.
type MessageID [16]byte

// IsZero reports whether id is the zero ID.
func (id MessageID) IsZero() bool { return id == MessageID{} }

// String returns 32 hexadecimal digits.
func (id MessageID) String() string { return hex.EncodeToString(id[:]) }

// A Message is one message of the broadcast, whichever: Op says which fields count.
//
//	Op                 fields beside Op
//	BroadcastCode      Hop Height ID Origin Solution Seq Signature Payload
//	BroadcastHaveCode  IDs: messages that the sender has
//	BroadcastWantCode  IDs: messages that the sender wants, of those it was told about
type Message struct {
	Op opcode.Opcode

	Hop    uint8     // hops from the origin, 1 for its own delegates; 0: an answer in repair, without a duty
	Height uint8     // bits that sender and receiver share; the receiver's duty is whoever shares more with it
	ID     MessageID // claimed until the Verifier has compared it

	Origin    identity.PublicKey
	Solution  [32]byte // of the origin's dynamic puzzle; only the last 8 bytes travel, the others are zero
	Seq       uint64   // rises with every message of the origin; never 0
	Signature [64]byte
	Payload   []byte // lifetime: see Action and Receive

	IDs []MessageID // lifetime: see Action and Receive
}

// Append appends the payload of the message: what stands in a frame behind its header. It never fails for a message
// that the core made or ParseMessage returned; an unknown Op appends nothing.
func (m *Message) Append(dst []byte) []byte {
	switch m.Op {
	case opcode.BroadcastCode:
		return appendBroadcast(dst, m)
	case opcode.BroadcastHaveCode:
		return appendHave(dst, m)
	case opcode.BroadcastWantCode:
		return appendWant(dst, m)
	}
	return dst
}

// ParseMessage reads the payload of a message. It takes exactly what Append writes. Payload aliases b; ids are appended
// to room, which may be nil, and IDs aliases it: with a buffer of the caller's nothing is allocated. Errors wrap
// ErrMessage.
func ParseMessage(op opcode.Opcode, b []byte, room []MessageID) (Message, error) {
	switch op {
	case opcode.BroadcastCode:
		return parseBroadcast(b)
	case opcode.BroadcastHaveCode:
		return parseHave(b, room)
	case opcode.BroadcastWantCode:
		return parseWant(b, room)
	}
	return Message{}, malformed(op, "not a message of the broadcast")
}

func malformed(op opcode.Opcode, format string, args ...any) error {
	return fmt.Errorf("%w: %v: %s", ErrMessage, op, fmt.Sprintf(format, args...))
}

func appendIDs(dst []byte, ids []MessageID) []byte {
	for i := range ids {
		dst = append(dst, ids[i][:]...)
	}
	return dst
}

// parseIDs reads one to IDLimit ids and nothing else.
func parseIDs(op opcode.Opcode, b []byte, room []MessageID) (Message, error) {
	const size = len(MessageID{})
	if len(b) == 0 || len(b)%size != 0 || len(b)/size > IDLimit {
		return Message{}, malformed(op, "%d bytes are not 1 to %d ids", len(b), IDLimit)
	}
	from := len(room)
	for len(b) > 0 {
		v, n := wire.ConsumeFixed(b, size)
		id := MessageID(v)
		if id.IsZero() {
			return Message{}, malformed(op, "id 0")
		}
		room, b = append(room, id), b[n:]
	}
	return Message{Op: op, IDs: room[from:len(room):len(room)]}, nil
}
