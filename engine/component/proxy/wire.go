package proxy

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// What ProxyRequest (15) and ProxyResponse (9) carry, little endian. A circuit has a number on each of its two
// connections; the relay gives both.
//
//	ProxyRequest
//	reserve   u8 1 | u32 seconds                         node -> relay, a request. 0 seconds: give it back
//	connect   u8 2 | 32 ID                               node -> relay, a request: a circuit to ID
//	invite    u8 3 | u32 circuit | u32 window | 32 ID    relay -> node, a request: a circuit from ID
//	up        u8 4 | u32 circuit | bytes                 node -> relay
//	down      u8 5 | u32 circuit | bytes                 relay -> node
//	room      u8 6 | u32 circuit | u64 total             relay -> node: may have sent so many bytes in all
//	end up    u8 7 | u32 circuit | u8 reason             node -> relay: nothing more comes
//	end down  u8 8 | u32 circuit | u8 reason             relay -> node
//
//	ProxyResponse, the reply to reserve, connect and invite
//	u8 reason, 0 is yes | u32 number: seconds or circuit | u32 window of the circuit
//
// Up and down are two kinds and not one because a node may be relay to its relay: the numbers of a connection's two
// directions are two spaces.
type kind uint8

const (
	kindReserve kind = 1 + iota
	kindConnect
	kindInvite
	kindUp
	kindDown
	kindRoom
	kindEndUp
	kindEndDown
)

const (
	dataHeaderSize = 5
	responseSize   = 9

	// dataLimit is the most bytes of a circuit in one message: with its headers it fills a record.
	dataLimit = framing.RecordGather - framing.FrameHeaderSize - dataHeaderSize
)

// sizes are those of the messages of fixed size; 0: any size from dataHeaderSize on.
var sizes = [...]int{kindReserve: 5, kindConnect: 33, kindInvite: 41, kindUp: 0, kindDown: 0, kindRoom: 13, kindEndUp: 6, kindEndDown: 6}

// ErrMessage is wrapped by every error about a message that cannot be: the sender's fault, and the connection ends.
var ErrMessage = errors.New("proxy: malformed message")

// A request is a ProxyRequest. Which fields mean something depends on the kind.
type request struct {
	kind   kind
	number uint32 // circuit, or seconds
	window uint32
	total  uint64
	reason Reason
	id     identity.ID
	data   []byte // aliases the payload
}

// parseRequest reads a ProxyRequest; nothing is copied.
func parseRequest(b []byte) (r request, err error) {
	if len(b) == 0 || b[0] == 0 || int(b[0]) >= len(sizes) {
		return r, fmt.Errorf("%w: no such kind", ErrMessage)
	}
	r.kind = kind(b[0])
	switch want := sizes[r.kind]; {
	case want != 0 && len(b) != want, want == 0 && (len(b) <= dataHeaderSize || len(b) > dataHeaderSize+dataLimit):
		return request{}, fmt.Errorf("%w: %d bytes of kind %d", ErrMessage, len(b), r.kind)
	}
	if r.kind == kindConnect {
		copy(r.id[:], b[1:])
		return r, nil
	}
	r.number = binary.LittleEndian.Uint32(b[1:])
	switch r.kind {
	case kindInvite:
		r.window = binary.LittleEndian.Uint32(b[5:])
		copy(r.id[:], b[9:])
	case kindUp, kindDown:
		r.data = b[dataHeaderSize:]
	case kindRoom:
		r.total = binary.LittleEndian.Uint64(b[5:])
	case kindEndUp, kindEndDown:
		r.reason = Reason(b[5])
	}
	return r, nil
}

// append adds the encoding of r.
func (r *request) append(b []byte) []byte {
	b = append(b, byte(r.kind))
	if r.kind == kindConnect {
		return append(b, r.id[:]...)
	}
	b = binary.LittleEndian.AppendUint32(b, r.number)
	switch r.kind {
	case kindInvite:
		b = binary.LittleEndian.AppendUint32(b, r.window)
		b = append(b, r.id[:]...)
	case kindUp, kindDown:
		b = append(b, r.data...)
	case kindRoom:
		b = binary.LittleEndian.AppendUint64(b, r.total)
	case kindEndUp, kindEndDown:
		b = append(b, byte(r.reason))
	}
	return b
}

// readdress turns a message of a circuit into the one for its other end, where it lies.
func readdress(b []byte, k kind, number uint32) {
	b[0] = byte(k)
	binary.LittleEndian.PutUint32(b[1:], number)
}

// A response is a ProxyResponse.
type response struct {
	reason Reason
	number uint32
	window uint32
}

func parseResponse(b []byte) (r response, err error) {
	if len(b) != responseSize {
		return r, fmt.Errorf("%w: an answer of %d bytes", ErrMessage, len(b))
	}
	return response{Reason(b[0]), binary.LittleEndian.Uint32(b[1:]), binary.LittleEndian.Uint32(b[5:])}, nil
}

func (r response) append(b []byte) []byte {
	b = append(b, byte(r.reason))
	b = binary.LittleEndian.AppendUint32(b, r.number)
	return binary.LittleEndian.AppendUint32(b, r.window)
}

// A Reason says why a relay, or the node behind it, does not do what was asked, or why a circuit has ended.
type Reason uint8

const (
	None      Reason = iota // yes; of an end: in order
	NotARelay               // this node relays for nobody
	Full                    // no room for another reservation or circuit
	Unknown                 // no reservation of the node that was asked for
	Declined                // the node that was asked for does not want it
	Self                    // a circuit to oneself, or to the relay
	Loop                    // a relay is not asked over another relay
	Quota                   // the bytes allowed are used up
	Expired                 // the time allowed is
	Gone                    // the other end has lost its connection to the relay
	Violation               // more was sent than there was room for
	Busy                    // the relay's memory is used up
	Lossy                   // a relay is not asked over datagrams
)

var reasonNames = [...]string{"none", "not a relay", "full", "unknown", "declined", "self", "loop", "quota", "expired", "gone", "violation", "busy", "lossy"}

func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// A RefusedError is a relay's no, or its end of a circuit, with the reason.
type RefusedError struct{ Reason Reason }

func (e *RefusedError) Error() string { return "proxy: the relay says: " + e.Reason.String() }
