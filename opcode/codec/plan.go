package codec

import (
	"fmt"
	"reflect"
	"strconv"
)

// A plan is how values of one type are walked: its steps in the order of the bytes on the wire. A struct inside a struct has
// no plan of its own, its steps stand among those of the outer one; neighbouring numbers of one width are one step.
// A plan is immutable once compile has returned it.
type plan struct {
	typ   reflect.Type
	steps []step
	least int // bytes that a value takes at least
}

// A step codes one part of a value, which lies at offset at from the value's start.
type step struct {
	op     op
	at     uintptr
	after  int          // bytes that the steps after this one take at least
	width  int          // opNumbers: bytes of one
	count  int          // opNumbers, opBools, opWords, opArray: how many lie there side by side
	signed bool         // opWords
	typ    reflect.Type // opSlice, opMap, opPointer, opSelf: the type lying there
	elem   *plan        // opSlice, opArray, opPointer, opMap: of what is inside
	size   uintptr      // opSlice, opArray: distance of the elements in memory
	each   int          // opSlice, opArray, opMap: bytes that an element, or key and value, take at least
	flat   *step        // opSlice: the elements are numbers or booleans; the step for one of them
	key    *plan        // opMap
	order  order        // opMap: of the keys
	keys   reflect.Type // opMap: []K
	values reflect.Type // opMap: []V
}

type op uint8

const (
	opNumbers op = iota // fixed-size numbers, coded by width alone
	opBools
	opWords // int and uint where they are not 8 bytes
	opString
	opSlice
	opArray // of anything but numbers and booleans
	opPointer
	opMap
	opSelf
)

// skipTag is the field tag `carrier:"-"`.
const skipTag = "carrier"

// A compiler makes one plan with all the plans inside it. plans holds those that are begun, so that a type which contains
// itself behind a pointer finds its own plan instead of beginning it for ever.
type compiler struct{ plans map[reflect.Type]*plan }

// compile returns the plan for t. The error names the part of t that cannot be coded.
func compile(t reflect.Type) (*plan, error) {
	c := compiler{plans: map[reflect.Type]*plan{}}
	return c.plan(t, t.String())
}

// plan returns the plan for t; path is how a reader of an error gets there.
func (c *compiler) plan(t reflect.Type, path string) (*plan, error) {
	if p, ok := c.plans[t]; ok {
		return p, nil
	}
	p := &plan{typ: t, least: least(t)}
	c.plans[t] = p
	if err := c.add(p, t, 0, path); err != nil {
		return nil, err
	}
	after := 0
	for i := len(p.steps) - 1; i >= 0; i-- {
		p.steps[i].after = after
		after += p.steps[i].least()
	}
	return p, nil
}

// least returns how many bytes the step takes at least.
func (s *step) least() int {
	switch s.op {
	case opNumbers, opBools:
		return s.count * s.width
	case opWords:
		return s.count * 8
	case opArray:
		return s.count * s.each
	case opPointer:
		return 1
	}
	return lengthSize
}

// add appends to p the steps for a t at offset at.
func (c *compiler) add(p *plan, t reflect.Type, at uintptr, path string) error {
	self, err := selfCoding(t)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if self {
		p.steps = append(p.steps, step{op: opSelf, at: at, typ: t})
		return nil
	}
	if s, ok := flatten(t); ok {
		s.at = at
		p.addFlat(s)
		return nil
	}
	switch t.Kind() {
	case reflect.String:
		p.steps = append(p.steps, step{op: opString, at: at})
		return nil
	case reflect.Struct:
		return c.addFields(p, t, at, path)
	case reflect.Slice, reflect.Array, reflect.Pointer:
		return c.addElems(p, t, at, path)
	case reflect.Map:
		return c.addMap(p, t, at, path)
	}
	return fmt.Errorf("%s: %v cannot be coded", path, t.Kind())
}

// addFlat appends a step for numbers or booleans, joining it to the last one where they lie side by side.
func (p *plan) addFlat(s step) {
	if n := len(p.steps); n > 0 {
		last := &p.steps[n-1]
		if last.op == s.op && last.width == s.width && last.signed == s.signed && last.at+uintptr(last.count*last.width) == s.at {
			last.count += s.count
			return
		}
	}
	p.steps = append(p.steps, s)
}

func (c *compiler) addFields(p *plan, t reflect.Type, at uintptr, path string) error {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Tag.Get(skipTag) == "-" {
			continue
		}
		if !f.IsExported() {
			return fmt.Errorf("%s.%s: unexported field; export it, or leave it out with `%s:\"-\"`", path, f.Name, skipTag)
		}
		if err := c.add(p, f.Type, at+f.Offset, path+"."+f.Name); err != nil {
			return err
		}
	}
	return nil
}

func (c *compiler) addElems(p *plan, t reflect.Type, at uintptr, path string) error {
	s := step{at: at, typ: t, size: t.Elem().Size(), each: least(t.Elem())}
	switch t.Kind() {
	case reflect.Slice:
		s.op, path = opSlice, path+"[]"
		if s.each == 0 {
			return fmt.Errorf("%s: elements that take no bytes; their count would be unbounded", path)
		}
		if flat, ok := flatten(t.Elem()); ok {
			s.flat = &flat
		}
	case reflect.Array:
		s.op, s.count, path = opArray, t.Len(), path+"[]"
		if t.Len() == 0 {
			return nil
		}
		if s.each == 0 {
			return fmt.Errorf("%s: elements that take no bytes; walking them would cost time for nothing", path)
		}
	case reflect.Pointer:
		s.op, path = opPointer, path+"*"
	}
	var err error
	if s.elem, err = c.plan(t.Elem(), path); err == nil {
		p.steps = append(p.steps, s)
	}
	return err
}

func (c *compiler) addMap(p *plan, t reflect.Type, at uintptr, path string) (err error) {
	s := step{op: opMap, at: at, typ: t, each: least(t.Key()) + least(t.Elem())}
	if s.each == 0 {
		return fmt.Errorf("%s: a map whose keys and values take no bytes", path)
	}
	if s.order, err = orderOf(t.Key()); err != nil {
		return fmt.Errorf("%s[key]: %w", path, err)
	}
	if s.key, err = c.plan(t.Key(), path+"[key]"); err != nil {
		return err
	}
	if s.elem, err = c.plan(t.Elem(), path+"[]"); err != nil {
		return err
	}
	s.keys, s.values = reflect.SliceOf(t.Key()), reflect.SliceOf(t.Elem())
	p.steps = append(p.steps, s)
	return nil
}

// flatten returns the step, at offset 0, for a type that is nothing but numbers of one width or booleans: their bytes are
// coded in one go. The second result is false for every other type.
func flatten(t reflect.Type) (step, bool) {
	if self, err := selfCoding(t); self || err != nil {
		return step{}, false
	}
	switch t.Kind() {
	case reflect.Bool:
		return step{op: opBools, width: 1, count: 1}, true
	case reflect.Int8, reflect.Uint8, reflect.Int16, reflect.Uint16, reflect.Int32, reflect.Uint32, reflect.Int64, reflect.Uint64,
		reflect.Float32, reflect.Float64:
		return step{op: opNumbers, width: int(t.Size()), count: 1}, true
	case reflect.Complex64, reflect.Complex128:
		return step{op: opNumbers, width: int(t.Size() / 2), count: 2}, true
	case reflect.Int, reflect.Uint:
		if strconv.IntSize == 64 {
			return step{op: opNumbers, width: 8, count: 1}, true
		}
		return step{op: opWords, width: strconv.IntSize / 8, count: 1, signed: t.Kind() == reflect.Int}, true
	case reflect.Array:
		s, ok := flatten(t.Elem())
		s.count *= t.Len()
		return s, ok && t.Len() > 0
	}
	return step{}, false
}

// least returns how many bytes the encoding of a t has at least. It looks at the type and not at a plan, which may be
// unfinished when a type contains itself.
func least(t reflect.Type) int {
	if self, _ := selfCoding(t); self {
		return lengthSize
	}
	switch t.Kind() {
	case reflect.String, reflect.Slice, reflect.Map:
		return lengthSize
	case reflect.Pointer:
		return 1
	case reflect.Array:
		return t.Len() * least(t.Elem())
	case reflect.Int, reflect.Uint:
		return 8
	case reflect.Struct:
		n := 0
		for i := range t.NumField() {
			if f := t.Field(i); f.Tag.Get(skipTag) != "-" {
				n += least(f.Type)
			}
		}
		return n
	}
	return int(t.Size())
}
