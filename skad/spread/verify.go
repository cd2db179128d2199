package spread

import (
	"errors"
	"sync"

	"github.com/carrier-p2p/carrier/handshake/identity"
)

// domainPrefix separates signatures of messages from every other use of a node's key, Config.Network behind it one
// network from another.
const domainPrefix = "carrier/1 broadcast "

var (
	// ErrID says that the id of a message is not the hash of its content.
	ErrID = errors.New("spread: id is not that of the message")

	// ErrSignature says that the origin has not signed the message.
	ErrSignature = errors.New("spread: signature of the message does not verify")
)

// A Signer signs the node's own messages: an *identity.Identity is one.
type Signer interface {
	Sign(domain string, msg []byte) [64]byte
}

// A Verifier says whether a message is its origin's. The core asks once for every message that it has not seen, before
// anything else is done with it. A simulator injects a cheap one.
type Verifier interface {
	// Verify checks in the order of cost: m.ID, the puzzles of the origin, the signature under domain. Nothing of m may
	// be kept. Errors wrap ErrID, identity.ErrPuzzle or ErrSignature; any other counts as the last.
	Verify(domain string, m *Message) error
}

// Origins returns the Verifier of a network whose puzzles have the given difficulty. Whoever wants to speak
// must have done the work of a node: the limit per origin would mean nothing if origins were free. Any number
// of cores may share one. About 55 us for a good message of a kilobyte, 1 us for one whose origin skipped the
// puzzles.
func Origins(p identity.Puzzle) Verifier {
	return &origins{p, sync.Pool{New: func() any { return new([]byte) }}}
}

type origins struct {
	puzzle identity.Puzzle
	rooms  sync.Pool // *[]byte: what is hashed lies in one piece, and most of it in one of these
}

func (v *origins) Verify(domain string, m *Message) error {
	room := v.rooms.Get().(*[]byte)
	*room = appendNamed((*room)[:0], m)
	sum := identity.Hash(*room)
	v.rooms.Put(room)
	if m.ID != MessageID(sum[:16]) {
		return ErrID
	}
	if err := v.puzzle.Check(m.Origin, m.Solution); err != nil {
		return err
	}
	if !m.Origin.Verify(domain, sum[:], &m.Signature) {
		return ErrSignature
	}
	return nil
}

// hashOf returns the hash that names and is signed. The whole of it is signed, because 16 bytes would let an origin
// find two messages with one signature.
func hashOf(m *Message) [32]byte {
	return identity.Hash(appendNamed(make([]byte, 0, len(m.Origin)+8+len(m.Payload)), m))
}
