package protobuf

import "google.golang.org/protobuf/reflect/protoreflect"

// isRecursive reports whether a message of this type can contain another of some type that contains itself. Only then can it
// be nested deeper than its .proto file is written, and only then is its depth worth a walk. Extensions can bring in anything.
func (c *codec) isRecursive(d protoreflect.MessageDescriptor) bool {
	if r, ok := c.recursive.Load(d); ok {
		return r.(bool)
	}
	r := contains(d, map[protoreflect.FullName]bool{})
	c.recursive.Store(d, r)
	return r
}

// contains reports whether a message type that is above d, or d itself, comes again below d. above holds true for the types
// on the way down, false for those done with.
func contains(d protoreflect.MessageDescriptor, above map[protoreflect.FullName]bool) bool {
	if open, seen := above[d.FullName()]; seen {
		return open
	}
	if d.ExtensionRanges().Len() > 0 {
		return true
	}
	above[d.FullName()] = true
	for i := range d.Fields().Len() {
		if m := d.Fields().Get(i).Message(); m != nil && contains(m, above) {
			return true
		}
	}
	above[d.FullName()] = false
	return false
}

// deeper reports whether m nests more than limit levels, counted as the library counts when it parses: one for a message,
// one more for a map around it.
func deeper(m protoreflect.Message, limit int) bool {
	if limit == 0 {
		return true
	}
	found := false
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
			found = limit == 1 || f.MapValue().Message() != nil && deeperInMap(v.Map(), limit-2)
		case f.Message() == nil:
		case f.IsList():
			for i := 0; i < v.List().Len() && !found; i++ {
				found = deeper(v.List().Get(i).Message(), limit-1)
			}
		default:
			found = deeper(v.Message(), limit-1)
		}
		return !found
	})
	return found
}

func deeperInMap(m protoreflect.Map, limit int) bool {
	found := false
	m.Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
		found = deeper(v.Message(), limit)
		return !found
	})
	return found
}
