package msgpack

import (
	"fmt"
	"reflect"
)

// walkLimit bounds the steps from a value to what is inside it. A level of nesting takes at most three: an interface, a
// pointer in it, the struct behind that. What is too deep by less than that, scan finds in what was written.
const walkLimit = 3 * (depthLimit + 1)

// walk looks through a value that the library is about to write, which recurses without a limit: it refuses what nests deeper
// than left steps, as a value that contains itself does, and an any that holds something that cannot be coded.
func (c *codec) walk(v reflect.Value, left int) error {
	if left == 0 {
		return ErrDepth
	}
	if self, _ := selfCoding(place{v.Type(), true}); self {
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return c.walk(v.Elem(), left-1)
		}
	case reflect.Interface:
		return c.walkAny(v, left)
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() <= reflect.Float64 { // numbers and booleans
			return nil
		}
		for i := range v.Len() {
			if err := c.walk(v.Index(i), left-1); err != nil {
				return err
			}
		}
	case reflect.Map:
		for iter := v.MapRange(); iter.Next(); {
			if err := c.walk(iter.Value(), left-1); err != nil {
				return err
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Tag.Get("msgpack") != "-" {
				if err := c.walk(v.Field(i), left-1); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// walkAny looks into an any. Its content has no address, so it must be of a type that can be written without one.
func (c *codec) walkAny(v reflect.Value, left int) error {
	if v.IsNil() {
		return nil
	}
	if s := c.insideAny(v.Elem().Type()); s.err != nil {
		return fmt.Errorf("inside an any: %w", s.err)
	}
	return c.walk(v.Elem(), left-1)
}
