package msgpack_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	lib "github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"

	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/opcode/codec/msgpack"
)

const depthLimit = 100

type (
	scalars struct {
		B   bool
		I   int
		I8  int8
		I16 int16
		I32 int32
		I64 int64
		U   uint
		U8  uint8
		U16 uint16
		U32 uint32
		U64 uint64
		F32 float32
		F64 float64
		S   string
		D   time.Duration
	}
	note struct {
		Text    string `msgpack:"t"`
		Data    []byte `msgpack:",omitempty"`
		Tags    []string
		Hash    [4]byte
		Pairs   [2]uint16
		Skipped chan int `msgpack:"-"`
		hidden  int      `msgpack:"-"`
	}
	tree struct {
		Name string
		Kids []tree
		Next *tree
	}
	maps struct {
		A map[string]string
		B map[string]int
		C map[int8]note
		D map[[2]byte]map[bool]*uint32
		E map[string]bool
	}
	asArray struct {
		_msgpack struct{} `msgpack:",as_array"`
		X, Y     int32
	}
	Base  struct{ Kind uint8 }
	outer struct {
		Base
		Inner asArray
		Ptr   *asArray
	}
	loose struct {
		Any  any
		List []any
		Map  map[string]any
	}
	addrs struct {
		At  netip.AddrPort
		By  map[netip.Addr]uint8
		N   *big.Int
		Raw lib.RawMessage
		P   point
		Ps  map[string]*point
	}
)

// point codes itself, with methods on the pointer.
type point struct{ x, y int8 }

func (p *point) EncodeMsgpack(e *lib.Encoder) error { return e.EncodeMulti([]int8{p.x, p.y}) }

func (p *point) DecodeMsgpack(d *lib.Decoder) error {
	var xy []int8
	if err := d.Decode(&xy); err != nil {
		return err
	}
	if len(xy) != 2 {
		return errors.New("not a point")
	}
	p.x, p.y = xy[0], xy[1]
	return nil
}

func ptr[T any](v T) *T { return &v }

func samples() []any {
	return []any{
		&scalars{true, math.MinInt32, -128, -129, 1 << 30, math.MinInt64, math.MaxUint32, 255, 256, 1 << 31, math.MaxUint64, 1.5, -2.25, "grüß dich", time.Minute},
		&scalars{},
		&note{Text: "t", Data: []byte{0, 1}, Tags: []string{"", strings.Repeat("long", 100)}, Hash: [4]byte{1, 2, 3, 4}, Pairs: [2]uint16{5, 6}},
		&tree{Name: "root", Kids: []tree{{Name: "a", Kids: []tree{{}}}, {Name: "b"}}, Next: &tree{Next: &tree{}}},
		&maps{
			map[string]string{"": "", "k": "v"}, map[string]int{"x": -1}, map[int8]note{-1: {Text: "n"}},
			map[[2]byte]map[bool]*uint32{{1, 2}: {true: ptr(uint32(3)), false: nil}}, map[string]bool{"yes": true},
		},
		&outer{Base{7}, asArray{X: 1, Y: -1}, &asArray{X: 2}},
		&loose{Any: "s", List: []any{nil, true, int8(1), "x", []any{}, []byte{1}}, Map: map[string]any{"k": map[string]any{"k": 1.5}}},
		&addrs{
			netip.MustParseAddrPort("[2001:db8::1]:4001"), map[netip.Addr]uint8{netip.MustParseAddr("192.0.2.1"): 1},
			big.NewInt(-12345678901234), lib.RawMessage{0x91, 1}, point{1, -1}, map[string]*point{"p": {2, 3}, "none": nil},
		},
		&point{5, 6},
		ptr("text"), ptr([]byte("bytes")), ptr(uint16(300)), ptr([]string{"a"}), ptr(map[string]string{"a": "b"}), ptr([3]bool{true}),
		ptr([]tree{{}, {}}),
		&struct{}{},
	}
}

func fresh(v any) any { return reflect.New(reflect.TypeOf(v).Elem()).Interface() }

func equal(t testing.TB, want, got any) {
	t.Helper()
	sameInt := cmp.Comparer(func(a, b *big.Int) bool { return a == b || a != nil && b != nil && a.Cmp(b) == 0 })
	if d := cmp.Diff(want, got, cmp.Exporter(func(reflect.Type) bool { return true }), sameInt); d != "" {
		t.Errorf("%T (-want +got):\n%s", want, d)
	}
}

func TestRoundTrip(t *testing.T) {
	c := msgpack.Codec()
	for _, v := range samples() {
		b, err := c.Append([]byte("front"), v)
		if err != nil || !bytes.HasPrefix(b, []byte("front")) {
			t.Errorf("%T: %x, %v", v, b, err)
			continue
		}
		byValue, err := c.Append(nil, reflect.ValueOf(v).Elem().Interface())
		if err != nil || len(byValue) != len(b)-5 {
			t.Errorf("%T: by value %x, by pointer %x, %v", v, byValue, b[5:], err)
		}
		got := fresh(v)
		if err := c.Parse(b[5:], got); err != nil {
			t.Errorf("%T: %x: %v", v, b[5:], err)
			continue
		}
		equal(t, v, got)
		// The library alone reads what we write.
		alone := fresh(v)
		if err := lib.Unmarshal(b[5:], alone); err != nil {
			t.Errorf("%T: the library alone: %v", v, err)
		}
		equal(t, v, alone)
	}
}

// TestRoundTripMadeUp sends made-up values through a struct with every kind of field.
func TestRoundTripMadeUp(t *testing.T) {
	c := msgpack.Codec()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String()
		n := note{
			Text: text.Draw(t, "text"), Data: rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "data"),
			Tags: rapid.SliceOfN(text, 1, 20).Draw(t, "tags"), Pairs: [2]uint16{rapid.Uint16().Draw(t, "pair")},
		}
		v := &struct {
			S scalars
			N []note
			M map[uint64]*tree
			A map[string]any
		}{
			S: scalars{
				I: int(rapid.Int32().Draw(t, "i")), I8: rapid.Int8().Draw(t, "i8"), I64: rapid.Int64().Draw(t, "i64"), U16: rapid.Uint16().Draw(t, "u16"),
				U64: rapid.Uint64().Draw(t, "u64"), F32: rapid.Float32().Draw(t, "f32"), F64: rapid.Float64().Draw(t, "f64"), B: rapid.Bool().Draw(t, "b"),
			},
			N: []note{n, n},
			M: map[uint64]*tree{rapid.Uint64().Draw(t, "key"): {Name: n.Text, Next: &tree{}}, 1: nil},
			A: map[string]any{n.Text: n.Data, n.Text + "x": []any{n.Text, nil}},
		}
		b, err := c.Append(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		got := fresh(v)
		if err := c.Parse(b, got); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(any(v), got, cmp.Exporter(func(reflect.Type) bool { return true })); d != "" {
			t.Fatalf("-want +got:\n%s", d)
		}
	})
}

// TestGrowth: unknown names are passed over, missing ones are zero, whatever was there; so messages may grow fields.
func TestGrowth(t *testing.T) {
	c := msgpack.Codec()
	b, err := c.Append(nil, map[string]any{"new": []any{1, map[string]any{"x": "y"}}, "Name": "n"})
	if err != nil {
		t.Fatal(err)
	}
	v := &tree{Name: "old", Kids: []tree{{}}, Next: &tree{}}
	if err := c.Parse(b, v); err != nil {
		t.Fatal(err)
	}
	equal(t, &tree{Name: "n"}, v)
}

// TestParseCopies: the value does not change with the buffer it came from.
func TestParseCopies(t *testing.T) {
	c := msgpack.Codec()
	want := &note{Text: "text", Data: []byte("data"), Tags: []string{"tag"}}
	b, err := c.Append(nil, want)
	if err != nil {
		t.Fatal(err)
	}
	var got note
	if err := c.Parse(b, &got); err != nil {
		t.Fatal(err)
	}
	for i := range b {
		b[i] = 0xdb
	}
	equal(t, want, &got)
}

// TestNarrowing pins what the package comment warns of: the library cuts numbers to the field.
func TestNarrowing(t *testing.T) {
	var v struct{ N uint8 }
	if err := msgpack.Codec().Parse([]byte{0x81, 0xa1, 'N', 0xcd, 1, 44}, &v); err != nil || v.N != 44 {
		t.Errorf("%+v, %v", v, err)
	}
}

// Types that are refused, each for one reason.
type (
	hasTime    struct{ T *time.Time }
	hasChan    struct{ C []chan int }
	hasFunc    struct{ F func() }
	hasComplex struct{ C complex64 }
	hasUintptr struct{ U uintptr }
	hasError   struct{ E error }
	hasHidden  struct{ A, b int }
	hasPtrPtr  struct{ P **int }
	hasAnyKey  struct{ M map[any]int }
	hasDeepKey struct{ M map[[2]struct{ X any }]int }
	hasPtrKey  struct{ M map[*int]int }
	hasTwins   struct {
		A int `msgpack:"x"`
		B int `msgpack:"x"`
	}
	hasIntern struct {
		S string `msgpack:",intern"`
	}
	embedsPtr   struct{ *Base }
	embedsTime  struct{ netip.Addr }
	writesOnly  struct{ A int }
	crossed     struct{ A int }
	onValue     struct{ A int }
	inMap       struct{ M map[string]point }
	inMapStruct struct {
		M map[string]struct{ P [1]point }
	}
	selfPtr *selfPtr
)

func (writesOnly) MarshalBinary() ([]byte, error) { return nil, nil }
func (crossed) MarshalText() ([]byte, error)      { return nil, nil }
func (*crossed) UnmarshalBinary([]byte) error     { return nil }
func (onValue) MarshalText() ([]byte, error)      { return nil, nil }
func (onValue) UnmarshalText([]byte) error        { return nil }

// TestUncodable: each type that cannot travel is refused by Check, Append and Parse alike, and the error leads to the part
// that is in the way.
func TestUncodable(t *testing.T) {
	c := msgpack.Codec()
	for _, tc := range []struct {
		v    any
		says string
	}{
		{&hasTime{}, "hasTime.T*: time.Time travels as an extension"},
		{&time.Time{}, "time.Time travels as an extension"},
		{&hasChan{}, "hasChan.C[]: chan cannot be coded"},
		{&hasFunc{}, "hasFunc.F: func cannot be coded"},
		{&hasComplex{}, "complex64 cannot be coded"},
		{&hasUintptr{}, "uintptr cannot be coded"},
		{&hasError{}, "hasError.E: of interfaces only any"},
		{&hasHidden{}, "hasHidden.b: unexported field"},
		{&hasPtrPtr{}, "hasPtrPtr.P: a pointer to a pointer"},
		{&hasAnyKey{}, "hasAnyKey.M[key]: interface {} cannot be"},
		{&hasDeepKey{}, "hasDeepKey.M[key]: interface {} cannot be"},
		{&hasPtrKey{}, "hasPtrKey.M[key]: *int cannot be"},
		{&hasTwins{}, "hasTwins: fields A and B are both called \"x\""},
		{&hasIntern{}, "hasIntern.S: interned strings"},
		{&embedsPtr{}, "embedsPtr.Base: embedded pointer"},
		{&embedsTime{}, "embeds a type whose coding methods"},
		{&writesOnly{}, "written by MarshalBinary/UnmarshalBinary and read by field"},
		{&crossed{}, "written by MarshalText/UnmarshalText and read by MarshalBinary/UnmarshalBinary"},
		{&onValue{}, "reads itself with a method on the value"},
		{&inMap{}, "inMap.M[]: msgpack_test.point writes itself with a method on the pointer"},
		{&inMapStruct{}, "inMapStruct.M[].P[]: msgpack_test.point writes itself"},
		{new(selfPtr), "a pointer to a pointer"},
	} {
		typ := reflect.TypeOf(tc.v).Elem()
		checkErr := c.(opcode.Checker).Check(typ)
		_, appendErr := c.Append(nil, tc.v)
		parseErr := c.Parse([]byte{0xc0}, tc.v)
		for what, err := range map[string]error{"check": checkErr, "append": appendErr, "parse": parseErr} {
			if typ.Kind() == reflect.Pointer && what == "check" {
				continue // Check is not asked about pointers
			}
			if !errors.Is(err, opcode.ErrType) || errors.Is(err, opcode.ErrPayload) {
				t.Errorf("%v: %s: %v; want ErrType", typ, what, err)
			} else if !strings.HasPrefix(err.Error(), "msgpack: ") || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%v: %s: %q does not say %q", typ, what, err, tc.says)
			}
		}
	}
	for _, v := range samples() {
		if err := c.(opcode.Checker).Check(reflect.TypeOf(v).Elem()); err != nil {
			t.Errorf("check refuses a type that can be coded: %v", err)
		}
	}
}

// TestUnwritable: values that the other side could not read are refused when written, and the slice stays as it was.
func TestUnwritable(t *testing.T) {
	c := msgpack.Codec()
	circle := &tree{}
	circle.Next = circle
	var snake any
	snake = &snake
	list := []any{nil}
	list[0] = list
	m := map[string]any{}
	m["m"] = m
	for name, v := range map[string]any{
		"nil":                        nil,
		"nil pointer":                (*tree)(nil),
		"a value in itself":          circle,
		"a pointer to itself":        &loose{Any: snake},
		"a list in itself":           &loose{List: list},
		"a map in itself":            &loose{Map: m},
		"a time in an any":           &loose{Any: time.Unix(0, 0)},
		"a channel in an any":        &loose{List: []any{make(chan int)}},
		"a point in an any":          &loose{Any: point{}},
		"raw bytes of no value":      &addrs{Raw: lib.RawMessage{}, P: point{}},
		"raw bytes of an extension":  ptr(lib.RawMessage{0xd4, 5, 0}),
		"raw bytes of half a value":  ptr(lib.RawMessage{0x92, 1}),
		"too deep":                   nested(depthLimit + 1),
		"raw bytes that nest deeply": ptr(lib.RawMessage(append(bytes.Repeat([]byte{0x91}, 101), 1))),
	} {
		b, err := c.Append([]byte("kept"), v)
		if string(b) != "kept" || err == nil || errors.Is(err, opcode.ErrPayload) || !strings.HasPrefix(err.Error(), "msgpack: ") {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	b, err := c.Append(nil, nested(depthLimit))
	if err != nil {
		t.Fatalf("as deep as allowed: %v", err)
	}
	if err := c.Parse(b, new(tree)); err != nil {
		t.Errorf("as deep as allowed: %v", err)
	}
}

// nested returns trees, levels deep, each the Next of the one before.
func nested(levels int) *tree {
	var v *tree
	for range levels {
		v = &tree{Next: v}
	}
	return v
}

func TestBadPayload(t *testing.T) {
	c := msgpack.Codec()
	for _, tc := range []struct {
		name string
		in   []byte
		into any
		want error
	}{
		{"nothing", nil, new(tree), msgpack.ErrTruncated},
		{"half a name", []byte{0x81, 0xa4, 'N', 'a'}, new(tree), msgpack.ErrTruncated},
		{"a value more", []byte{0x80, 0xc0}, new(tree), msgpack.ErrTrailing},
		{"array of 32 Mi", []byte{0x81, 0xa4, 'K', 'i', 'd', 's', 0xdd, 2, 0, 0, 0}, new(tree), msgpack.ErrLength},
		{"bytes of 256 Mi", []byte{0xc6, 0x10, 0, 0, 0}, new([]byte), msgpack.ErrLength},
		{"time stamp for a map", []byte{0xd7, 0xff, 0xdf, 0, 0x10, 0, 0, 1, 1, 1}, new(map[string]any), msgpack.ErrExtension},
		{"too deep", append(bytes.Repeat([]byte{0x91}, 101), 1), new(any), msgpack.ErrDepth},
		{"byte that is never used", []byte{0xc1}, new(any), msgpack.ErrCode},
		{"number for a string", []byte{0x81, 0xa4, 'N', 'a', 'm', 'e', 7}, new(tree), nil},
		{"string for a struct", []byte{0xa1, 'x'}, new(tree), nil},
		{"float for a number", []byte{0xca, 0, 0, 0, 0}, new(int), nil},
		{"list of another length", []byte{0x93, 1, 2, 3}, new(asArray), nil},
		{"longer than the array", []byte{0x94, 1, 2, 3, 4}, new([3]int), nil},
		{"what the type itself refuses", []byte{0x91, 1}, new(point), nil},
		{"number for a name", []byte{0x81, 1, 1}, new(tree), nil},
		{"number for a key inside an any", []byte{0x81, 1, 1}, new(any), nil},
	} {
		err := c.Parse(tc.in, tc.into)
		if !errors.Is(err, opcode.ErrPayload) || errors.Is(err, opcode.ErrType) || tc.want != nil && !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v; want ErrPayload, %v", tc.name, err, tc.want)
		}
		// A decoder that failed must leave nothing behind for the next message.
		var v tree
		if err := c.Parse([]byte{0x81, 0xa4, 'N', 'a', 'm', 'e', 0xa1, 'n'}, &v); err != nil || v.Name != "n" {
			t.Fatalf("%s: the next message: %+v, %v", tc.name, v, err)
		}
	}
}

// careless reads less than its value, as a careless type may.
type careless struct{}

func (*careless) EncodeMsgpack(e *lib.Encoder) error { return e.EncodeMulti([]int{1, 2}) }
func (*careless) DecodeMsgpack(d *lib.Decoder) error { _, err := d.DecodeArrayLen(); return err }

func TestReadInPart(t *testing.T) {
	if err := msgpack.Codec().Parse([]byte{0x92, 1, 2}, new(careless)); !errors.Is(err, opcode.ErrPayload) {
		t.Errorf("got %v", err)
	}
}

func TestParseTarget(t *testing.T) {
	for _, v := range []any{nil, note{}, (*note)(nil), "text"} {
		if err := msgpack.Codec().Parse([]byte{0x80}, v); !errors.Is(err, opcode.ErrType) {
			t.Errorf("%T: %v", v, err)
		}
	}
}

// TestBombs: hostile bytes take no more memory than a fixed multiple of their number. A message whose parts take one byte
// each and are large in memory sets the multiple: 48 bytes for an empty map, twice over while a list of them grows.
func TestBombs(t *testing.T) {
	const size = 256 << 10
	c := msgpack.Codec()
	list := func(item ...byte) []byte {
		n := (size - 5) / len(item)
		return append([]byte{0xdd, 0, byte(n >> 16), byte(n >> 8), byte(n)}, bytes.Repeat(item, n)...)
	}
	for _, tc := range []struct {
		name   string
		in     []byte
		into   any
		factor int
	}{
		{"array of 4 Gi", []byte{0xdd, 0xff, 0xff, 0xff, 0xff}, new([]uint64), 0},
		{"map of 4 Gi", []byte{0xdf, 0xff, 0xff, 0xff, 0xff}, new(map[string]string), 0},
		{"string of 4 Gi", []byte{0xdb, 0xff, 0xff, 0xff, 0xff}, new(string), 0},
		{"arrays that all claim what remains", bytes.Repeat([]byte{0xdd, 0, 0xff, 0xff, 0xff}, size/5), new(any), 0},
		{"nils for structs", list(0xc0), new([]tree), 2 * int(reflect.TypeFor[tree]().Size())},
		{"nils for any", list(0xc0), new([]any), 40},
		{"empty maps for any", list(0x80), new(any), 120},
		{"one key again and again", append([]byte{0xdf, 0, 1, 0, 0}, bytes.Repeat([]byte{0xa0, 0xa0}, 1<<16)...), new(map[string]string), 80},
		{"empty strings", list(0xa0), new([]string), 40},
		{"empty names", append([]byte{0xdf, 0, 1, 0, 0}, bytes.Repeat([]byte{0xa0, 0xc0}, 1<<16)...), new(tree), 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if err := c.Parse(tc.in, tc.into); err != nil && !errors.Is(err, opcode.ErrPayload) {
				t.Error(err)
			}
			runtime.ReadMemStats(&after)
			grew, limit := after.TotalAlloc-before.TotalAlloc, uint64(tc.factor*len(tc.in)+64<<10)
			if grew > limit {
				t.Errorf("%d bytes took %d bytes of memory, more than %d", len(tc.in), grew, limit)
			}
		})
	}
}

func TestConcurrentUse(t *testing.T) {
	c := msgpack.Codec()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 10 {
				for _, v := range samples() {
					b, err := c.Append(nil, v)
					if err != nil {
						t.Error(err)
					}
					if err := c.Parse(b, fresh(v)); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
}

// FuzzParse: for every type of the samples, what parses can be written and read again, and is then written with as many bytes;
// what does not parse is the peer's fault. Nothing panics.
func FuzzParse(f *testing.F) {
	c := msgpack.Codec()
	types := samples()
	for i, v := range types {
		b, err := c.Append(nil, v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), b)
		f.Add(uint8(i), []byte{0xc0})
		f.Add(uint8(i), []byte{0x90})
	}
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		v := fresh(types[int(which)%len(types)])
		before := bytes.Clone(b)
		err := c.Parse(b, v)
		if !bytes.Equal(b, before) {
			t.Fatalf("%T: the input was written to", v)
		}
		if err != nil {
			if !errors.Is(err, opcode.ErrPayload) {
				t.Fatalf("%T: %x: %v; want ErrPayload", v, b, err)
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
		if err != nil || len(first) != len(second) {
			t.Fatalf("%T: %x is written as %x and then as %x, %v", v, b, first, second, err)
		}
	})
}

func ExampleCodec() {
	type Greeting struct {
		Text  string `msgpack:"text"`
		Times uint16 `msgpack:"times"`
	}
	r := opcode.NewRegistry()
	if _, err := r.Register(1000, Greeting{}, msgpack.Codec(), 4<<10); err != nil {
		fmt.Println(err)
	}
	code, b, err := r.Append(nil, &Greeting{"hi", 3})
	fmt.Printf("%v %q %v\n", code, b, err)
	v, err := r.Parse(code, b)
	fmt.Println(v.(*Greeting).Text, err)
	_, err = r.Parse(code, []byte{0xdd, 0xff, 0xff, 0xff, 0xff})
	fmt.Println(err)
	// Output:
	// Opcode(1000) "\x82\xa4text\xa2hi\xa5times\x03" <nil>
	// hi <nil>
	// msgpack: parse *msgpack_test.Greeting: byte 0: opcode: payload does not parse: msgpack: length above the bytes that remain
}

type small struct {
	ID    [32]byte
	Seq   uint64
	Kind  uint8
	Title string
}

func benchValues() map[string]any {
	return map[string]any{
		"type=small": &small{ID: [32]byte{1, 2, 3}, Seq: 1 << 40, Kind: 7, Title: "12345678"},
		"type=open":  &loose{Any: "12345678", Map: map[string]any{"seq": int64(1) << 40, "kind": 7}},
	}
}

func BenchmarkAppend(b *testing.B) {
	c := msgpack.Codec()
	for name, v := range benchValues() {
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
	c := msgpack.Codec()
	for name, v := range benchValues() {
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

// BenchmarkLibrary is the same message without the scan and the checks.
func BenchmarkLibrary(b *testing.B) {
	v := benchValues()["type=small"]
	in, err := lib.Marshal(v)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("append/type=small", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := lib.Marshal(v); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parse/type=small", func(b *testing.B) {
		into := fresh(v)
		b.ReportAllocs()
		for b.Loop() {
			if err := lib.Unmarshal(in, into); err != nil {
				b.Fatal(err)
			}
		}
	})
}
