// Package msgpack codes Go values as MessagePack. It is the door through which the rest of the library gets at
// github.com/vmihailenco/msgpack.
//
// Choose it where the other end is written in another language and has no .proto files: structs travel as maps from field
// names to values, unknown names are passed over, missing ones leave zero. The tag `msgpack:"name"` renames a field,
// `msgpack:"-"` leaves it out; integers take as few bytes as they can, and maps are written in no particular order.
//
// # Between us and the library
//
// The library trusts its input: eight bytes that claim a long array make it allocate 512 MiB, and some mistaken types
// make it panic. So nothing from a peer reaches it unseen:
//
//	payload ──▶ scan ──▶ library ──▶ value          types ──▶ Check, once for each
//	            every count is true,                          only what the library reads
//	            nothing nests too deep,                       without panic or loss
//	            no extensions
//
// Extensions are refused because the library, when it expects a map, takes an extension for a prefix of it and reads the
// extension's content as a length, which no scan that does not know the type can foresee. As it sends time.Time as an
// extension (and panics when a peer sends nil in its place), a type with a time.Time is refused: send UnixNano.
//
// Check refuses, besides what MessagePack has no form for: unexported fields without the tag, embedded pointers, pointers
// to pointers, interfaces other than any, keys that are or contain interfaces or pointers, and types with half a pair of
// coding methods. Each is something the library would lose, panic on or, for embedded pointers, start a goroutine for.
//
// One thing it does that remains: a number too large for its field is cut to the field's bits, 300 in a uint8 becomes 44.
// Give a field at least the width of what the other side sends.
//
// Errors wrap opcode.ErrType for Go types and values that cannot be coded, opcode.ErrPayload for bytes that do not parse.
package msgpack

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/carrier-p2p/carrier/opcode"
)

// keepLimit bounds the payloads after which a decoder is used again: it keeps the memory of the longest string it has seen.
// 64 KiB: one frame, so decoders for ordinary messages are always kept and large ones are rare enough to make anew.
const keepLimit = 64 << 10

// Codec returns the codec. What it learns about types, and its pools, live in the value returned: give all messages of a
// Network the same one. Any goroutine may use it.
func Codec() opcode.Codec { return new(codec) }

type codec struct {
	shapes  sync.Map  // reflect.Type (T and *T) -> *shape
	insides sync.Map  // reflect.Type inside an any -> *shape
	writers sync.Pool // *writer
	readers sync.Pool // *reader
}

// A writer is an encoder with the slice that it appends to.
type writer struct {
	b   []byte
	enc *msgpack.Encoder
}

func (w *writer) Write(b []byte) (int, error) { w.b = append(w.b, b...); return len(b), nil }
func (w *writer) WriteByte(c byte) error      { w.b = append(w.b, c); return nil }

// A reader is a decoder with the bytes that it reads.
type reader struct {
	in  bytes.Reader
	dec *msgpack.Decoder
}

func (*codec) Name() string { return "msgpack" }

// Check implements opcode.Checker.
func (c *codec) Check(t reflect.Type) error { return c.shape(t).err }

// Append implements opcode.Codec.
func (c *codec) Append(dst []byte, v any) ([]byte, error) {
	if v == nil {
		return dst, fmt.Errorf("msgpack: %w: nil", opcode.ErrType)
	}
	x := reflect.ValueOf(v)
	s := c.shape(x.Type())
	if s.err != nil {
		return dst, s.err
	}
	if x.Kind() != reflect.Pointer {
		p := reflect.New(x.Type()) // the library wants an address for methods on the pointer
		p.Elem().Set(x)
		x = p
	}
	if x.IsNil() {
		return dst, fmt.Errorf("msgpack: %w: nil %T", opcode.ErrType, v)
	}
	b, err := c.encode(dst, x, s)
	if err != nil {
		return dst, fmt.Errorf("msgpack: append %T: %w", v, err)
	}
	return b, nil
}

// encode appends what x points to. Where the type does not say all about the value, the value is looked at before, so that
// the library does not recurse for ever, and what was written after, so that the other side can read it.
func (c *codec) encode(dst []byte, x reflect.Value, s *shape) ([]byte, error) {
	if s.open {
		if err := c.walk(x, walkLimit); err != nil {
			return dst, err
		}
	}
	w, ok := c.writers.Get().(*writer)
	if !ok {
		w = &writer{enc: msgpack.NewEncoder(nil)}
	}
	w.b = dst
	w.enc.Reset(w)
	w.enc.UseCompactInts(true)
	err := w.enc.EncodeValue(x)
	b := w.b
	w.b = nil
	c.writers.Put(w)
	if err == nil && s.open {
		_, err = scan(b[len(dst):])
	}
	return b, err
}

// Parse implements opcode.Codec.
func (c *codec) Parse(b []byte, v any) error {
	x := reflect.ValueOf(v)
	if x.Kind() != reflect.Pointer || x.IsNil() {
		return fmt.Errorf("msgpack: %w: parse wants a pointer, not %T", opcode.ErrType, v)
	}
	if s := c.shape(x.Type()); s.err != nil {
		return s.err
	}
	if at, err := scan(b); err != nil {
		return fmt.Errorf("msgpack: parse %T: byte %d: %w: %w", v, at, opcode.ErrPayload, err)
	}
	x.Elem().SetZero()
	if err := c.decode(b, x.Elem()); err != nil {
		return fmt.Errorf("msgpack: parse %T: %w: %w", v, opcode.ErrPayload, err)
	}
	return nil
}

// decode lets the library read all of b, which has been scanned, into x. A decoder that has failed is not used again, as it
// may be in the middle of something.
func (c *codec) decode(b []byte, x reflect.Value) error {
	r, ok := c.readers.Get().(*reader)
	if !ok {
		r = &reader{dec: msgpack.NewDecoder(nil)}
	}
	r.in.Reset(b)
	r.dec.Reset(&r.in)
	if err := r.dec.DecodeValue(x); err != nil {
		return err
	}
	if r.in.Len() > 0 {
		return errMisread
	}
	if len(b) <= keepLimit {
		r.in.Reset(nil)
		c.readers.Put(r)
	}
	return nil
}

// errMisread: the library, or a type that codes itself, took fewer bytes than the value has.
var errMisread = errors.New("msgpack: value read only in part")
