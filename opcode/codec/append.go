package codec

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"slices"
	"unsafe"

	"github.com/carrier-p2p/carrier/opcode"
)

// Path:   value -> [append] -> payload. Runs on the goroutine that sends.
// Cost:   0 allocations if dst has room, but a few for every map. TestAllocs holds this.
// Keeps:  nothing of the value or of dst.
//
// Everything here walks memory by offset. That is sound because a plan's offsets come from the very type of the value, at
// is always the address of a live value of that type, and no address is formed outside of it.

var le = binary.LittleEndian

// append appends the value at. depth counts the pointers, slices and maps around it.
func (p *plan) append(dst []byte, at unsafe.Pointer, depth int) ([]byte, error) {
	var err error
	for i := range p.steps {
		s := &p.steps[i]
		if dst, err = s.append(dst, unsafe.Add(at, s.at), depth); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func (s *step) append(dst []byte, at unsafe.Pointer, depth int) ([]byte, error) {
	switch s.op {
	case opNumbers, opBools, opWords:
		return s.appendFlat(dst, at, s.count), nil
	case opString:
		x := *(*string)(at)
		dst, err := appendLength(dst, len(x))
		return append(dst, x...), err
	case opArray:
		return s.appendElems(dst, at, s.count, depth)
	case opSelf:
		return s.appendSelf(dst, at)
	}
	if depth >= depthLimit {
		return dst, ErrDepth
	}
	switch s.op {
	case opSlice:
		return s.appendSlice(dst, at, depth+1)
	case opPointer:
		x := *(*unsafe.Pointer)(at)
		if x == nil {
			return append(dst, 0), nil
		}
		return s.elem.append(append(dst, 1), x, depth+1)
	default: // opMap
		return s.appendMap(dst, at, depth+1)
	}
}

// appendFlat appends n numbers or booleans that lie side by side.
func (s *step) appendFlat(dst []byte, at unsafe.Pointer, n int) []byte {
	if s.op == opWords {
		return s.appendWords(dst, at, n)
	}
	switch s.width {
	case 1:
		return append(dst, unsafe.Slice((*byte)(at), n)...)
	case 2:
		for _, x := range unsafe.Slice((*uint16)(at), n) {
			dst = le.AppendUint16(dst, x)
		}
	case 4:
		for _, x := range unsafe.Slice((*uint32)(at), n) {
			dst = le.AppendUint32(dst, x)
		}
	case 8:
		for _, x := range unsafe.Slice((*uint64)(at), n) {
			dst = le.AppendUint64(dst, x)
		}
	}
	return dst
}

// appendWords widens int and uint to their 8 bytes where they have 4.
func (s *step) appendWords(dst []byte, at unsafe.Pointer, n int) []byte {
	for _, x := range unsafe.Slice((*int)(at), n) {
		if s.signed {
			dst = le.AppendUint64(dst, uint64(int64(x)))
		} else {
			dst = le.AppendUint64(dst, uint64(uint(x)))
		}
	}
	return dst
}

func appendLength(dst []byte, n int) ([]byte, error) {
	if n > lengthLimit {
		return dst, fmt.Errorf("%w: %w: %d", opcode.ErrTooLarge, ErrLength, n)
	}
	return le.AppendUint32(dst, uint32(n)), nil
}

func (s *step) appendElems(dst []byte, at unsafe.Pointer, n, depth int) ([]byte, error) {
	var err error
	for i := range n {
		if dst, err = s.elem.append(dst, unsafe.Add(at, uintptr(i)*s.size), depth); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// sliceHeader is how a slice of any type lies in memory. Reading one this way needs no reflection; none is ever made.
type sliceHeader struct {
	data     unsafe.Pointer
	len, cap int
}

func (s *step) appendSlice(dst []byte, at unsafe.Pointer, depth int) ([]byte, error) {
	x := (*sliceHeader)(at)
	dst, err := appendLength(dst, x.len)
	if err != nil || x.len == 0 {
		return dst, err
	}
	if s.flat != nil {
		return s.flat.appendFlat(dst, x.data, x.len*s.flat.count), nil
	}
	return s.appendElems(dst, x.data, x.len, depth)
}

// appendMap copies keys and values out of the map, as nothing in a map has an address, and appends them in order.
func (s *step) appendMap(dst []byte, at unsafe.Pointer, depth int) ([]byte, error) {
	m := reflect.NewAt(s.typ, at).Elem()
	n := m.Len()
	dst, err := appendLength(dst, n)
	if err != nil || n == 0 {
		return dst, err
	}
	keys, values := reflect.MakeSlice(s.keys, n, n), reflect.MakeSlice(s.values, n, n)
	sorted := make([]int, 0, n)
	for iter := m.MapRange(); iter.Next(); {
		i := len(sorted)
		keys.Index(i).SetIterKey(iter)
		values.Index(i).SetIterValue(iter)
		sorted = append(sorted, i)
	}
	key := func(i int) unsafe.Pointer { return unsafe.Add(keys.UnsafePointer(), uintptr(i)*s.key.typ.Size()) }
	slices.SortFunc(sorted, func(i, j int) int { return s.order.compare(key(i), key(j)) })
	for _, i := range sorted {
		if dst, err = s.key.append(dst, key(i), depth); err != nil {
			return dst, err
		}
		value := unsafe.Add(values.UnsafePointer(), uintptr(i)*s.elem.typ.Size())
		if dst, err = s.elem.append(dst, value, depth); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// appendSelf puts the length in front of what the type appends, as soon as it is known.
func (s *step) appendSelf(dst []byte, at unsafe.Pointer) ([]byte, error) {
	start := len(dst) + lengthSize
	b, err := appendSelf(append(dst, 0, 0, 0, 0), reflect.NewAt(s.typ, at).Interface())
	if err != nil {
		return dst, err
	}
	if len(b) < start {
		return dst, fmt.Errorf("%v took bytes away instead of appending", s.typ)
	}
	if len(b)-start > lengthLimit {
		return dst, fmt.Errorf("%w: %w: %d", opcode.ErrTooLarge, ErrLength, len(b)-start)
	}
	le.PutUint32(b[start-lengthSize:], uint32(len(b)-start))
	return b, nil
}
