package protobuf_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/apipb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"pgregory.net/rapid"

	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/opcode/codec/protobuf"
)

const depthLimit = 100

// samples are messages of every shape: scalars, strings, lists, maps, messages in messages, proto2 with required fields.
func samples(t testing.TB) []proto.Message {
	s, err := structpb.NewStruct(map[string]any{"a": 1.0, "b": []any{true, nil, "x"}, "c": map[string]any{"d": "e"}})
	if err != nil {
		t.Fatal(err)
	}
	return []proto.Message{
		&emptypb.Empty{},
		wrapperspb.String("grüß dich"),
		wrapperspb.Bytes([]byte{0, 1, 2}),
		wrapperspb.Double(-1.5),
		wrapperspb.Int64(-1),
		&timestamppb.Timestamp{Seconds: 1, Nanos: 2},
		s,
		&apipb.Api{Name: "n", Methods: []*apipb.Method{{Name: "m"}, {RequestStreaming: true}}, Version: "1"},
		&descriptorpb.UninterpretedOption_NamePart{NamePart: proto.String("p"), IsExtension: proto.Bool(false)},
		&descriptorpb.FileDescriptorProto{Name: proto.String("f"), MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("M")}}},
	}
}

func fresh(v any) proto.Message {
	return reflect.New(reflect.TypeOf(v).Elem()).Interface().(proto.Message)
}

func TestRoundTrip(t *testing.T) {
	c := protobuf.Codec()
	for _, v := range samples(t) {
		b, err := c.Append([]byte("front"), v)
		if err != nil || !bytes.HasPrefix(b, []byte("front")) {
			t.Fatalf("%T: %x, %v", v, b, err)
		}
		plain, err := proto.Marshal(v)
		if err != nil || len(plain) != len(b)-5 {
			t.Errorf("%T: %d bytes, the library alone writes %d (%v)", v, len(b)-5, len(plain), err)
		}
		got := fresh(v)
		if err := c.Parse(b[5:], got); err != nil || !proto.Equal(v, got) {
			t.Errorf("%T: %v came back as %v, %v", v, v, got, err)
		}
	}
}

// TestRoundTripMadeUp sends made-up trees of values, which use maps, lists and every scalar kind of structpb.
func TestRoundTripMadeUp(t *testing.T) {
	c := protobuf.Codec()
	rapid.Check(t, func(t *rapid.T) {
		v, err := structpb.NewValue(drawValue(t, 3))
		if err != nil {
			t.Fatal(err)
		}
		b, err := c.Append(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		again, err := c.Append(nil, v)
		if err != nil || !bytes.Equal(b, again) {
			t.Fatalf("the same message twice: %x, %x, %v", b, again, err)
		}
		var got structpb.Value
		if err := c.Parse(b, &got); err != nil || !proto.Equal(v, &got) {
			t.Fatalf("%v came back as %v, %v", v, &got, err)
		}
	})
}

func drawValue(t *rapid.T, depth int) any {
	kind := rapid.IntRange(0, 5).Draw(t, "kind")
	if depth == 0 {
		kind %= 4
	}
	switch kind {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(t, "bool")
	case 2:
		return rapid.Float64().Draw(t, "number")
	case 3:
		return rapid.String().Draw(t, "string")
	case 4:
		l := make([]any, rapid.IntRange(0, 3).Draw(t, "length"))
		for i := range l {
			l[i] = drawValue(t, depth-1)
		}
		return l
	}
	m := map[string]any{}
	for range rapid.IntRange(0, 3).Draw(t, "entries") {
		m[rapid.String().Draw(t, "key")] = drawValue(t, depth-1)
	}
	return m
}

// TestParseReplaces: what the message held before does not shine through.
func TestParseReplaces(t *testing.T) {
	v := &timestamppb.Timestamp{Seconds: 7, Nanos: 7}
	b, err := proto.Marshal(&timestamppb.Timestamp{Nanos: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := protobuf.Codec().Parse(b, v); err != nil || v.Seconds != 0 || v.Nanos != 1 {
		t.Errorf("%v, %v", v, err)
	}
}

// TestParseCopies: the message does not change with the buffer it came from.
func TestParseCopies(t *testing.T) {
	c := protobuf.Codec()
	b, err := c.Append(nil, wrapperspb.Bytes([]byte("data")))
	if err != nil {
		t.Fatal(err)
	}
	var got wrapperspb.BytesValue
	if err := c.Parse(b, &got); err != nil {
		t.Fatal(err)
	}
	clear(b)
	if string(got.Value) != "data" {
		t.Errorf("after the buffer was used again: %q", got.Value)
	}
}

// TestNoMessage: Go values that are no message, or none at all, are our fault and told apart from bad bytes.
func TestNoMessage(t *testing.T) {
	c := protobuf.Codec()
	type plain struct{ A int }
	var none *emptypb.Empty
	for _, v := range []any{nil, plain{}, &plain{}, "text", none, any((*plain)(nil))} {
		dst := []byte("kept")
		b, err := c.Append(dst, v)
		if string(b) != "kept" || !errors.Is(err, opcode.ErrType) || !strings.HasPrefix(err.Error(), "protobuf: ") {
			t.Errorf("append %T: %q, %v", v, b, err)
		}
		if err := c.Parse(nil, v); !errors.Is(err, opcode.ErrType) || errors.Is(err, opcode.ErrPayload) {
			t.Errorf("parse into %T: %v", v, err)
		}
	}
}

func TestCheck(t *testing.T) {
	check := protobuf.Codec().(opcode.Checker)
	for _, v := range samples(t) {
		if err := check.Check(reflect.TypeOf(v).Elem()); err != nil {
			t.Error(err)
		}
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[string](), reflect.TypeFor[struct{ A int }](), reflect.TypeFor[*emptypb.Empty]()} {
		if err := check.Check(typ); !errors.Is(err, opcode.ErrType) || !strings.Contains(fmt.Sprint(err), typ.String()) {
			t.Errorf("%v: %v", typ, err)
		}
	}
	if _, err := opcode.NewRegistry().Register(1000, "text", protobuf.Codec(), 0); !errors.Is(err, opcode.ErrType) {
		t.Errorf("register: %v", err)
	}
}

// TestUnwritable: what protobuf itself forbids to write is an error, and the slice stays as it was.
func TestUnwritable(t *testing.T) {
	for _, v := range []proto.Message{
		wrapperspb.String("\xff not UTF-8"),
		&descriptorpb.UninterpretedOption_NamePart{NamePart: proto.String("no required IsExtension")},
	} {
		b, err := protobuf.Codec().Append([]byte("kept"), v)
		if string(b) != "kept" || err == nil || errors.Is(err, opcode.ErrPayload) {
			t.Errorf("%T: %q, %v", v, b, err)
		}
	}
}

func TestBadPayload(t *testing.T) {
	for _, c := range []struct {
		name string
		into proto.Message
		in   []byte
	}{
		{"tag alone", new(wrapperspb.StringValue), []byte{0x0a}},
		{"string longer than the payload", new(wrapperspb.StringValue), []byte{0x0a, 5, 'a', 'b'}},
		{"string of 2 GiB", new(wrapperspb.StringValue), []byte{0x0a, 0xff, 0xff, 0xff, 0xff, 7}},
		{"string that is not UTF-8", new(wrapperspb.StringValue), []byte{0x0a, 1, 0xff}},
		{"endless number", new(wrapperspb.UInt64Value), []byte{8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}},
		{"field number 0", new(emptypb.Empty), []byte{0, 1}},
		{"group that does not end", new(emptypb.Empty), []byte{0x0b}},
		{"end of no group", new(emptypb.Empty), []byte{0x0c}},
		{"required field missing", new(descriptorpb.UninterpretedOption_NamePart), nil},
		{"nested too deeply", new(structpb.Value), nested(t, depthLimit+1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := protobuf.Codec().Parse(c.in, c.into)
			if !errors.Is(err, opcode.ErrPayload) || errors.Is(err, opcode.ErrType) || !strings.HasPrefix(err.Error(), "protobuf: parse ") {
				t.Errorf("got %v; want ErrPayload", err)
			}
		})
	}
}

// nested returns the bytes of a chain of messages, levels deep: a Value with a list, which holds a Value, and so on.
func nested(t testing.TB, levels int) []byte {
	b, err := proto.Marshal(listOf(levels))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// listOf returns the same chain as a message. Value and ListValue take turns; the innermost is whichever it comes to.
func listOf(levels int) proto.Message {
	var v *structpb.Value
	l := &structpb.ListValue{}
	if levels%2 == 1 {
		v = structpb.NewNullValue()
	} else {
		v = structpb.NewListValue(l)
	}
	for n := 2 - levels%2; n < levels; n += 2 {
		v = structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{v}})
	}
	return v
}

// TestDepth: Append and Parse draw the line at the same depth, with lists and with maps, and Append survives a message that
// contains itself.
func TestDepth(t *testing.T) {
	c := protobuf.Codec()
	for levels := depthLimit - 3; levels <= depthLimit+3; levels++ {
		v := listOf(levels)
		_, appendErr := c.Append(nil, v)
		parseErr := c.Parse(nested(t, levels), new(structpb.Value))
		if (levels <= depthLimit) != (appendErr == nil) || (levels <= depthLimit) != (parseErr == nil) {
			t.Errorf("%d levels of lists: append %v, parse %v", levels, appendErr, parseErr)
		}
		if appendErr != nil && !errors.Is(appendErr, protobuf.ErrDepth) {
			t.Errorf("append: %v; want ErrDepth", appendErr)
		}
	}
	refused := 0
	for levels := 20; levels < 60; levels++ {
		v := &structpb.Struct{}
		for range levels {
			v = &structpb.Struct{Fields: map[string]*structpb.Value{"k": structpb.NewStructValue(v)}}
		}
		b, err := proto.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		_, appendErr := c.Append(nil, v)
		parseErr := c.Parse(b, new(structpb.Struct))
		if (appendErr == nil) != (parseErr == nil) {
			t.Errorf("%d levels of maps: append %v, parse %v", levels, appendErr, parseErr)
		}
		if appendErr != nil {
			refused++
		}
	}
	if refused == 0 || refused == 40 {
		t.Errorf("%d of 40 depths refused; the line is not among them", refused)
	}
	circle := &structpb.ListValue{}
	circle.Values = []*structpb.Value{structpb.NewListValue(circle)}
	if b, err := c.Append([]byte("kept"), circle); string(b) != "kept" || !errors.Is(err, protobuf.ErrDepth) {
		t.Errorf("a message in itself: %q, %v", b, err)
	}
}

// TestScalarMapDepth: a map counts as a level even where its values are no messages.
func TestScalarMapDepth(t *testing.T) {
	c := protobuf.Codec()
	v := &structpb.Struct{Fields: map[string]*structpb.Value{"k": structpb.NewNullValue()}}
	for levels := 0; levels < 2*depthLimit; levels++ {
		outer := proto.Message(wrapInLists(v, levels))
		b, err := proto.Marshal(outer)
		if err != nil {
			t.Fatal(err)
		}
		_, appendErr := c.Append(nil, outer)
		if parseErr := c.Parse(b, new(structpb.Value)); (appendErr == nil) != (parseErr == nil) {
			t.Fatalf("%d lists around a map: append %v, parse %v", levels, appendErr, parseErr)
		}
	}
}

func wrapInLists(s *structpb.Struct, levels int) *structpb.Value {
	v := structpb.NewStructValue(s)
	for range levels {
		v = structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{v}})
	}
	return v
}

// TestBombs: hostile bytes take no more memory than a fixed multiple of their number.
func TestBombs(t *testing.T) {
	const size = 1 << 20
	emptyValues := bytes.Repeat([]byte{0x0a, 0}, size/2)
	unknown := bytes.Repeat(protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 1), size/3)
	groups := append(bytes.Repeat([]byte{0x0b}, 5000), bytes.Repeat([]byte{0x0c}, 5000)...)
	for _, c := range []struct {
		name   string
		in     []byte
		into   proto.Message
		factor int
	}{
		{"bytes of 2 GiB", []byte{0x0a, 0xff, 0xff, 0xff, 0xff, 7}, new(wrapperspb.BytesValue), 1},
		{"list of empty messages", emptyValues, new(structpb.ListValue), 64},
		{"one map key again and again", emptyValues, new(structpb.Struct), 64},
		{"unknown fields", unknown, new(emptypb.Empty), 8},
		{"unknown groups inside one another", groups, new(emptypb.Empty), 64},
		{"a field set again and again", bytes.Repeat([]byte{8, 1}, size/2), new(durationpb.Duration), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if err := protobuf.Codec().Parse(c.in, c.into); err != nil && !errors.Is(err, opcode.ErrPayload) {
				t.Error(err)
			}
			runtime.ReadMemStats(&after)
			if grew, limit := after.TotalAlloc-before.TotalAlloc, uint64(c.factor*len(c.in)+64<<10); grew > limit {
				t.Errorf("%d bytes took %d bytes of memory, more than %d", len(c.in), grew, limit)
			}
		})
	}
}

// FuzzParse: what parses can be written, and what was written parses to an equal message and is written the same again; what
// does not parse is the peer's fault.
func FuzzParse(f *testing.F) {
	types := samples(f)
	for i, v := range types {
		b, err := proto.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), b)
	}
	c := protobuf.Codec()
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		v := fresh(types[int(which)%len(types)])
		if err := c.Parse(b, v); err != nil {
			if !errors.Is(err, opcode.ErrPayload) {
				t.Fatalf("%T: %v; want ErrPayload", v, err)
			}
			return
		}
		first, err := c.Append(nil, v)
		if err != nil {
			t.Fatalf("%T: %x parses but is not written: %v", v, b, err)
		}
		again := fresh(v)
		if err := c.Parse(first, again); err != nil {
			t.Fatalf("%T: %x is written as %x, which does not parse: %v", v, b, first, err)
		}
		second, err := c.Append(nil, again)
		if err != nil || !bytes.Equal(first, second) {
			t.Fatalf("%T: %x is written as %x and then as %x, %v", v, b, first, second, err)
		}
	})
}

func ExampleCodec() {
	r := opcode.NewRegistry()
	if _, err := r.Register(1000, &timestamppb.Timestamp{}, protobuf.Codec(), 64); err != nil {
		fmt.Println(err)
	}
	code, b, err := r.Append(nil, &timestamppb.Timestamp{Seconds: 300})
	fmt.Printf("%v %x %v\n", code, b, err)
	v, err := r.Parse(code, b)
	fmt.Println(v.(*timestamppb.Timestamp).Seconds, err)
	_, err = r.Parse(code, b[:1])
	fmt.Println(errors.Is(err, opcode.ErrPayload))
	// Output:
	// Opcode(1000) 08ac02 <nil>
	// 300 <nil>
	// true
}

// The message of the benchmarks has two short strings; the recursive one costs a walk to see how deep it is.
func BenchmarkAppend(b *testing.B) {
	c := protobuf.Codec()
	for name, v := range benchMessages(b) {
		b.Run(name, func(b *testing.B) {
			dst, err := c.Append(nil, v)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(dst)))
			b.ReportAllocs()
			for b.Loop() {
				if dst, err = c.Append(dst[:0], v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	c := protobuf.Codec()
	for name, v := range benchMessages(b) {
		b.Run(name, func(b *testing.B) {
			in, err := c.Append(nil, v)
			if err != nil {
				b.Fatal(err)
			}
			into := fresh(v)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				if err := c.Parse(in, into); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func benchMessages(b *testing.B) map[string]proto.Message {
	s, err := structpb.NewStruct(map[string]any{"seq": 7.0, "title": "12345678"})
	if err != nil {
		b.Fatal(err)
	}
	return map[string]proto.Message{
		"type=small":     &apipb.Mixin{Name: "12345678", Root: strings.Repeat("r", 40)},
		"type=recursive": s,
	}
}
