package codec_test

import (
	"bytes"
	"errors"
	"math"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/opcode/codec"
)

func ptr[T any](v T) *T { return &v }

// equal compares with unexported fields included and takes nil and empty for different things.
func equal(t testing.TB, what string, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmp.Exporter(func(reflect.Type) bool { return true }), cmp.Comparer(sameTime)); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func sameTime(a, b time.Time) bool { return a.Equal(b) }

// TestRoundTrip sends values of every kind through Append, by value and by pointer, and Parse.
func TestRoundTrip(t *testing.T) {
	le := codec.LittleEndian()
	for _, v := range samples() {
		t.Run(reflect.TypeOf(v).Elem().String(), func(t *testing.T) {
			b, err := le.Append([]byte("front"), v)
			if err != nil || !strings.HasPrefix(string(b), "front") {
				t.Fatalf("append: %x, %v", b, err)
			}
			byValue, err := le.Append(nil, reflect.ValueOf(v).Elem().Interface())
			if err != nil || string(byValue) != string(b[5:]) {
				t.Errorf("by value %x, by pointer %x, %v", byValue, b[5:], err)
			}
			got := reflect.New(reflect.TypeOf(v).Elem()).Interface()
			if err := le.Parse(b[5:], got); err != nil {
				t.Fatal(err)
			}
			equal(t, "round trip", v, got)
		})
	}
}

// samples returns a value of each type, in the form in which Parse gives it back.
func samples() []any {
	n := tree{Name: "root", Kids: []tree{{Name: "a", Kids: []tree{{}}}, {Name: "b"}}, Next: &tree{Next: &tree{Name: "end"}}}
	return []any{
		&fixed{1, 2, 3, 4, -5, true, [4]byte{6, 7, 8, 9}, math.Pi},
		&gaps{A: 1, B: 2, C: struct {
			X uint64
			Y uint8
		}{3, 4}, D: 5, E: 6},
		&ints{math.MinInt32, math.MaxUint32, [2]int{-1, 1}, []uint{0, 7}},
		&floats{math.MaxFloat32, []float64{0, math.Inf(-1), math.Copysign(0, -1)}, 1 + 2i, [2]complex128{-1i, 3}},
		&note{"grüß dich\x00\xff", []byte{0, 1, 2}, []string{"", "x", strings.Repeat("long", 100)}},
		&note{},
		&n,
		&nest{nil, nest{nil, nil}, nest{nest{nest{nil}}}},
		&maps{
			map[string]int16{"": 0, "b": -1, "aa": 1, "a": 2},
			map[int8]note{-128: {Text: "least"}, 0: {}, 127: {Tags: []string{"most"}}},
			map[bool]*uint32{false: nil, true: ptr(uint32(7))},
			map[[2]byte]map[uint16]string{{1, 0}: {256: "x", 1: "y"}, {0, 255}: nil},
			map[key]uint8{{Zone: -1}: 1, {Name: "z"}: 2, {Name: "zz"}: 3, {Hash: [3]byte{1}}: 4, {Pair: [2]uint64{0, 1}}: 5, {On: true}: 6},
		},
		&outer{
			Embedded: Embedded{9}, Left: inner{1, -1}, Right: &inner{2, -2},
			Corners: [2]struct {
				Name string
				At   inner
			}{{"a", inner{3, 3}}, {"b", inner{4, 4}}},
		},
		&stamped{
			time.Date(2024, 2, 29, 23, 59, 58, 999, time.UTC),
			[]netip.AddrPort{netip.MustParseAddrPort("198.51.100.7:4001"), netip.MustParseAddrPort("[2001:db8::1]:1")},
			map[uint8]netip.Addr{7: netip.MustParseAddr("192.0.2.1"), 1: netip.IPv6Loopback()},
		},
		&drawing{[]point{{1, 2}, {3, 4}}, "title", &point{5, 6}},
		&point{7, 8},
		ptr(word("alone")),
		ptr(time.Unix(12345, 678).UTC()),
		ptr("a string"), ptr([]byte("bytes")), ptr(uint16(0xabcd)), ptr(true), ptr([3]int8{-1, 0, 1}),
		ptr([]map[string]bool{nil, {"x": true}}),
		&struct{}{},
		ptr(map[struct{}]int8{{}: 1}),
		ptr([]*[]byte{nil, ptr([]byte{1}), ptr([]byte(nil))}),
	}
}

// TestLeftOut: fields with the tag are not sent, and come back zero whatever was there.
func TestLeftOut(t *testing.T) {
	le := codec.LittleEndian()
	v := &outer{inner: inner{1, 1}, Skipped: make(chan int), hidden: 7, Left: inner{X: 3}}
	b, err := le.Append(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	if err := le.Parse(b, v); err != nil {
		t.Fatal(err)
	}
	equal(t, "after parse", &outer{Left: inner{X: 3}}, v)
}

// TestParseReplaces: nothing of what the target held shines through, and its old slices are not written to.
func TestParseReplaces(t *testing.T) {
	le := codec.LittleEndian()
	old := []byte("old old old")
	v := &note{Text: "old", Data: old, Tags: []string{"old", "older"}}
	b, err := le.Append(nil, &note{Data: []byte("new")})
	if err != nil {
		t.Fatal(err)
	}
	if err := le.Parse(b, v); err != nil {
		t.Fatal(err)
	}
	equal(t, "after parse", &note{Data: []byte("new")}, v)
	if string(old) != "old old old" {
		t.Errorf("the old slice is now %q", old)
	}
	p := &point{1, 2}
	if err := le.Parse([]byte{1}, p); err == nil || *p != (point{}) {
		t.Errorf("self-coding: %v, %v", *p, err)
	}
}

// TestParseCopies: the value does not change with the buffer it came from.
func TestParseCopies(t *testing.T) {
	le := codec.LittleEndian()
	want := &note{"text", []byte("data"), []string{"tag"}}
	b, err := le.Append(nil, want)
	if err != nil {
		t.Fatal(err)
	}
	var got note
	if err := le.Parse(b, &got); err != nil {
		t.Fatal(err)
	}
	for i := range b {
		b[i] = 0xdb
	}
	equal(t, "after the buffer was used again", want, &got)
}

// TestAppendOnly: the bytes in front stay, room behind is used, and on an error the slice is as it was.
func TestAppendOnly(t *testing.T) {
	le := codec.LittleEndian()
	buf := make([]byte, 2, 100)
	b, err := le.Append(buf, &inner{1, 2})
	if err != nil || len(b) != 18 || &b[0] != &buf[0] {
		t.Errorf("%x, %v", b, err)
	}
	for _, v := range []any{nil, (*inner)(nil), (*point)(nil), &hasChan{}, &point{255, 0}, &drawing{Points: []point{{1, 1}, {255, 0}}}, &hasShrinker{}} {
		b, err := le.Append(buf, v)
		if err == nil || len(b) != 2 || &b[0] != &buf[0] {
			t.Errorf("%T: %x, %v", v, b, err)
		}
	}
}

// TestUncodable: each type that cannot travel is refused by Check, Append and Parse alike, and the error leads to the part
// that is in the way.
func TestUncodable(t *testing.T) {
	le := codec.LittleEndian()
	for _, c := range []struct {
		v    any
		says string
	}{
		{&hasChan{}, "hasChan.C: chan cannot be coded"},
		{&hasFunc{}, "hasFunc.F[]: func cannot be coded"},
		{&hasAny{}, "hasAny.M[]: interface cannot be coded"},
		{&hasUintptr{}, "hasUintptr.U: uintptr cannot be coded"},
		{&hasHidden{}, "hasHidden.b: unexported field; export it, or leave it out with `carrier:\"-\"`"},
		{&hasBlank{}, "hasBlank._: unexported field"},
		{&hasBig{}, "hasBig.N*.neg: unexported field"},
		{&hasFloatKey{}, "hasFloatKey.M[key]: float64 has no order"},
		{&hasArrayKey{}, "hasArrayKey.M[key]: float32 has no order"},
		{&hasPtrKey{}, "hasPtrKey.M[key]: *int has no order"},
		{&hasSelfKey{}, "netip.Addr codes itself and has no order"},
		{&hasSkipKey{}, "skipKey.B: a key with a field left out"},
		{&hasEmpties{}, "hasEmpties.L[]: elements that take no bytes"},
		{&hasEmptyArr{}, "hasEmptyArr.L[]: elements that take no bytes"},
		{&hasEmptyMap{}, "hasEmptyMap.M: a map whose keys and values take no bytes"},
		{&hasWriter{}, "writeOnly writes itself but has no UnmarshalBinary"},
		{&hasReader{}, "readOnly reads itself but has no AppendBinary"},
		{&embedsTime{}, "embeds time.Time, whose binary methods would hide the other fields"},
		{&embedsPtr{}, "embeds *codec_test.point"},
		{&deepChan{}, "deepChan.T[][]*.C: chan cannot be coded"},
		{ptr(any(1)), "interface"},
		{ptr(make(chan int)), "chan"},
	} {
		typ := reflect.TypeOf(c.v).Elem()
		t.Run(typ.String(), func(t *testing.T) {
			checkErr := le.(opcode.Checker).Check(typ)
			_, appendErr := le.Append(nil, c.v)
			parseErr := le.Parse(nil, c.v)
			for what, err := range map[string]error{"check": checkErr, "append": appendErr, "parse": parseErr} {
				if !errors.Is(err, opcode.ErrType) || errors.Is(err, opcode.ErrPayload) {
					t.Errorf("%s: %v; want ErrType", what, err)
				} else if !strings.HasPrefix(err.Error(), "codec: ") || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%s: %q does not say %q", what, err, c.says)
				}
			}
		})
	}
	for _, v := range samples() {
		if err := le.(opcode.Checker).Check(reflect.TypeOf(v).Elem()); err != nil {
			t.Errorf("check refuses a type that can be coded: %v", err)
		}
	}
}

// TestParseTarget: what is no pointer to a value cannot be parsed into.
func TestParseTarget(t *testing.T) {
	le := codec.LittleEndian()
	for _, v := range []any{nil, note{}, (*note)(nil), "text", []byte(nil)} {
		if err := le.Parse(nil, v); !errors.Is(err, opcode.ErrType) {
			t.Errorf("%T: %v", v, err)
		}
	}
}

// TestSelfCoding: the type's own error comes through, in both directions and inside another value; a bad encoding is the
// peer's fault, a value that will not be written is ours.
func TestSelfCoding(t *testing.T) {
	le := codec.LittleEndian()
	_, err := le.Append(nil, &point{255, 0})
	_, nested := le.Append(nil, &drawing{Center: &point{255, 0}})
	for _, err := range []error{err, nested} {
		if !errors.Is(err, errPoint) || errors.Is(err, opcode.ErrPayload) {
			t.Errorf("append: %v", err)
		}
	}
	err = le.Parse([]byte{255, 0}, new(point))
	nested = le.Parse([]byte{1, 0, 0, 0, 2, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0}, new(drawing))
	for _, err := range []error{err, nested} {
		if !errors.Is(err, errPoint) || !errors.Is(err, opcode.ErrPayload) {
			t.Errorf("parse: %v", err)
		}
	}
}

// chain returns a list of n trees, each the Next of the one before.
func chain(n int) *tree {
	var t *tree
	for range n {
		t = &tree{Next: t}
	}
	return t
}

// TestDepth: what nests too deeply is refused in both directions, at the same depth; so is a value that contains itself.
func TestDepth(t *testing.T) {
	const limit = 100
	le := codec.LittleEndian()
	b, err := le.Append(nil, chain(limit))
	if err != nil {
		t.Fatal(err)
	}
	if err := le.Parse(b, new(tree)); err != nil {
		t.Fatal(err)
	}
	if _, err := le.Append(nil, chain(limit+1)); !errors.Is(err, codec.ErrDepth) {
		t.Errorf("append: %v", err)
	}
	// Each level is an empty name, no kids and a 1 for the next; the last level has a 0.
	deeper := append([]byte{0, 0, 0, 0, 0, 0, 0, 0, 1}, b...)
	if err := le.Parse(deeper, new(tree)); !errors.Is(err, codec.ErrDepth) || !errors.Is(err, opcode.ErrPayload) {
		t.Errorf("parse: %v", err)
	}
	circle := &tree{}
	circle.Next = circle
	if _, err := le.Append(nil, circle); !errors.Is(err, codec.ErrDepth) {
		t.Errorf("a circle: %v", err)
	}
	snake := nest{nil}
	snake[0] = snake
	if _, err := le.Append(nil, snake); !errors.Is(err, codec.ErrDepth) {
		t.Errorf("a slice in itself: %v", err)
	}
}

// TestLengthLimit: nothing that could not be read is written.
func TestLengthLimit(t *testing.T) {
	le := codec.LittleEndian()
	for _, v := range []any{
		ptr(strings.Repeat("x", opcode.MaxPayloadLimit+1)),
		ptr(make([]bool, opcode.MaxPayloadLimit+1)),
		&drawing{Title: word(strings.Repeat("x", opcode.MaxPayloadLimit+1))},
	} {
		if _, err := le.Append(nil, v); !errors.Is(err, codec.ErrLength) || !errors.Is(err, opcode.ErrTooLarge) {
			t.Errorf("%T: %v", v, err)
		}
	}
	if b, err := le.Append(nil, ptr(make([]bool, opcode.MaxPayloadLimit))); err != nil || len(b) != opcode.MaxPayloadLimit+4 {
		t.Errorf("at the limit: %d bytes, %v", len(b), err)
	}
	in := append([]byte{1, 0, 0, 1}, make([]byte, opcode.MaxPayloadLimit+1)...)
	if err := le.Parse(in, new(string)); !errors.Is(err, codec.ErrLength) {
		t.Errorf("parse above the limit: %v", err)
	}
	if err := le.Parse(append([]byte{0, 0, 0, 1}, in[5:]...), new(string)); err != nil {
		t.Errorf("parse at the limit: %v", err)
	}
}

// TestConcurrentFirstUse: many goroutines meet all types for the first time at once; the race detector watches.
func TestConcurrentFirstUse(t *testing.T) {
	le := codec.LittleEndian()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, v := range samples() {
				b, err := le.Append(nil, v)
				if err != nil {
					t.Error(err)
				}
				if err := le.Parse(b, reflect.New(reflect.TypeOf(v).Elem()).Interface()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// TestAllocs holds what the files promise about memory, in both directions.
func TestAllocs(t *testing.T) {
	le := codec.LittleEndian()
	dst := make([]byte, 0, 4096)
	for _, c := range []struct {
		name          string
		v             any
		append, parse float64
	}{
		{"numbers", &fixed{F: true}, 0, 0},
		{"string, bytes and two tags", &note{"text", []byte("data"), []string{"aa", "bb"}}, 0, 5},
		{"tree of pointers and slices", &tree{Name: "root", Kids: []tree{{}, {}}, Next: &tree{}}, 0, 3},
		{"codes itself", &point{1, 2}, 0, 0},
		{"points that code themselves", &drawing{Points: []point{{1, 2}, {3, 4}}}, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b []byte
			if n := testing.AllocsPerRun(100, func() { b, _ = le.Append(dst, c.v) }); n != c.append {
				t.Errorf("append: %v allocations, promised %v", n, c.append)
			}
			got := reflect.New(reflect.TypeOf(c.v).Elem()).Interface()
			if n := testing.AllocsPerRun(100, func() {
				if err := le.Parse(b, got); err != nil {
					t.Error(err)
				}
			}); n != c.parse {
				t.Errorf("parse: %v allocations, promised %v", n, c.parse)
			}
		})
	}
}

// TestWords: an int has 8 bytes on every machine, and where memory has 4 of them a larger number is refused, not cut.
func TestWords(t *testing.T) {
	le := codec.LittleEndian()
	for _, c := range []struct {
		in   []byte
		into any
		fits int // bits that the number needs
	}{
		{[]byte{0, 0, 0, 0x80, 0xff, 0xff, 0xff, 0xff}, new(int), 32},
		{[]byte{0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0}, new(int), 32},
		{[]byte{0, 0, 0, 0x80, 0, 0, 0, 0}, new(int), 64},
		{[]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, new(uint), 32},
		{[]byte{0, 0, 0, 0, 1, 0, 0, 0}, new(uint), 64},
	} {
		err := le.Parse(c.in, c.into)
		if c.fits > strconv.IntSize {
			if !errors.Is(err, codec.ErrRange) || !errors.Is(err, opcode.ErrPayload) {
				t.Errorf("%T of %x: %v; want ErrRange", c.into, c.in, err)
			}
			continue
		}
		if b, appendErr := le.Append(nil, c.into); err != nil || appendErr != nil || !bytes.Equal(b, c.in) {
			t.Errorf("%T of %x: %v; written as %x, %v", c.into, c.in, err, b, appendErr)
		}
	}
}

// TestNaN: the bits of a NaN come through, also of a signalling one, which arithmetic would change.
func TestNaN(t *testing.T) {
	le := codec.LittleEndian()
	var v floats
	in := []byte{1, 0, 0xa0, 0x7f, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0xf4, 0xff}
	in = append(in, make([]byte, 8+32)...)
	if err := le.Parse(in, &v); err != nil {
		t.Fatal(err)
	}
	if b, err := le.Append(nil, &v); err != nil || !bytes.Equal(b, in) {
		t.Errorf("parsed %x\nwrote  %x, %v", in, b, err)
	}
}
