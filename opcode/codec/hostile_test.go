package codec_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/opcode/codec"
)

var update = flag.Bool("update", false, "rewrite testdata/good.txt")

// targets are the types, by the names that the files in testdata use.
func targets() map[string]any {
	m := map[string]any{}
	for _, v := range samples() {
		m[strings.ReplaceAll(reflect.TypeOf(v).Elem().String(), " ", "")] = reflect.New(reflect.TypeOf(v).Elem()).Interface()
	}
	return m
}

// TestGoodVectors compares the samples with their bytes on file: the encoding does not change by accident.
func TestGoodVectors(t *testing.T) {
	const file = "testdata/good.txt"
	le := codec.LittleEndian()
	var b bytes.Buffer
	fmt.Fprintln(&b, "# Encodings of the values that samples() in littleendian_test.go returns, in its order: type, then bytes.")
	for _, v := range samples() {
		enc, err := le.Append(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %x\n", strings.ReplaceAll(reflect.TypeOf(v).Elem().String(), " ", ""), enc)
	}
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	gotLines, wantLines := strings.Split(b.String(), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(gotLines), len(wantLines)) {
		if i >= len(gotLines) || i >= len(wantLines) || gotLines[i] != wantLines[i] {
			t.Fatalf("%s:%d differs; -update rewrites it\ngot  %q\nwant %q", file, i+1, gotLines[min(i, len(gotLines)-1)], wantLines[min(i, len(wantLines)-1)])
		}
	}
}

// TestBadVectors: each input of testdata/bad.txt is refused, for the reason and at the byte that stand beside it.
func TestBadVectors(t *testing.T) {
	reasons := map[string]error{
		"truncated": codec.ErrTruncated, "trailing": codec.ErrTrailing, "length": codec.ErrLength, "bool": codec.ErrBool,
		"order": codec.ErrOrder, "depth": codec.ErrDepth,
	}
	le, types := codec.LittleEndian(), targets()
	b, err := os.ReadFile("testdata/bad.txt")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for line := range strings.Lines(string(b)) {
		line, why, _ := strings.Cut(line, "#")
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		seen++
		if len(f) < 3 {
			t.Fatalf("%q: want type, reason, byte and hex", line)
		}
		v, reason := types[f[0]], reasons[f[1]]
		in, err := hex.DecodeString(strings.Join(f[3:], ""))
		if v == nil || reason == nil || err != nil {
			t.Fatalf("%q: type %v, reason %v, hex %v", line, v, reason, err)
		}
		err = le.Parse(in, v)
		if !errors.Is(err, opcode.ErrPayload) || !errors.Is(err, reason) || !strings.Contains(err.Error(), "byte "+f[2]+":") {
			t.Errorf("%s: got %v; want %s at byte %s (%s)", f[0], err, f[1], f[2], strings.TrimSpace(why))
		}
	}
	if seen == 0 {
		t.Fatal("no vectors")
	}
}

// TestFlips changes every byte of every sample in turn: the result is refused or, canonical as the encoding is, encodes to
// exactly the changed bytes. Cutting at every place is refused always.
func TestFlips(t *testing.T) {
	le := codec.LittleEndian()
	for _, v := range samples() {
		b, err := le.Append(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		into := reflect.New(reflect.TypeOf(v).Elem()).Interface()
		for i := range b {
			if _, ok := v.(*word); !ok && le.Parse(b[:i], into) == nil {
				t.Errorf("%T: the first %d of %d bytes parse", v, i, len(b))
			}
			for _, x := range []byte{1, 2, 0x80, 0xff} {
				b[i] ^= x
				checkCanonical(t, le, b, into)
				b[i] ^= x
			}
		}
	}
}

// checkCanonical is the law of Parse: refuse, as the peer's fault, or accept what appends back to the same bytes.
func checkCanonical(t testing.TB, le opcode.Codec, b []byte, into any) {
	t.Helper()
	err := le.Parse(b, into)
	if err != nil {
		if !errors.Is(err, opcode.ErrPayload) || errors.Is(err, opcode.ErrType) {
			t.Fatalf("%T: %x: %v; want ErrPayload", into, b, err)
		}
		return
	}
	if selfCoded(reflect.TypeOf(into)) {
		return // its canon is its own affair
	}
	again, err := le.Append(nil, into)
	if err != nil || !bytes.Equal(again, b) {
		t.Fatalf("%T\nparsed   %x\nappended %x, %v", into, b, again, err)
	}
}

// selfCoded reports whether values of this type from the standard library are inside, which read times and addresses that
// they would write differently.
func selfCoded(t reflect.Type) bool {
	return strings.Contains(t.String(), "stamped") || strings.Contains(t.String(), "time.")
}

// The types that bombs are aimed at: lengths inside lengths, and large values behind small promises.
type (
	bigFirst struct {
		Next *bigFirst
		Body [4096]byte
	}
	lists struct{ L [][][][][][]string }
	wide  struct {
		A, B, C, D []byte
		M          map[uint32][]map[string]string
	}
	bigMap struct{ M map[uint16]*bigMap }
)

// TestBombs: hostile inputs do not take more memory than a fixed multiple of their size, whatever they claim. The multiple
// allows for the shape of the type (24 bytes of memory for the 4 that an empty slice takes) and for growth.
func TestBombs(t *testing.T) {
	const size = 1 << 20
	le := codec.LittleEndian()
	for _, c := range []struct {
		name   string
		in     []byte
		into   any
		factor int
	}{
		{"slice claims 4 Gi", lengths(0xffffffff), new([]uint64), 0},
		{"string claims 4 Gi", lengths(0xffffffff), new(string), 0},
		{"map claims 16 Mi", lengths(16 << 20), new(map[uint32]uint64), 0},
		{"slice claims one byte more than there is", lengths(size - 3), new([]byte), 0},
		{"each of 100 slices claims all that remains", claims(size), new(nest), 8},
		{"each of 6 lists claims all that remains", claims(size), new(lists), 8},
		{"pointers to large values", bytes.Repeat([]byte{1}, size), new(bigFirst), 4},
		{"pointers to large values, not enough for one", bytes.Repeat([]byte{1}, 4096), new(bigFirst), 4},
		{"empty strings", append(lengths((size-4)/4), make([]byte, size-4)...), new([]string), 5},
		{"empty slices", append(lengths((size-4)/4), make([]byte, size-4)...), new([]note), 7},
		{"rising keys", risingKeys(size / 8), new(map[uint32][4]byte), 8},
		{"wide", bytes.Repeat([]byte{4, 0, 0, 0}, size/4), new(wide), 8},
		{"maps in maps", bytes.Repeat([]byte{1, 0, 0, 0, 0, 0, 1}, size/7), new(bigMap), 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			grew := allocated(func() {
				if err := le.Parse(c.in, c.into); err != nil && !errors.Is(err, opcode.ErrPayload) {
					t.Error(err)
				}
			})
			if limit := uint64(c.factor*len(c.in)) + 64<<10; grew > limit {
				t.Errorf("%d bytes took %d bytes of memory, more than %d", len(c.in), grew, limit)
			}
		})
	}
}

func lengths(n ...uint32) (b []byte) {
	for _, n := range n {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return b
}

// claims returns size bytes that are nothing but counts, each of as many 4-byte elements as the rest could hold.
func claims(size int) (b []byte) {
	for len(b) < size {
		b = append(b, lengths(uint32(size-len(b)-4)/4)...)
	}
	return b
}

func risingKeys(n int) []byte {
	b := lengths(uint32(n))
	for i := range n {
		b = append(b, lengths(uint32(i), 0)...)
	}
	return b
}

// allocated returns how many bytes f took from the heap, freed or not.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// FuzzParse: for every type of the samples, what parses appends back to the same bytes, what does not is the peer's fault, and
// the input is only read.
func FuzzParse(f *testing.F) {
	le := codec.LittleEndian()
	var types []reflect.Type
	for _, v := range append(samples(), new(bigMap), new(lists), new(wide)) {
		types = append(types, reflect.TypeOf(v).Elem())
		if b, err := le.Append(nil, v); err == nil {
			f.Add(uint8(len(types)-1), b)
		}
	}
	for i := range types {
		f.Add(uint8(i), claims(64))
	}
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		typ := types[int(which)%len(types)]
		into := reflect.New(typ).Interface()
		before := bytes.Clone(b)
		checkCanonical(t, le, b, into)
		if !bytes.Equal(b, before) {
			t.Fatalf("%v: the input was written to", typ)
		}
	})
}
