package handshake

import (
	"fmt"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/internal/wire"
)

// Params are what a node says of itself and of the session when it proves itself. They are encrypted and authenticated,
// and are the sender's word only. The zero value of a field is not sent.
type Params struct {
	// Instance is drawn at random when a process starts, so that a peer can tell a restart from a second connection.
	Instance uint64

	// Agent names the software, in at most AgentLimit printable ASCII characters: it will stand in logs.
	Agent string

	// Observed is the address under which the sender sees the receiver.
	Observed transport.Addr

	// Compression has a bit for each form of compressed messages that the sender takes: 1 is S2 blocks. 0: none.
	Compression uint8
}

// Types of parameters. Numbers are never reused; a receiver skips those it does not know.
const (
	paramInstance    = 1 // u64
	paramAgent       = 2 // text
	paramObserved    = 3 // address as in records
	paramCompression = 4 // u8
)

// Validate reports what no other node would take.
func (p *Params) Validate() error {
	if len(p.Agent) > AgentLimit {
		return fmt.Errorf("handshake: agent of %d bytes, limit %d", len(p.Agent), AgentLimit)
	}
	if !printable(p.Agent) {
		return fmt.Errorf("handshake: agent %q is not printable ASCII", p.Agent)
	}
	return nil
}

func printable[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// Append appends the encoding: for each parameter u8 type | u16 length | value, little endian.
func (p *Params) Append(dst []byte) []byte {
	if p.Instance != 0 {
		dst = wire.AppendUint16(append(dst, paramInstance), 8)
		dst = wire.AppendUint64(dst, p.Instance)
	}
	if p.Agent != "" {
		dst = wire.AppendBytes16(append(dst, paramAgent), p.Agent)
	}
	if !p.Observed.IsZero() {
		var buf [32]byte
		dst = wire.AppendBytes16(append(dst, paramObserved), identity.AppendAddr(buf[:0], p.Observed))
	}
	if p.Compression != 0 {
		dst = wire.AppendBytes16(append(dst, paramCompression), []byte{p.Compression})
	}
	return dst
}

// ParseParams reads parameters in any order. Unknown types are skipped. A known type that comes twice, a value of the
// wrong form and more than ParamsSizeLimit bytes are errors that wrap ErrMessage. Nothing of b is kept.
func ParseParams(b []byte) (Params, error) {
	var p Params
	if len(b) > ParamsSizeLimit {
		return p, fmt.Errorf("%w: %d bytes of parameters, limit %d", ErrMessage, len(b), ParamsSizeLimit)
	}
	var seen [paramCompression + 1]bool
	for len(b) > 0 {
		kind := b[0]
		value, n := wire.ConsumeBytes16(b[1:], ParamsSizeLimit)
		if n < 0 {
			return Params{}, fmt.Errorf("%w: parameter %d is cut off", ErrMessage, kind)
		}
		b = b[1+n:]
		if int(kind) < len(seen) {
			if seen[kind] {
				return Params{}, fmt.Errorf("%w: parameter %d twice", ErrMessage, kind)
			}
			seen[kind] = true
		}
		if !p.set(kind, value) {
			return Params{}, fmt.Errorf("%w: parameter %d with a bad value", ErrMessage, kind)
		}
	}
	return p, nil
}

// set stores one parameter; false if the value cannot be one.
func (p *Params) set(kind byte, value []byte) (ok bool) {
	n := 0
	switch kind {
	case paramInstance:
		p.Instance, n = wire.ConsumeUint64(value)
		return n == len(value)
	case paramAgent:
		p.Agent = string(value)
		return len(value) <= AgentLimit && printable(value)
	case paramObserved:
		p.Observed, n = identity.ConsumeAddr(value)
		return n == len(value)
	case paramCompression:
		if len(value) == 1 {
			p.Compression = value[0]
		}
		return len(value) == 1
	}
	return kind != 0 // 0 stays unassigned: zeroed memory is not a message
}
