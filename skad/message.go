package skad

import (
	"errors"
	"fmt"

	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/internal/wire"
	"github.com/carrier-p2p/carrier/opcode"
)

// ErrMessage is wrapped by every error of ParseMessage: the payload is not a message of its opcode.
var ErrMessage = errors.New("skad: malformed message")

// A Message is one message of the overlay, whichever: Op says which fields count. One plain struct for all of them
// keeps messages out of the heap, and lets simulated nodes hand each other contacts instead of bytes.
//
//	Op                      fields beside Op                           answered by
//	PingCode                Nonce                                      Pong
//	PongCode                Nonce                                      -
//	LookupNodeRequestCode   Nonce Key Count Payload (known.go)         LookupNodeResponse
//	LookupNodeResponseCode  Nonce Contacts                             -
//	RouteCode               Nonce Route Origin Key TTL Copy Payload    RouteAck
//	RouteAckCode            Nonce Refused                              -
//	RecordCode              Nonce Contacts (one: push; none: ask)      Record, when asked
//
// A Nonce is chosen at random by whoever asks and comes back in the answer; 0 is never one.
type Message struct {
	Op       opcode.Opcode
	Nonce    uint64
	Key      ID
	Count    uint8      // most contacts wanted in the answer; 1 to ReplyLimit
	Contacts []*Contact // lifetime: see Action and Receive

	Route   uint64 // number of a routed message, drawn by its origin; all copies share it
	Origin  ID     // claimed: nobody on the way can check it
	TTL     uint8  // hops left, at most RouteTTL
	Copy    uint8  // which of the copies, from 0
	Refused bool   // the hop did not take the message over
	Payload []byte // of a routed message, or the fingerprints of known.go; lifetime: see Action and Receive
}

// Append appends the payload of the message: what stands in a frame behind its header. It never fails for a message
// that the core made or ParseMessage returned; an unknown Op appends nothing.
func (m *Message) Append(dst []byte) []byte {
	switch m.Op {
	case opcode.PingCode, opcode.PongCode:
		return appendPing(dst, m)
	case opcode.LookupNodeRequestCode:
		return appendLookupRequest(dst, m)
	case opcode.LookupNodeResponseCode:
		return appendLookupResponse(dst, m)
	case opcode.RouteCode:
		return appendRoute(dst, m)
	case opcode.RouteAckCode:
		return appendRouteAck(dst, m)
	case opcode.RecordCode:
		return appendRecord(dst, m)
	}
	return dst
}

// ParseMessage reads the payload of a message. It takes exactly what Append writes; scope decides which addresses of
// the contacts in it are usable. Contacts are copies; Payload aliases b. Records are only well-formed, not verified:
// the core does that. Errors wrap ErrMessage, and for records also the error of identity.ParseRecord.
func ParseMessage(op opcode.Opcode, b []byte, scope Scope) (Message, error) {
	m := Message{Op: op}
	nonce, n := wire.ConsumeUint64(b)
	if n < 0 {
		return Message{}, malformed(op, "%d bytes", len(b))
	}
	if nonce == 0 && op != opcode.RecordCode {
		return Message{}, malformed(op, "nonce 0")
	}
	m.Nonce, b = nonce, b[n:]
	var err error
	switch op {
	case opcode.PingCode, opcode.PongCode:
		err = parsePing(&m, b)
	case opcode.LookupNodeRequestCode:
		err = parseLookupRequest(&m, b)
	case opcode.LookupNodeResponseCode:
		err = parseLookupResponse(&m, b, scope)
	case opcode.RouteCode:
		err = parseRoute(&m, b)
	case opcode.RouteAckCode:
		err = parseRouteAck(&m, b)
	case opcode.RecordCode:
		err = parseRecord(&m, b, scope)
	default:
		err = malformed(op, "not a message of the overlay")
	}
	if err != nil {
		return Message{}, err
	}
	return m, nil
}

func malformed(op opcode.Opcode, format string, args ...any) error {
	return fmt.Errorf("%w: %v: %s", ErrMessage, op, fmt.Sprintf(format, args...))
}

func appendID(dst []byte, id *ID) []byte {
	b := id.Identity()
	return append(dst, b[:]...)
}

// consumeID reads 32 bytes.
func consumeID(b []byte) (id ID, n int) {
	v, n := wire.ConsumeFixed(b, len(identity.ID{}))
	if n < 0 {
		return ID{}, n
	}
	return IDOf(identity.ID(v)), n
}

// appendContact appends a length and a record.
func appendContact(dst []byte, c *Contact) []byte {
	dst = wire.AppendUint16(dst, uint16(c.size))
	return c.Record.Append(dst)
}

// consumeContact reads what appendContact wrote.
func consumeContact(op opcode.Opcode, b []byte, scope Scope) (*Contact, int, error) {
	raw, n := wire.ConsumeBytes16(b, identity.RecordSizeLimit)
	if n < 0 {
		return nil, 0, malformed(op, "a record is cut short or longer than %d bytes", identity.RecordSizeLimit)
	}
	rec, err := identity.ParseRecord(raw)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %v: %w", ErrMessage, op, err)
	}
	return NewContact(rec, scope), n, nil
}
