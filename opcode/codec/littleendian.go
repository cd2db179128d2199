package codec

import (
	"encoding"
	"fmt"
	"reflect"
	"sync"

	"github.com/carrier-p2p/carrier/opcode"
)

// An Appender appends its own encoding to b and returns the longer slice; the other half of encoding.BinaryUnmarshaler.
// Messages on a hot path implement the two, on the pointer if they like, and are then coded without reflection.
//
// AppendBinary must only append. UnmarshalBinary must copy what it keeps, reject what is not whole, and expect anything.
type Appender = encoding.BinaryAppender

// LittleEndian returns the default codec. Everything it learns about types lives in the value returned: give all messages
// of a Network the same one. Any goroutine may use it.
//
// Its Append takes no notice of a limit for the whole payload; opcode.Entry does. Encoding a struct behind a pointer into
// a dst with room allocates nothing, unless there are maps in it or parts whose own methods allocate.
func LittleEndian() opcode.Codec { return new(littleEndian) }

type littleEndian struct {
	coders sync.Map // reflect.Type (T and *T) -> *coder; as many as the program has message types
}

// A coder is what is known about one type of v: how to walk it, or why that cannot be done.
type coder struct {
	typ     reflect.Type // T
	pointer bool         // v is a *T
	self    bool         // T codes itself
	plan    *plan        // if not self
	err     error        // T cannot be coded
}

func (*littleEndian) Name() string { return "little-endian" }

// Check implements opcode.Checker.
func (l *littleEndian) Check(t reflect.Type) error { return l.coder(t).err }

// coder returns what is known about t, looking at the type the first time it is asked.
func (l *littleEndian) coder(t reflect.Type) *coder {
	if c, ok := l.coders.Load(t); ok {
		return c.(*coder)
	}
	c := &coder{typ: t}
	if t.Kind() == reflect.Pointer {
		c.pointer, c.typ = true, t.Elem()
	}
	if c.self, c.err = selfCoding(c.typ); c.err == nil && !c.self {
		c.plan, c.err = compile(c.typ)
	}
	if c.err != nil {
		c.err = fmt.Errorf("codec: %w: %w", opcode.ErrType, c.err)
	}
	kept, _ := l.coders.LoadOrStore(t, c)
	return kept.(*coder)
}

// Append implements opcode.Codec.
func (l *littleEndian) Append(dst []byte, v any) ([]byte, error) {
	if v == nil {
		return dst, fmt.Errorf("codec: %w: nil", opcode.ErrType)
	}
	x := reflect.ValueOf(v)
	c := l.coder(x.Type())
	if c.err != nil {
		return dst, c.err
	}
	if !c.pointer {
		p := reflect.New(c.typ)
		p.Elem().Set(x)
		x = p
	}
	if x.IsNil() {
		return dst, fmt.Errorf("codec: %w: nil %T", opcode.ErrType, v)
	}
	b, err := c.append(dst, x, v)
	if err != nil {
		return dst, fmt.Errorf("codec: append %T: %w", v, err)
	}
	return b, nil
}

// append writes the value x points to; v is the same or the value itself, whichever the caller holds.
func (c *coder) append(dst []byte, x reflect.Value, v any) ([]byte, error) {
	if !c.self {
		return c.plan.append(dst, x.UnsafePointer(), 0)
	}
	if !c.pointer {
		v = x.Interface()
	}
	return appendSelf(dst, v)
}

// Parse implements opcode.Codec.
func (l *littleEndian) Parse(b []byte, v any) error {
	x := reflect.ValueOf(v)
	if x.Kind() != reflect.Pointer || x.IsNil() {
		return fmt.Errorf("codec: %w: parse wants a pointer, not %T", opcode.ErrType, v)
	}
	c := l.coder(x.Type())
	if c.err != nil {
		return c.err
	}
	x.Elem().SetZero()
	in := input{b: b}
	if err := c.parse(&in, x, v); err != nil {
		return fmt.Errorf("codec: parse %T: byte %d: %w: %w", v, len(b)-len(in.b), opcode.ErrPayload, err)
	}
	return nil
}

// parse reads all of in into the value x points to, which is v.
func (c *coder) parse(in *input, x reflect.Value, v any) error {
	if c.self {
		return v.(encoding.BinaryUnmarshaler).UnmarshalBinary(in.b)
	}
	if in.left() < c.plan.least {
		return ErrTruncated
	}
	if err := c.plan.parse(in, x.UnsafePointer(), 0); err != nil {
		return err
	}
	if in.left() > 0 {
		return ErrTrailing
	}
	return nil
}
