package msgpack

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/carrier-p2p/carrier/opcode"
)

// A shape is what is known about a type.
type shape struct {
	err error // it cannot be coded

	// open: the type does not say all about its values. It contains itself, holds an any, or has parts that code
	// themselves; so a value may nest without end or be written as something that does not parse.
	open bool
}

// shape returns what is known about t, a type or the pointer to it, looking at it the first time it is asked.
func (c *codec) shape(t reflect.Type) *shape {
	if s, ok := c.shapes.Load(t); ok {
		return s.(*shape)
	}
	plain := t
	if t.Kind() == reflect.Pointer {
		plain = t.Elem()
	}
	s, _ := c.shapes.LoadOrStore(t, look(place{plain, true}))
	return s.(*shape)
}

// insideAny returns what is known about t as the content of an any, where it has no address.
func (c *codec) insideAny(t reflect.Type) *shape {
	if s, ok := c.insides.Load(t); ok {
		return s.(*shape)
	}
	s, _ := c.insides.LoadOrStore(t, look(place{t, false}))
	return s.(*shape)
}

func look(p place) *shape {
	s := new(shape)
	ch := checker{begun: map[place]bool{}, shape: s}
	if err := ch.check(p, p.typ.String()); err != nil {
		s.err = fmt.Errorf("msgpack: %w: %w", opcode.ErrType, err)
	}
	return s
}

// A checker looks through one type and what it contains.
type checker struct {
	begun map[place]bool // true while in it, false when done
	shape *shape
}

// A place is a type and whether values of it have an address there. Inside a map they have none, and then the library cannot
// call methods on the pointer.
type place struct {
	typ  reflect.Type
	addr bool
}

// check returns an error if the type at p cannot be coded; path is how a reader of the error gets there.
func (c *checker) check(p place, path string) error {
	if in, ok := c.begun[p]; ok {
		c.shape.open = c.shape.open || in
		return nil
	}
	c.begun[p] = true
	defer func() { c.begun[p] = false }()

	t := p.typ
	if t == reflect.TypeFor[time.Time]() {
		return fmt.Errorf("%s: time.Time travels as an extension, which is not supported; send UnixNano", path)
	}
	if self, err := selfCoding(p); self || err != nil {
		c.shape.open = true
		return wrap(path, err)
	}
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return nil
	case reflect.Slice:
		return c.check(place{t.Elem(), true}, path+"[]")
	case reflect.Array:
		return c.check(place{t.Elem(), p.addr}, path+"[]")
	case reflect.Pointer:
		if t.Elem().Kind() == reflect.Pointer {
			return fmt.Errorf("%s: a pointer to a pointer; nil of the one cannot be told from nil of the other", path)
		}
		return c.check(place{t.Elem(), true}, path+"*")
	case reflect.Interface:
		c.shape.open = true
		if t.NumMethod() > 0 {
			return fmt.Errorf("%s: of interfaces only any can be coded", path)
		}
		return nil
	case reflect.Map:
		return c.checkMap(t, path)
	case reflect.Struct:
		return c.checkFields(p, path)
	}
	return fmt.Errorf("%s: %v cannot be coded", path, t.Kind())
}

func wrap(path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", path, err)
}

func (c *checker) checkMap(t reflect.Type, path string) error {
	if part := unfitKey(t.Key()); part != nil {
		return fmt.Errorf("%s[key]: %v cannot be, or be part of, a key", path, part)
	}
	if err := c.check(place{t.Key(), false}, path+"[key]"); err != nil {
		return err
	}
	return c.check(place{t.Elem(), false}, path+"[]")
}

// unfitKey returns the part of a key type that makes it unfit: an interface, into which a peer could put what has no hash, or a
// pointer, which is another key each time.
func unfitKey(t reflect.Type) reflect.Type {
	if self, err := selfCoding(place{t, false}); self && err == nil {
		return nil
	}
	switch t.Kind() {
	case reflect.Interface, reflect.Pointer:
		return t
	case reflect.Array:
		return unfitKey(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if part := unfitKey(t.Field(i).Type); part != nil {
				return part
			}
		}
	}
	return nil
}

func (c *checker) checkFields(p place, path string) error {
	names := map[string]string{}
	for i := range p.typ.NumField() {
		f := p.typ.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("msgpack"), ",")
		if name == "-" || f.Name == "_msgpack" { // the latter carries options for the whole struct
			continue
		}
		if name == "" {
			name = f.Name
		}
		if err := checkField(f, options); err != nil {
			return fmt.Errorf("%s.%s: %w", path, f.Name, err)
		}
		if other, ok := names[name]; ok {
			return fmt.Errorf("%s: fields %s and %s are both called %q", path, other, f.Name, name)
		}
		names[name] = f.Name
		if err := c.check(place{f.Type, p.addr}, path+"."+f.Name); err != nil {
			return err
		}
	}
	return nil
}

// checkField refuses fields for what they are, whatever their type.
func checkField(f reflect.StructField, options string) error {
	switch {
	case !f.IsExported():
		return fmt.Errorf("unexported field; export it, or leave it out with `msgpack:\"-\"`")
	case f.Anonymous && f.Type.Kind() == reflect.Pointer:
		return fmt.Errorf("embedded pointer; give the field a name")
	case strings.Contains(options, "intern"):
		return fmt.Errorf("interned strings travel as extensions, which are not supported")
	}
	return nil
}

// pairs are the methods by which types code themselves, in the order in which the library looks for them.
var pairs = [4]struct{ writes, reads reflect.Type }{
	{reflect.TypeFor[msgpack.CustomEncoder](), reflect.TypeFor[msgpack.CustomDecoder]()},
	{reflect.TypeFor[msgpack.Marshaler](), reflect.TypeFor[msgpack.Unmarshaler]()},
	{reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.BinaryUnmarshaler]()},
	{reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler]()},
}

// selfCoding reports whether the library leaves values at p to their own methods. It is an error if it would write with one
// pair and read with another, if it cannot reach a method, and if the methods may come from an embedded field, as they know
// nothing of the other fields.
func selfCoding(p place) (bool, error) {
	t := p.typ
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface || t.PkgPath() == "" && t.Kind() != reflect.Struct {
		return false, nil // the last: no methods, not even promoted ones
	}
	writes, onValue := codes(t, func(i int) reflect.Type { return pairs[i].writes })
	reads, readsOnValue := codes(t, func(i int) reflect.Type { return pairs[i].reads })
	switch {
	case writes < 0 && reads < 0:
		return false, nil
	case embedsCoder(t):
		return false, fmt.Errorf("%v embeds a type whose coding methods would hide the other fields; give the field a name", t)
	case writes != reads:
		return false, fmt.Errorf("%v has half a pair of coding methods: would be written by %s and read by %s", t, side(writes), side(reads))
	case readsOnValue:
		return false, fmt.Errorf("%v reads itself with a method on the value, which cannot change it", t)
	case !onValue && !p.addr:
		return false, fmt.Errorf("%v writes itself with a method on the pointer, which has no use inside a map; hold pointers", t)
	}
	return true, nil
}

// codes returns which of the interfaces the library would pick for t, -1 for none, and whether it finds it on the value. It
// tries all of them on the value before it tries any on the pointer.
func codes(t reflect.Type, face func(int) reflect.Type) (which int, onValue bool) {
	for i := range pairs {
		if t.Implements(face(i)) {
			return i, true
		}
	}
	for i := range pairs {
		if reflect.PointerTo(t).Implements(face(i)) {
			return i, false
		}
	}
	return -1, false
}

func side(which int) string {
	if which < 0 {
		return "field"
	}
	return [...]string{"EncodeMsgpack/DecodeMsgpack", "MarshalMsgpack/UnmarshalMsgpack", "MarshalBinary/UnmarshalBinary", "MarshalText/UnmarshalText"}[which]
}

func embedsCoder(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.Anonymous {
			continue
		}
		for _, pair := range pairs {
			for _, face := range []reflect.Type{pair.writes, pair.reads} {
				if f.Type.Implements(face) || reflect.PointerTo(f.Type).Implements(face) {
					return true
				}
			}
		}
	}
	return false
}
