package handshake

import (
	"errors"

	"github.com/carrier-p2p/carrier/handshake/identity"
)

// Why a handshake ended. All are matched with errors.Is; those about a record also wrap the reason from package identity.
var (
	// ErrVersion: the initiator speaks another version of the handshake.
	ErrVersion = errors.New("handshake: unknown version")

	// ErrNetwork: the initiator is of another network, or of one with other puzzles.
	ErrNetwork = errors.New("handshake: other network or other puzzle parameters")

	// ErrMessage: a message, or a payload that was properly encrypted, is malformed.
	ErrMessage = errors.New("handshake: malformed message")

	// ErrMessageTooLong: a message is longer than MessageLimit. Decided from its length, before it is kept.
	ErrMessageTooLong = errors.New("handshake: message too long")

	// ErrAuthentication: a message was not written by the one it should be, was changed on the way, or belongs to another
	// handshake; or the record is not signed by its owner or not for the key that the sender used.
	ErrAuthentication = errors.New("handshake: authentication failed")

	// ErrLowOrder: the peer sent a public key that makes every shared secret zero. No honest key does.
	ErrLowOrder = errors.New("handshake: public key of low order")

	// ErrPuzzle: the peer's identity has not done the work. The same value as identity.ErrPuzzle.
	ErrPuzzle = identity.ErrPuzzle

	// ErrPeerMismatch: the responder has proven an identity, but not the expected one.
	ErrPeerMismatch = errors.New("handshake: not the expected peer")

	// ErrSelf: the other end is this node.
	ErrSelf = errors.New("handshake: connected to itself")

	// ErrTimeout: the handshake was not done at its deadline.
	ErrTimeout = errors.New("handshake: timeout")

	// ErrState: the machine is done or has failed, and takes no more.
	ErrState = errors.New("handshake: not in a state for this")
)

var (
	// ErrNonceEnd: a direction has used all its nonces. Nothing may be sealed any more.
	ErrNonceEnd = errors.New("handshake: nonces used up")

	// ErrOpen: a record was not sealed by the peer as the next one. On a stream nothing after it can be trusted.
	ErrOpen = errors.New("handshake: record does not open")
)
