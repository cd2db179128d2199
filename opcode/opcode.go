// Package opcode says what a frame may carry: the numbers that name messages, what is fixed about each of them, and which
// Go type and codec stand behind a number.
//
//	0           1 … 29                    30 … 999            1000 … 2³²-1
//	│           │                         │                   │
//	▼           ▼                         ▼                   ▼
//	never sent  the library's, see Facts  the library's,      the application's,
//	                                      not assigned yet    see Registry
//
// Two questions are asked about every frame that arrives, and both are answered here without a lock or an allocation:
// FactsOf tells for a library code how large its payload may be and who may send it, Registry.ByCode tells the same for
// an application code, together with the Go type and the Codec that turns payloads into values of it.
//
// The package moves no bytes and calls nobody. The codecs live in opcode/codec and below it; the engine owns one Registry
// per Network, so that two Networks in one process never see each other's messages.
//
// Errors of this package are mistakes of the embedding program (a code registered twice, a type that cannot be coded)
// except two, which a peer can cause: ErrPayload, bytes that do not parse as their type, and ErrTooLarge, more bytes than
// their code allows.
package opcode

import "strconv"

// An Opcode names the kind of a message. It travels in every frame as four little-endian bytes.
type Opcode uint32

// The codes of the library. Numbers never change their meaning; 4 to 8 belonged to an older protocol and stay unassigned.
// docs/opcodes.md is the table for people, and a test keeps the two equal.
const (
	UnregisteredCode       Opcode = 0
	BytesCode              Opcode = 1
	KeepaliveCode          Opcode = 2
	KeepaliveResponseCode  Opcode = 3
	ProxyResponseCode      Opcode = 9
	PingCode               Opcode = 10
	PongCode               Opcode = 11
	LookupNodeRequestCode  Opcode = 12
	LookupNodeResponseCode Opcode = 13
	DisconnectCode         Opcode = 14
	ProxyRequestCode       Opcode = 15
	MetricRequestCode      Opcode = 16
	MetricResponseCode     Opcode = 17
	AckResponseCode        Opcode = 18
	ErrorCode              Opcode = 19
	CreditCode             Opcode = 20
	BroadcastCode          Opcode = 21
	BroadcastHaveCode      Opcode = 22
	BroadcastWantCode      Opcode = 23
	RouteCode              Opcode = 24
	RouteAckCode           Opcode = 25
	RecordCode             Opcode = 26
	DialBackRequestCode    Opcode = 27
	DialBackResponseCode   Opcode = 28
	NoReplyCode            Opcode = 29

	// ApplicationOpCodeStart is the first code an embedding program may register.
	ApplicationOpCodeStart Opcode = 1000
)

// String returns the name of a library code, "Ping", and the number of any other, "Opcode(1003)".
func (c Opcode) String() string {
	if f, ok := FactsOf(c); ok {
		return f.Name
	}
	return "Opcode(" + strconv.FormatUint(uint64(c), 10) + ")"
}
