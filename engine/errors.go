package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/carrier-p2p/carrier/handshake"
	"github.com/carrier-p2p/carrier/opcode"
)

// What can go wrong, as values for errors.Is. Errors that carry more are typed: *CloseError, *LimitError, *Fault.
var (
	ErrDialTimeout      = errors.New("engine: dial timed out")
	ErrHandshakeTimeout = errors.New("engine: handshake timed out")
	ErrReceiveTimeout   = errors.New("engine: nothing received in time")
	ErrSendTimeout      = errors.New("engine: waited too long for room to send")
	ErrSendBufferFull   = errors.New("engine: send buffer full")
	ErrMessageTooLarge  = errors.New("engine: message larger than its opcode allows")
	ErrNotRegistered    = opcode.ErrNotRegistered
	ErrReserved         = opcode.ErrReserved
	ErrPeerMismatch     = handshake.ErrPeerMismatch
	ErrSelfDial         = errors.New("engine: this address leads to this node itself")
	ErrNoTransport      = errors.New("engine: no transport serves this protocol")
	ErrNeedsID          = errors.New("engine: this address needs the ID of the node that it leads to")
	ErrDuplicate        = errors.New("engine: there is already a connection between this pair")
	ErrClosed           = errors.New("engine: closed")
	ErrNotStarted       = errors.New("engine: the network does not run: before Start, or after Shutdown")
	ErrStarted          = errors.New("engine: the network has been started before; it starts once, so make another")
	ErrOnLoop           = errors.New("engine: a call that waits was made on an event loop")
	ErrTooManyRequests  = errors.New("engine: too many requests of this peer are unanswered")
	ErrGateTimeout      = errors.New("engine: a receive gate was held too long")
	ErrSlowPeer         = errors.New("engine: memory is short, and this peer keeps much of it")
	ErrBusy             = errors.New("engine: busy") // the peer has a gate, or moves, or too many handshakes wait
	ErrUnreliable       = errors.New("engine: a connection over datagrams carries no stream")
	ErrNotRequest       = errors.New("engine: this message cannot be replied to")
	ErrNoReply          = errors.New("engine: the peer does not reply: nobody there handles this request, or whoever does has failed")

	// ErrIntercepted is what Receive returns to say: handled, no other component shall see this message.
	ErrIntercepted error = &interception{"engine: intercepted"}
)

// errLateReply is of requests, and a value of its own: many may end in one moment.
var errLateReply = &failure{"request", ErrReceiveTimeout}

// gaveUp is why a wait ended with its context. If the deadline has passed it is late, too: the error with which the wait would
// have ended without one.
func gaveUp(ctx context.Context, late error) error {
	why := ctx.Err()
	if cause := context.Cause(ctx); cause != why {
		why = fmt.Errorf("%w: %w", why, cause)
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) { // whatever its cause is called
		return fmt.Errorf("%w: %w", late, why)
	}
	return why
}

var errNoOpcode = errors.New("engine: no opcode is named, so no message can be the one")

// An interception has a type of its own because telling it by that costs one comparison, and it is returned for nearly
// every message.
type interception struct{ text string }

func (e *interception) Error() string { return e.text }

// A Code says why a connection ended, in words both ends understand. It is on the wire in Disconnect and Error.
// Codes from CodeApplication on are the application's.
type Code uint32

const (
	CodeNone      Code = 0 // an ordinary goodbye
	CodeShutdown  Code = 1 // the node is going down
	CodeProtocol  Code = 2 // the other side broke the protocol
	CodeLimit     Code = 3 // a limit was reached: message size, credit, memory
	CodeDuplicate Code = 4 // the pair has a connection already, which stays
	CodeReplaced  Code = 5 // the pair has a newer connection
	CodeFull      Code = 6 // no room for another peer
	CodeTimeout   Code = 7 // silence, a record that never ended, a gate held too long
	CodeEvicted   Code = 8 // made room for another peer
	CodeRefused   Code = 9 // not wanted here
	CodeInternal  Code = 10

	CodeApplication Code = 1000
)

var codeNames = [...]string{"goodbye", "shutdown", "protocol", "limit", "duplicate", "replaced", "full", "timeout",
	"evicted", "refused", "internal"}

// String names the code: "replaced", "code 1007".
func (c Code) String() string {
	if c < Code(len(codeNames)) {
		return codeNames[c]
	}
	return fmt.Sprintf("code %d", uint32(c))
}

// A CloseError says how a connection ended. errors.Is finds ErrClosed and the cause in Err.
type CloseError struct {
	Code   Code
	Text   string // for people, as the other side is told or has told it; at most closeTextLimit bytes
	Remote bool   // the other side said so
	Err    error  // what led to it, if there is more to know
}

func (e *CloseError) Error() string {
	side := "here"
	if e.Remote {
		side = "by the peer"
	}
	s := fmt.Sprintf("engine: closed %s: %v", side, e.Code)
	fault, isFault := e.Err.(*Fault)
	switch {
	case isFault: // its fate is what this error is
		s += ", " + fault.Whose.fault() + ": " + bare(fault.Err)
	case e.Err != nil: // the text is what the other side is told of it
		s += ": " + bare(e.Err)
	case e.Text != "":
		s += ": " + e.Text
	}
	return s
}

// Unwrap lets errors.Is find ErrClosed and the cause.
func (e *CloseError) Unwrap() []error {
	if e.Err == nil {
		return []error{ErrClosed}
	}
	return []error{ErrClosed, e.Err}
}

// A LimitError says which limit was in the way, and whose: "peers", "inbound", "ip", "subnet", "half-open",
// "half-open of one address", "memory", "dials".
type LimitError struct {
	Scope string
	Limit int
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("engine: limit reached: %s (%d)", e.Scope, e.Limit)
}

// A Party is who is to blame for a Fault.
type Party uint8

const (
	Ours  Party = iota // this node: a bug, or an exhausted limit
	Peers              // the peer sent what it must not send
	Path               // the network between
)

func (p Party) String() string {
	if names := [...]string{"ours", "the peer's", "the path's"}; int(p) < len(names) {
		return names[p]
	}
	return "nobody's"
}

func (p Party) fault() string {
	if p == Ours {
		return "our fault"
	}
	return p.String() + " fault"
}

// A Fate is what happens because of a Fault.
type Fate uint8

const (
	Drop  Fate = iota // the message is dropped, the connection goes on
	Close             // the connection is closed
)

func (f Fate) String() string {
	if f == Close {
		return "close"
	}
	return "drop"
}

// A Fault is an error that knows whose it is and what is to happen. A component that returns one from Receive with Fate
// Close disconnects the peer, giving Code as the reason.
type Fault struct {
	Whose Party
	Fate  Fate
	Code  Code
	Err   error
}

func (f *Fault) Error() string {
	return fmt.Sprintf("engine: %s, fate %v: %s", f.Whose.fault(), f.Fate, bare(f.Err))
}

func (f *Fault) Unwrap() error { return f.Err }

// A failure is an error with what the engine was doing in front of it. It says "engine:" once, however many of its errors
// are about each other.
type failure struct {
	doing string
	err   error
}

func (f *failure) Error() string { return "engine: " + f.doing + ": " + bare(f.err) }

func (f *failure) Unwrap() error { return f.err }

// bare is what err says, for a caller that has said already that it is the engine that speaks.
func bare(err error) string {
	if err == nil {
		return "no reason"
	}
	return strings.TrimPrefix(err.Error(), "engine: ")
}

// dialFailed says that t was not reached, and why.
func dialFailed(t fmt.Stringer, why error) error { return &failure{"dial " + t.String(), why} }

// failures are what has become of the tries of one dial, on one line.
type failures []error

func (f failures) Error() string {
	said := make([]string, len(f))
	for i, err := range f {
		said[i] = bare(err)
	}
	return strings.Join(said, "; ")
}

func (f failures) Unwrap() []error { return f }
