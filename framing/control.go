package framing

import (
	"encoding/binary"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/carrier-p2p/carrier/framing/wire"
)

// ErrControl is returned for a payload of one of the engine's own messages that is not what docs/wire.md says. It is the
// peer's fault and ends the connection.
var ErrControl = errors.New("framing: malformed control message")

// Sizes of the engine's own messages.
const (
	// EchoLimit is the largest payload of Ping, Pong, Keepalive and KeepaliveResponse. 64 bytes hold any token a prober
	// wants back, and no more than comes in goes out, so that nobody is amplified.
	EchoLimit = 64

	// CloseCodeSize is the number in front of a Disconnect's or an Error's text.
	CloseCodeSize = 4

	// CloseTextLimit is the longest text in a Disconnect or an Error, in bytes. 512 holds a sentence with an address in
	// it; it goes into logs, and whoever sends it may be hostile.
	CloseTextLimit = 512

	// CreditSize is the payload of a Credit.
	CreditSize = 8
)

// A Close is the payload of Disconnect and of Error: why the connection ends.
//
//	offset size field  meaning
//	0      4    code   little endian; what the numbers mean is the engine's
//	4      rest text   UTF-8, 0 to CloseTextLimit bytes, for people
type Close struct {
	Code uint32
	Text string
}

// Append appends the payload. Text is made to fit: cut to CloseTextLimit at a character's border, with what is not UTF-8
// replaced.
func (c Close) Append(dst []byte) []byte {
	return append(wire.AppendUint32(dst, c.Code), fitText(c.Text)...)
}

// ParseClose reads the payload of a Disconnect or an Error. The text is copied, so it outlives b. It is the peer's: it
// may hold anything that is UTF-8, line ends and terminal escapes too.
func ParseClose(b []byte) (Close, error) {
	code, n := wire.ConsumeUint32(b)
	if n < 0 || len(b)-n > CloseTextLimit || !utf8.Valid(b[n:]) {
		return Close{}, ErrControl
	}
	return Close{Code: code, Text: string(b[n:])}, nil
}

// fitText returns s as valid UTF-8 of at most CloseTextLimit bytes.
func fitText(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= CloseTextLimit {
		return s
	}
	end := CloseTextLimit
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// AppendCredit appends the payload of a Credit: granted is how many bytes in all, since the connection opened, the other
// end may send. A total and not a difference, so that grants may overtake or repeat each other without harm.
func AppendCredit(dst []byte, granted uint64) []byte { return wire.AppendUint64(dst, granted) }

// ParseCredit reads the payload of a Credit. That the total never decreases is for the receiver to check, which knows the
// one before.
func ParseCredit(b []byte) (granted uint64, err error) {
	if len(b) != CreditSize {
		return 0, ErrControl
	}
	return binary.LittleEndian.Uint64(b), nil
}

// CheckEcho returns ErrControl if b is too long to be the payload of a Ping, Pong, Keepalive or KeepaliveResponse.
func CheckEcho(b []byte) error {
	if len(b) > EchoLimit {
		return ErrControl
	}
	return nil
}
