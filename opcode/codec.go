package opcode

import (
	"errors"
	"reflect"
)

// A Codec turns Go values into payloads and back. Its methods may be called from any goroutine.
//
// What a Codec promises: bytes that Append wrote, Parse accepts; what Parse is given by a hostile peer makes it return an
// error that wraps ErrPayload, never panic, and never keep more memory than a fixed multiple of the input, the multiple
// depending on the type alone; a type it cannot code makes both return an error that wraps ErrType.
type Codec interface {
	// Name names the encoding in messages to people: "protobuf".
	Name() string

	// Append appends the encoding of v, a T or a non-nil *T, to dst and returns the longer slice. On an error the
	// slice returned is dst as it was. Nothing of dst or v is kept.
	Append(dst []byte, v any) ([]byte, error)

	// Parse decodes all of b into v, a non-nil *T. What *v held before is gone; after an error *v holds anything.
	// Nothing of b is kept: every string and slice in *v is a copy.
	Parse(b []byte, v any) error
}

// A Checker is a Codec that can tell beforehand whether it can code a type. Register asks it, so that a type which
// cannot travel is found when the program starts and not when the first message is sent.
type Checker interface {
	// Check returns nil if values of t, which is no pointer type, can be coded, and else an error that wraps ErrType
	// and says which part of t is in the way.
	Check(t reflect.Type) error
}

var (
	// ErrReserved: the code belongs to the library.
	ErrReserved = errors.New("opcode: code reserved for the library")

	// ErrDuplicate: the code, or the type, is registered already.
	ErrDuplicate = errors.New("opcode: already registered")

	// ErrNotRegistered: nothing is registered for the code, or for the type.
	ErrNotRegistered = errors.New("opcode: not registered")

	// ErrType: this Go type, or this value of it, cannot be used here.
	ErrType = errors.New("opcode: type cannot be used")

	// ErrLimit: a payload limit that is negative or above MaxPayloadLimit.
	ErrLimit = errors.New("opcode: payload limit out of range")

	// ErrTooLarge: a payload above the limit of its code.
	ErrTooLarge = errors.New("opcode: payload above the limit of its code")

	// ErrPayload: bytes that are no encoding of the type they came for. The peer's fault.
	ErrPayload = errors.New("opcode: payload does not parse")
)
