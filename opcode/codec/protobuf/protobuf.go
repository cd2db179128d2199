// Package protobuf codes messages generated from .proto files. It is the door through which the rest of the library gets at
// google.golang.org/protobuf.
//
// Choose it where both ends cannot be updated together, or are written in different languages: fields have numbers, and
// unknown ones are kept and passed on. It costs more time and memory than the little-endian codec.
//
// The wire format is protobuf's own and needs no drawing here. Three things are decided on top of it:
//
//   - Fields and map entries are written in a stable order, so one program encodes equal messages equally. This is not
//     promised between versions of the protobuf library: sign bytes, not messages.
//   - Messages nest at most depthLimit deep, a map counting as one level; the library's own limit is 10,000. Append refuses
//     what Parse would, including a message that contains itself, on which the library would recurse for ever.
//   - Parse refuses strings that are not UTF-8 and proto2 messages without their required fields, and Append refuses to
//     write them, as the library does by default.
//
// Errors wrap opcode.ErrType if the Go value is no message, opcode.ErrPayload if the bytes are none.
package protobuf

import (
	"errors"
	"fmt"
	"reflect"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/carrier-p2p/carrier/opcode"
)

// depthLimit bounds how deep messages nest. 100: what the C++ and Java libraries allow when nothing is set, so nothing that
// they accept is refused here; each level costs a few hundred bytes of stack.
const depthLimit = 100

// ErrDepth: a message that nests more than depthLimit deep was to be written.
var ErrDepth = errors.New("protobuf: message nested too deeply")

// Codec returns the codec. What it learns about message types lives in the value returned: give all messages of a Network
// the same one. Any goroutine may use it.
func Codec() opcode.Codec { return new(codec) }

type codec struct {
	recursive sync.Map // protoreflect.MessageDescriptor -> bool: see depth.go
}

func (*codec) Name() string { return "protobuf" }

// Check implements opcode.Checker: the pointer to t must be a message.
func (*codec) Check(t reflect.Type) error {
	if !reflect.PointerTo(t).Implements(reflect.TypeFor[proto.Message]()) {
		return fmt.Errorf("protobuf: %w: *%v is no proto.Message", opcode.ErrType, t)
	}
	return nil
}

// message returns v as a message that exists.
func message(v any) (proto.Message, error) {
	m, ok := v.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("protobuf: %w: %T is no proto.Message", opcode.ErrType, v)
	}
	if !m.ProtoReflect().IsValid() {
		return nil, fmt.Errorf("protobuf: %w: nil %T", opcode.ErrType, v)
	}
	return m, nil
}

// Append implements opcode.Codec. v is the pointer to a generated message; the value itself cannot be copied and is refused.
func (c *codec) Append(dst []byte, v any) ([]byte, error) {
	m, err := message(v)
	if err != nil {
		return dst, err
	}
	if r := m.ProtoReflect(); c.isRecursive(r.Descriptor()) && deeper(r, depthLimit) {
		return dst, fmt.Errorf("%w: %T", ErrDepth, v)
	}
	b, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(dst, m)
	if err != nil {
		return dst, fmt.Errorf("protobuf: append %T: %w", v, err)
	}
	return b, nil
}

// Parse implements opcode.Codec.
func (*codec) Parse(b []byte, v any) error {
	m, err := message(v)
	if err != nil {
		return err
	}
	if err := (proto.UnmarshalOptions{RecursionLimit: depthLimit}).Unmarshal(b, m); err != nil {
		return fmt.Errorf("protobuf: parse %T: %w: %w", v, opcode.ErrPayload, err)
	}
	return nil
}
