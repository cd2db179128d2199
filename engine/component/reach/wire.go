package reach

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// The two messages, little endian:
//
//	DialBackRequest    u64 nonce, not 0 | address as in node records: u8 protocol | u8 4 or 6 | 4 or 16 bytes IP | u16 port
//	DialBackResponse   u64 nonce        | u8 answer
//
// Read to the byte.

// errMessage is wrapped by what is wrong with a message.
var errMessage = errors.New("reach: not a message")

// An Answer is what a peer says of an address.
type Answer uint8

const (
	Reached    Answer = 0 // it has dialled, and found this node
	NotReached Answer = 1 // it has dialled, and found nobody or somebody else
	Abstained  Answer = 2 // it has not dialled; or, as a Vote, has not answered in time
	Pending    Answer = 3 // as a Vote: it has been asked
)

func (a Answer) String() string {
	return word(int(a), "reached", "not reached", "abstained", "pending")
}

// A request asks for a dial back.
type request struct {
	nonce uint64
	addr  transport.Addr
}

func (m request) append(b []byte) []byte {
	return identity.AppendAddr(binary.LittleEndian.AppendUint64(b, m.nonce), m.addr)
}

func parseRequest(b []byte) (m request, err error) {
	if len(b) < 8 {
		return m, fmt.Errorf("%w: a question of %d bytes", errMessage, len(b))
	}
	m.nonce = binary.LittleEndian.Uint64(b)
	a, n := identity.ConsumeAddr(b[8:])
	switch {
	case m.nonce == 0:
		return m, fmt.Errorf("%w: nonce 0", errMessage)
	case n < 0 || 8+n != len(b):
		return m, fmt.Errorf("%w: no address in %d bytes", errMessage, len(b)-8)
	case a.Proto == 0 || a.Port() == 0 || a.Addr().IsUnspecified() || a.Addr().IsMulticast():
		return m, fmt.Errorf("%w: %v cannot be dialled", errMessage, a)
	}
	m.addr = a
	return m, nil
}

// A response answers it.
type response struct {
	nonce  uint64
	answer Answer
}

func (m response) append(b []byte) []byte {
	return append(binary.LittleEndian.AppendUint64(b, m.nonce), byte(m.answer))
}

func parseResponse(b []byte) (response, error) {
	if len(b) != 9 {
		return response{}, fmt.Errorf("%w: an answer of %d bytes", errMessage, len(b))
	}
	m := response{binary.LittleEndian.Uint64(b), Answer(b[8])}
	if m.nonce == 0 || m.answer > Abstained {
		return response{}, fmt.Errorf("%w: nonce %d, answer %d", errMessage, m.nonce, b[8])
	}
	return m, nil
}
