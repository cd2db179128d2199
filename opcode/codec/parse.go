package codec

import (
	"encoding"
	"fmt"
	"reflect"
	"unsafe"
)

// Path:   payload -> [parse] -> value. Runs on the loop of the peer that sent it, or on a worker.
// Cost:   one allocation for each string, slice and pointed-to value, a few for a map; none for numbers. TestAllocs holds this.
// Bounds: a count is checked against the bytes that remain before memory is taken for it.
// Keeps:  nothing of the payload.

// An input is the payload while it is read.
type input struct {
	b []byte // not read yet

	// kept is how many of these belong to values that come later: the least they take. Whoever counts elements sees b
	// without them, so no byte is promised twice. Otherwise each of a hundred slices inside one another could claim
	// all that remains, and would be given memory for it.
	kept int
}

// left returns how many bytes the value that is read now can have.
func (in *input) left() int { return len(in.b) - in.kept }

// take returns the next n bytes, which are there.
func (in *input) take(n int) []byte {
	b := in.b[:n]
	in.b = in.b[n:]
	return b
}

// length reads a count of things that take at least each bytes apiece, all of which must still be there.
func (in *input) length(each int) (int, error) {
	n := le.Uint32(in.take(lengthSize))
	if n > lengthLimit || int(n) > in.left()/each {
		return 0, ErrLength
	}
	return int(n), nil
}

// flag reads whether a pointer is followed by its value.
func (in *input) flag() (bool, error) {
	if in.b[0] > 1 {
		return false, ErrBool
	}
	return in.take(1)[0] == 1, nil
}

// parse reads into the zero value at. depth counts the pointers, slices and maps around it.
// Invariant, kept by the callers: in.left() >= p.least. So what has a fixed size is always there.
func (p *plan) parse(in *input, at unsafe.Pointer, depth int) error {
	for i := range p.steps {
		s := &p.steps[i]
		in.kept += s.after
		if err := s.parse(in, unsafe.Add(at, s.at), depth); err != nil {
			return err
		}
		in.kept -= s.after
	}
	return nil
}

func (s *step) parse(in *input, at unsafe.Pointer, depth int) error {
	switch s.op {
	case opNumbers, opBools, opWords:
		return s.parseFlat(in, at, s.count)
	case opString:
		n, err := in.length(1)
		if err == nil {
			*(*string)(at) = string(in.take(n))
		}
		return err
	case opArray:
		return s.parseElems(in, at, s.count, depth)
	case opSelf:
		return s.parseSelf(in, at)
	}
	if depth >= depthLimit {
		return ErrDepth
	}
	switch s.op {
	case opSlice:
		return s.parseSlice(in, at, depth+1)
	case opPointer:
		return s.parsePointer(in, at, depth+1)
	default: // opMap
		return s.parseMap(in, at, depth+1)
	}
}

// parseFlat reads n numbers or booleans that lie side by side.
func (s *step) parseFlat(in *input, at unsafe.Pointer, n int) error {
	switch {
	case s.op == opBools:
		return parseBools(in, at, n)
	case s.op == opWords:
		return s.parseWords(in, at, n)
	}
	b := in.take(n * s.width)
	switch s.width {
	case 1:
		copy(unsafe.Slice((*byte)(at), n), b)
	case 2:
		for i, x := 0, unsafe.Slice((*uint16)(at), n); i < n; i++ {
			x[i] = le.Uint16(b[2*i:])
		}
	case 4:
		for i, x := 0, unsafe.Slice((*uint32)(at), n); i < n; i++ {
			x[i] = le.Uint32(b[4*i:])
		}
	case 8:
		for i, x := 0, unsafe.Slice((*uint64)(at), n); i < n; i++ {
			x[i] = le.Uint64(b[8*i:])
		}
	}
	return nil
}

// parseBools checks before it writes: a bool in memory that is neither 0 nor 1 breaks the program.
func parseBools(in *input, at unsafe.Pointer, n int) error {
	x := unsafe.Slice((*bool)(at), n)
	for i := range x {
		v, err := in.flag()
		if err != nil {
			return err
		}
		x[i] = v
	}
	return nil
}

// parseWords narrows 8 bytes to int and uint where they have 4.
func (s *step) parseWords(in *input, at unsafe.Pointer, n int) error {
	x := unsafe.Slice((*int)(at), n)
	for i := range x {
		v := le.Uint64(in.b)
		x[i] = int(v)
		if s.signed && uint64(int64(x[i])) != v || !s.signed && uint64(uint(x[i])) != v {
			return ErrRange
		}
		in.take(8)
	}
	return nil
}

func (s *step) parseElems(in *input, at unsafe.Pointer, n, depth int) error {
	in.kept += n * s.each
	for i := range n {
		in.kept -= s.each
		if err := s.elem.parse(in, unsafe.Add(at, uintptr(i)*s.size), depth); err != nil {
			return err
		}
	}
	return nil
}

func (s *step) parseSlice(in *input, at unsafe.Pointer, depth int) error {
	n, err := in.length(s.each)
	if err != nil || n == 0 {
		return err
	}
	x := reflect.NewAt(s.typ, at).Elem()
	x.Grow(n)
	x.SetLen(n)
	if s.flat != nil {
		return s.flat.parseFlat(in, x.UnsafePointer(), n*s.flat.count)
	}
	return s.parseElems(in, x.UnsafePointer(), n, depth)
}

func (s *step) parsePointer(in *input, at unsafe.Pointer, depth int) error {
	present, err := in.flag()
	if err != nil || !present {
		return err
	}
	if in.left() < s.elem.least {
		return ErrTruncated
	}
	x := reflect.New(s.elem.typ).UnsafePointer()
	*(*unsafe.Pointer)(at) = x
	return s.elem.parse(in, x, depth)
}

// parseMap reads into two keys in turn, so that the last one is there to compare with, and one value. The map copies both;
// what they point to is fresh each time.
func (s *step) parseMap(in *input, at unsafe.Pointer, depth int) error {
	n, err := in.length(s.each)
	if err != nil || n == 0 {
		return err
	}
	m := reflect.MakeMapWithSize(s.typ, n)
	reflect.NewAt(s.typ, at).Elem().Set(m)
	key, last, value := reflect.New(s.key.typ), reflect.New(s.key.typ), reflect.New(s.elem.typ)
	in.kept += n * s.each
	for i := range n {
		in.kept -= s.each
		if err := s.parseEntry(in, key, value, depth); err != nil {
			return err
		}
		if i > 0 && s.order.compare(last.UnsafePointer(), key.UnsafePointer()) >= 0 {
			return ErrOrder
		}
		m.SetMapIndex(key.Elem(), value.Elem())
		key, last = last, key
	}
	return nil
}

func (s *step) parseEntry(in *input, key, value reflect.Value, depth int) error {
	value.Elem().SetZero() // a key needs none: its parts are all written over
	in.kept += s.elem.least
	if err := s.key.parse(in, key.UnsafePointer(), depth); err != nil {
		return err
	}
	in.kept -= s.elem.least
	return s.elem.parse(in, value.UnsafePointer(), depth)
}

func (s *step) parseSelf(in *input, at unsafe.Pointer) error {
	n, err := in.length(1)
	if err != nil {
		return err
	}
	x := reflect.NewAt(s.typ, at).Interface().(encoding.BinaryUnmarshaler)
	if err := x.UnmarshalBinary(in.take(n)[:n:n]); err != nil {
		return fmt.Errorf("%v: %w", s.typ, err)
	}
	return nil
}
