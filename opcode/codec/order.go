package codec

import (
	"bytes"
	"cmp"
	"fmt"
	"reflect"
	"strings"
	"unsafe"
)

// An order compares two keys of one map type part by part. It exists apart from the plan because a plan forgets what the
// order needs: whether a number has a sign.
type order []part

// A part is what lies at offset at of a key; an array of bytes is one part of kind reflect.Array.
type part struct {
	at    uintptr
	kind  reflect.Kind
	count int // reflect.Array: bytes
}

// orderOf returns the order of keys of type t. Only types of which equal values are always one key, and have one encoding,
// can be ordered: no floats (NaN differs from itself, 0 equals -0), nothing that codes itself.
func orderOf(t reflect.Type) (order, error) { return appendOrder(nil, t, 0) }

func appendOrder(o order, t reflect.Type, at uintptr) (order, error) {
	if self, err := selfCoding(t); self || err != nil {
		return nil, fmt.Errorf("%v codes itself and has no order as a key", t)
	}
	var err error
	switch k := t.Kind(); k {
	case reflect.Bool, reflect.String,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return append(o, part{at: at, kind: k}), nil
	case reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return append(o, part{at: at, kind: k, count: t.Len()}), nil
		}
		for i := range t.Len() {
			if o, err = appendOrder(o, t.Elem(), at+uintptr(i)*t.Elem().Size()); err != nil {
				return nil, err
			}
		}
		return o, nil
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if f.Tag.Get(skipTag) == "-" {
				return nil, fmt.Errorf("%v.%s: a key with a field left out would not be one key any more", t, f.Name)
			}
			if o, err = appendOrder(o, f.Type, at+f.Offset); err != nil {
				return nil, err
			}
		}
		return o, nil
	}
	return nil, fmt.Errorf("%v has no order as a key", t)
}

// compare returns -1, 0 or 1 as the key at a is smaller than, equal to or larger than the key at b.
func (o order) compare(a, b unsafe.Pointer) int {
	for i := range o {
		if c := o[i].compare(unsafe.Add(a, o[i].at), unsafe.Add(b, o[i].at)); c != 0 {
			return c
		}
	}
	return 0
}

func (p *part) compare(a, b unsafe.Pointer) int {
	switch p.kind {
	case reflect.Array:
		return bytes.Compare(unsafe.Slice((*byte)(a), p.count), unsafe.Slice((*byte)(b), p.count))
	case reflect.String:
		return strings.Compare(*(*string)(a), *(*string)(b))
	case reflect.Int:
		return compareAs[int](a, b)
	case reflect.Int8:
		return compareAs[int8](a, b)
	case reflect.Int16:
		return compareAs[int16](a, b)
	case reflect.Int32:
		return compareAs[int32](a, b)
	case reflect.Int64:
		return compareAs[int64](a, b)
	case reflect.Uint:
		return compareAs[uint](a, b)
	case reflect.Bool, reflect.Uint8: // a bool in memory is 0 or 1
		return compareAs[uint8](a, b)
	case reflect.Uint16:
		return compareAs[uint16](a, b)
	case reflect.Uint32:
		return compareAs[uint32](a, b)
	}
	return compareAs[uint64](a, b)
}

func compareAs[T cmp.Ordered](a, b unsafe.Pointer) int { return cmp.Compare(*(*T)(a), *(*T)(b)) }
