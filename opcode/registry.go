package opcode

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
)

// A Registry pairs application codes with Go types and the codecs that translate between them. A Network has one; there
// is none for the whole process.
//
// Any goroutine may use it. Reads take no lock: they see an immutable table, which registration replaces. Registration
// copies that table, which is meant for the start of a program and a few thousand types, not for every message.
type Registry struct {
	table atomic.Pointer[table]
	write sync.Mutex // taken by Register only; orders the writers of table
}

// A table is never changed once it is in Registry.table.
type table struct {
	byCode map[Opcode]*Entry
	byType map[reflect.Type]*Entry // each entry twice: under its type and under the pointer to it
}

// An Entry is one registered pair. It is never changed.
type Entry struct {
	Code  Opcode
	Type  reflect.Type // T, never the pointer type
	Codec Codec
	Limit int // largest payload in bytes, in both directions

	pointer reflect.Type // *T
}

// NewRegistry returns an empty Registry.
func NewRegistry() *Registry {
	r := new(Registry)
	r.table.Store(&table{byCode: map[Opcode]*Entry{}, byType: map[reflect.Type]*Entry{}})
	return r
}

// Register pairs a code with the type of prototype, a T or *T of which only the type matters, and with the codec for its
// payloads. limit is the largest payload in bytes; 0 means DefaultPayloadLimit.
//
// One code has one type and one type has one code, since the type alone decides under which code a value is sent.
// The errors wrap ErrReserved, ErrDuplicate, ErrType or ErrLimit, and then nothing has changed.
func (r *Registry) Register(code Opcode, prototype any, c Codec, limit int) (*Entry, error) {
	e, err := newEntry(code, prototype, c, limit)
	if err != nil {
		return nil, err
	}
	r.write.Lock()
	defer r.write.Unlock()
	old := r.table.Load()
	if other, ok := old.byCode[code]; ok {
		return nil, fmt.Errorf("%w: code %d, for %v", ErrDuplicate, uint32(code), other.Type)
	}
	if other, ok := old.byType[e.Type]; ok {
		return nil, fmt.Errorf("%w: type %v, under code %d", ErrDuplicate, e.Type, uint32(other.Code))
	}
	next := &table{byCode: maps.Clone(old.byCode), byType: maps.Clone(old.byType)}
	next.byCode[code] = e
	next.byType[e.Type] = e
	next.byType[e.pointer] = e
	r.table.Store(next)
	return e, nil
}

// newEntry checks everything that can be checked without looking at the table.
func newEntry(code Opcode, prototype any, c Codec, limit int) (*Entry, error) {
	if code < ApplicationOpCodeStart {
		return nil, fmt.Errorf("%w: %d; applications start at %d", ErrReserved, uint32(code), uint32(ApplicationOpCodeStart))
	}
	if limit < 0 || limit > MaxPayloadLimit {
		return nil, fmt.Errorf("%w: %d is not within 0 to %d", ErrLimit, limit, MaxPayloadLimit)
	}
	if limit == 0 {
		limit = DefaultPayloadLimit
	}
	t := reflect.TypeOf(prototype)
	if t == nil {
		return nil, fmt.Errorf("%w: the prototype is nil; give a value or a pointer of the type", ErrType)
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface {
		return nil, fmt.Errorf("%w: %T is neither a plain type nor a pointer to one", ErrType, prototype)
	}
	if c == nil {
		return nil, fmt.Errorf("%w: no codec given for %v", ErrType, t)
	}
	if checker, ok := c.(Checker); ok {
		if err := checker.Check(t); err != nil {
			return nil, fmt.Errorf("opcode: code %d with codec %s: %w", uint32(code), c.Name(), err)
		}
	}
	return &Entry{Code: code, Type: t, Codec: c, Limit: limit, pointer: reflect.PointerTo(t)}, nil
}

// ByCode returns the entry of a code. It does not allocate.
func (r *Registry) ByCode(c Opcode) (*Entry, bool) {
	e, ok := r.table.Load().byCode[c]
	return e, ok
}

// ByType returns the entry of the type of v, a T or *T. It does not allocate and does not look at the value.
func (r *Registry) ByType(v any) (*Entry, bool) {
	e, ok := r.table.Load().byType[reflect.TypeOf(v)]
	return e, ok
}

// Entries returns all entries in the order of their codes, in a slice of the caller's own.
func (r *Registry) Entries() []*Entry {
	return slices.SortedFunc(maps.Values(r.table.Load().byCode), func(a, b *Entry) int { return cmp.Compare(a.Code, b.Code) })
}

// Append appends the payload for v to dst and tells the code to send it under. The errors wrap ErrNotRegistered,
// ErrTooLarge or what the codec returned; the slice is then dst as it was.
func (r *Registry) Append(dst []byte, v any) (Opcode, []byte, error) {
	e, ok := r.ByType(v)
	if !ok {
		return UnregisteredCode, dst, fmt.Errorf("%w: type %T", ErrNotRegistered, v)
	}
	b, err := e.Append(dst, v)
	return e.Code, b, err
}

// Parse decodes the payload b of a message with code c into a new value and returns the pointer to it, a *T. The errors
// wrap ErrNotRegistered, ErrTooLarge or what the codec returned.
func (r *Registry) Parse(c Opcode, b []byte) (any, error) {
	e, ok := r.ByCode(c)
	if !ok {
		return nil, fmt.Errorf("%w: code %d", ErrNotRegistered, uint32(c))
	}
	v := e.New()
	if err := e.Parse(b, v); err != nil {
		return nil, err
	}
	return v, nil
}

// New returns a pointer to a new zero value of the entry's type.
func (e *Entry) New() any { return reflect.New(e.Type).Interface() }

// Append appends the payload for v, a T or *T, to dst. It is the codec's Append with the limit of the code.
func (e *Entry) Append(dst []byte, v any) ([]byte, error) {
	if t := reflect.TypeOf(v); t != e.Type && t != e.pointer {
		return dst, fmt.Errorf("%w: code %d carries %v, not %T", ErrType, uint32(e.Code), e.Type, v)
	}
	b, err := e.Codec.Append(dst, v)
	if err != nil {
		return dst, err
	}
	if n := len(b) - len(dst); n > e.Limit {
		return dst, fmt.Errorf("%w: %v takes %d bytes, code %d allows %d", ErrTooLarge, e.Type, n, uint32(e.Code), e.Limit)
	}
	return b, nil
}

// Parse decodes b into v, a *T. It is the codec's Parse with the limit of the code.
func (e *Entry) Parse(b []byte, v any) error {
	if reflect.TypeOf(v) != e.pointer {
		return fmt.Errorf("%w: code %d parses into %v, not %T", ErrType, uint32(e.Code), e.pointer, v)
	}
	if len(b) > e.Limit {
		return fmt.Errorf("%w: %d bytes, code %d allows %d", ErrTooLarge, len(b), uint32(e.Code), e.Limit)
	}
	return e.Codec.Parse(b, v)
}
