package codec_test

import (
	"bytes"
	"encoding"
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/carrier-p2p/carrier/opcode/codec"
)

// model is the encoding as the package comment describes it, written a second time in the plainest way, with nothing but
// reflection and no plan. The codec must agree with it on every type.
func model(v reflect.Value) []byte {
	if b, ok := modelSelf(addressable(v).Addr().Interface()); ok {
		return append(number(uint64(len(b)), 4), b...)
	}
	switch v.Kind() {
	case reflect.Bool:
		if v.Bool() {
			return []byte{1}
		}
		return []byte{0}
	case reflect.Int:
		return number(uint64(v.Int()), 8)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return number(uint64(v.Int()), v.Type().Bits()/8)
	case reflect.Uint:
		return number(v.Uint(), 8)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return number(v.Uint(), v.Type().Bits()/8)
	case reflect.Float32:
		return number(uint64(math.Float32bits(float32(v.Float()))), 4)
	case reflect.Float64:
		return number(math.Float64bits(v.Float()), 8)
	case reflect.Complex64, reflect.Complex128:
		part := reflect.TypeFor[float32]()
		if v.Kind() == reflect.Complex128 {
			part = reflect.TypeFor[float64]()
		}
		c := v.Complex()
		return append(model(reflect.ValueOf(real(c)).Convert(part)), model(reflect.ValueOf(imag(c)).Convert(part))...)
	case reflect.String:
		return append(number(uint64(v.Len()), 4), v.String()...)
	case reflect.Pointer:
		if v.IsNil() {
			return []byte{0}
		}
		return append([]byte{1}, model(v.Elem())...)
	case reflect.Array:
		return elems(nil, v)
	case reflect.Slice:
		return elems(number(uint64(v.Len()), 4), v)
	case reflect.Struct:
		var b []byte
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("carrier") != "-" {
				b = append(b, model(v.Field(i))...)
			}
		}
		return b
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, compareKeys)
		b := number(uint64(len(keys)), 4)
		for _, k := range keys {
			b = append(append(b, model(k)...), model(v.MapIndex(k))...)
		}
		return b
	}
	panic("no model for " + v.Type().String())
}

// modelSelf returns what v, if it codes itself, says it is.
func modelSelf(v any) ([]byte, bool) {
	switch v := v.(type) {
	case codec.Appender:
		b, err := v.AppendBinary(nil)
		return b, err == nil
	case encoding.BinaryMarshaler:
		b, err := v.MarshalBinary()
		return b, err == nil
	}
	return nil, false
}

// addressable returns v, or a copy of it that has an address: methods may be on the pointer.
func addressable(v reflect.Value) reflect.Value {
	if v.CanAddr() {
		return v
	}
	p := reflect.New(v.Type()).Elem()
	p.Set(v)
	return p
}

func number(x uint64, size int) []byte { return binary.LittleEndian.AppendUint64(nil, x)[:size] }

func elems(b []byte, v reflect.Value) []byte {
	for i := range v.Len() {
		b = append(b, model(v.Index(i))...)
	}
	return b
}

func compareKeys(a, b reflect.Value) int {
	switch {
	case a.CanInt():
		return cmpOf(a.Int() < b.Int(), a.Int() > b.Int())
	case a.CanUint():
		return cmpOf(a.Uint() < b.Uint(), a.Uint() > b.Uint())
	case a.Kind() == reflect.Bool:
		return cmpOf(!a.Bool() && b.Bool(), a.Bool() && !b.Bool())
	case a.Kind() == reflect.String:
		return cmpOf(a.String() < b.String(), a.String() > b.String())
	case a.Kind() == reflect.Array:
		for i := range a.Len() {
			if c := compareKeys(a.Index(i), b.Index(i)); c != 0 {
				return c
			}
		}
		return 0
	}
	for i := range a.NumField() {
		if c := compareKeys(a.Field(i), b.Field(i)); c != 0 {
			return c
		}
	}
	return 0
}

func cmpOf(less, more bool) int {
	switch {
	case less:
		return -1
	case more:
		return 1
	}
	return 0
}

// TestModel makes up types and values, and compares the bytes with the model's. Then the bytes must come back as the value,
// which is checked by encoding what came back.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		le := codec.LittleEndian()
		typ := reflect.SliceOf(drawType(t, 3))
		if rapid.Bool().Draw(t, "array") {
			typ = reflect.ArrayOf(2, typ.Elem()) // never a bare type that codes itself: it would have no length
		}
		v := reflect.New(typ)
		fill(t, v.Elem(), 3)
		want := model(v.Elem())
		got, err := le.Append(nil, v.Interface())
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%v\nvalue %+v\ngot   %x, %v\nmodel %x", typ, v.Elem(), got, err, want)
		}
		back := reflect.New(typ)
		if err := le.Parse(got, back.Interface()); err != nil {
			t.Fatalf("%v\nvalue %+v: %v", typ, v.Elem(), err)
		}
		if again := model(back.Elem()); !bytes.Equal(again, want) {
			t.Fatalf("%v\nvalue %+v\ncame back as %+v", typ, v.Elem(), back.Elem())
		}
		cut := rapid.IntRange(0, len(got)).Draw(t, "cut")
		if cut < len(got) && le.Parse(got[:cut], back.Interface()) == nil {
			t.Fatalf("%v: the first %d of %x parse as well", typ, cut, got)
		}
		if le.Parse(append(got, 0), back.Interface()) == nil {
			t.Fatalf("%v: %x parses with a byte more", typ, got)
		}
	})
}

// TestModelSamples holds the fixed samples against the model too; they have shapes that made-up types cannot have.
func TestModelSamples(t *testing.T) {
	le := codec.LittleEndian()
	for _, v := range samples() {
		want := model(reflect.ValueOf(v).Elem())
		if b, ok := modelSelf(v); ok {
			want = b // without a length at the top
		}
		got, err := le.Append(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%T\ngot   %x\nmodel %x", v, got, want)
		}
	}
}

var leaves = []reflect.Type{
	reflect.TypeFor[bool](), reflect.TypeFor[int](), reflect.TypeFor[int8](), reflect.TypeFor[int16](), reflect.TypeFor[int32](),
	reflect.TypeFor[int64](), reflect.TypeFor[uint](), reflect.TypeFor[uint8](), reflect.TypeFor[uint16](), reflect.TypeFor[uint32](),
	reflect.TypeFor[uint64](), reflect.TypeFor[string](), // up to here: fit for keys
	reflect.TypeFor[float32](), reflect.TypeFor[float64](), reflect.TypeFor[complex64](), reflect.TypeFor[complex128](),
	reflect.TypeFor[[]byte](), reflect.TypeFor[word](), reflect.TypeFor[tree](), reflect.TypeFor[nest](),
}

const keyLeaves = 12

// drawType makes up a type, at most depth composites deep, that takes at least one byte on the wire.
func drawType(t *rapid.T, depth int) reflect.Type {
	if depth == 0 {
		return rapid.SampledFrom(leaves).Draw(t, "leaf")
	}
	switch rapid.IntRange(0, 5).Draw(t, "kind") {
	case 0:
		return rapid.SampledFrom(leaves).Draw(t, "leaf")
	case 1:
		return reflect.SliceOf(drawType(t, depth-1))
	case 2:
		return reflect.ArrayOf(rapid.IntRange(1, 3).Draw(t, "length"), drawType(t, depth-1))
	case 3:
		return reflect.PointerTo(drawType(t, depth-1))
	case 4:
		return reflect.MapOf(drawKeyType(t, depth-1), drawType(t, depth-1))
	}
	return drawStruct(t, func() reflect.Type { return drawType(t, depth-1) })
}

func drawKeyType(t *rapid.T, depth int) reflect.Type {
	if depth == 0 {
		return rapid.SampledFrom(leaves[:keyLeaves]).Draw(t, "key leaf")
	}
	switch rapid.IntRange(0, 2).Draw(t, "key kind") {
	case 0:
		return rapid.SampledFrom(leaves[:keyLeaves]).Draw(t, "key leaf")
	case 1:
		return reflect.ArrayOf(rapid.IntRange(1, 3).Draw(t, "length"), drawKeyType(t, depth-1))
	}
	return drawStruct(t, func() reflect.Type { return drawKeyType(t, depth-1) })
}

func drawStruct(t *rapid.T, field func() reflect.Type) reflect.Type {
	fields := make([]reflect.StructField, rapid.IntRange(1, 5).Draw(t, "fields"))
	for i := range fields {
		fields[i] = reflect.StructField{Name: fmt.Sprintf("F%d", i), Type: field()}
	}
	return reflect.StructOf(fields)
}

// fill puts a made-up value into v. depth bounds types that contain themselves.
func fill(t *rapid.T, v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, "int"))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(rapid.Uint64().Draw(t, "uint"))
	case reflect.Float32:
		v.SetFloat(float64(rapid.Float32().Draw(t, "float")))
	case reflect.Float64:
		v.SetFloat(rapid.Float64().Draw(t, "float"))
	case reflect.Complex64:
		v.SetComplex(complex(float64(rapid.Float32().Draw(t, "re")), float64(rapid.Float32().Draw(t, "im"))))
	case reflect.Complex128:
		v.SetComplex(complex(rapid.Float64().Draw(t, "re"), rapid.Float64().Draw(t, "im")))
	case reflect.String:
		v.SetString(rapid.StringN(0, 5, -1).Draw(t, "string"))
	case reflect.Array:
		for i := range v.Len() {
			fill(t, v.Index(i), depth)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), depth)
		}
	default:
		if depth > 0 {
			fillBehind(t, v, depth-1)
		}
	}
}

func fillBehind(t *rapid.T, v reflect.Value, depth int) {
	n := rapid.IntRange(0, 3).Draw(t, "count")
	switch v.Kind() {
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(t, v.Index(i), depth)
		}
	case reflect.Pointer:
		if n > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem(), depth)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range n {
			k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(t, k, depth)
			fill(t, e, depth)
			v.SetMapIndex(k, e)
		}
	}
}
