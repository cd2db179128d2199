package codec

import (
	"encoding"
	"fmt"
	"reflect"
)

var (
	appenderType    = reflect.TypeFor[Appender]()
	marshalerType   = reflect.TypeFor[encoding.BinaryMarshaler]()
	unmarshalerType = reflect.TypeFor[encoding.BinaryUnmarshaler]()
)

// selfCoding reports whether values of t are written and read by their own methods. A type with half of them is an error:
// it would be written in one form and read in another. So is a struct that may have them from an embedded field, because
// those methods know nothing of the other fields.
func selfCoding(t reflect.Type) (bool, error) {
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface {
		return false, nil
	}
	p := reflect.PointerTo(t)
	writes := p.Implements(appenderType) || p.Implements(marshalerType)
	reads := p.Implements(unmarshalerType)
	if !writes && !reads {
		return false, nil
	}
	if f, ok := embeddedCoder(t); ok {
		return false, fmt.Errorf("%v embeds %v, whose binary methods would hide the other fields; give the field a name", t, f)
	}
	if writes && reads {
		return true, nil
	}
	if writes {
		return false, fmt.Errorf("%v writes itself but has no UnmarshalBinary", t)
	}
	return false, fmt.Errorf("%v reads itself but has no AppendBinary", t)
}

// embeddedCoder returns the type of an embedded field of t that has one of the methods.
func embeddedCoder(t reflect.Type) (reflect.Type, bool) {
	if t.Kind() != reflect.Struct {
		return nil, false
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.Anonymous {
			continue
		}
		p := f.Type
		if p.Kind() != reflect.Pointer && p.Kind() != reflect.Interface {
			p = reflect.PointerTo(p)
		}
		if p.Implements(appenderType) || p.Implements(marshalerType) || p.Implements(unmarshalerType) {
			return f.Type, true
		}
	}
	return nil, false
}

// appendSelf lets v, a pointer to a type that codes itself, append its encoding.
func appendSelf(dst []byte, v any) ([]byte, error) {
	if a, ok := v.(Appender); ok {
		return a.AppendBinary(dst)
	}
	b, err := v.(encoding.BinaryMarshaler).MarshalBinary()
	return append(dst, b...), err
}
