package wire_test

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/carrier-p2p/carrier/internal/wire"
	"pgregory.net/rapid"
)

// The integers, for tests that do the same with each: all through uint64.
var integers = []struct {
	name    string
	size    int
	largest uint64
	append  func([]byte, uint64) []byte
	consume func([]byte) (uint64, int)
}{
	{"Uint8", 1, math.MaxUint8,
		func(b []byte, v uint64) []byte { return wire.AppendUint8(b, uint8(v)) },
		func(b []byte) (uint64, int) { v, n := wire.ConsumeUint8(b); return uint64(v), n }},
	{"Uint16", 2, math.MaxUint16,
		func(b []byte, v uint64) []byte { return wire.AppendUint16(b, uint16(v)) },
		func(b []byte) (uint64, int) { v, n := wire.ConsumeUint16(b); return uint64(v), n }},
	{"Uint24", 3, wire.Uint24Max,
		func(b []byte, v uint64) []byte { return wire.AppendUint24(b, uint32(v)) },
		func(b []byte) (uint64, int) { v, n := wire.ConsumeUint24(b); return uint64(v), n }},
	{"Uint32", 4, math.MaxUint32,
		func(b []byte, v uint64) []byte { return wire.AppendUint32(b, uint32(v)) },
		func(b []byte) (uint64, int) { v, n := wire.ConsumeUint32(b); return uint64(v), n }},
	{"Uint64", 8, math.MaxUint64, wire.AppendUint64, wire.ConsumeUint64},
}

// The byte strings, likewise.
var strs = []struct {
	name    string
	prefix  int
	append  func([]byte, []byte) []byte
	consume func([]byte, int) ([]byte, int)
}{
	{"Bytes8", 1, wire.AppendBytes8[[]byte], wire.ConsumeBytes8},
	{"Bytes16", 2, wire.AppendBytes16[[]byte], wire.ConsumeBytes16},
	{"Bytes32", 4, wire.AppendBytes32[[]byte], wire.ConsumeBytes32},
}

func TestLittleEndian(t *testing.T) {
	var b []byte
	b = wire.AppendUint8(b, 0x01)
	b = wire.AppendUint16(b, 0x0302)
	b = wire.AppendUint24(b, 0x060504)
	b = wire.AppendUint32(b, 0x0a090807)
	b = wire.AppendUint64(b, 0x1211100f0e0d0c0b)
	b = wire.AppendBytes8(b, "a")
	b = wire.AppendBytes16(b, "bc")
	b = wire.AppendBytes32(b, []byte("d"))
	want := "010203" + "040506" + "0708090a" + "0b0c0d0e0f101112" + "0161" + "02006263" + "0100000064"
	if got := fmt.Sprintf("%x", b); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// What is appended is consumed again, with whatever stands behind it; one byte less is Short.
func TestIntegersRoundTrip(t *testing.T) {
	for _, c := range integers {
		t.Run(c.name, rapid.MakeCheck(func(t *rapid.T) {
			want := rapid.Uint64Range(0, c.largest).Draw(t, "v")
			front := rapid.SliceOf(rapid.Byte()).Draw(t, "front")
			b := c.append(bytes.Clone(front), want)
			if len(b) != len(front)+c.size || !bytes.HasPrefix(b, front) {
				t.Fatalf("appending %d to % x gave % x", want, front, b)
			}
			tail := rapid.SliceOf(rapid.Byte()).Draw(t, "tail")
			if got, n := c.consume(append(b[len(front):], tail...)); got != want || n != c.size {
				t.Fatalf("consumed %d and %d bytes, want %d and %d", got, n, want, c.size)
			}
			cut := rapid.IntRange(0, c.size-1).Draw(t, "cut")
			if got, n := c.consume(b[len(front):][:cut]); got != 0 || n != wire.Short {
				t.Fatalf("%d of %d bytes: consumed %d, n=%d, want Short", cut, c.size, got, n)
			}
		}))
	}
}

func TestBytesRoundTrip(t *testing.T) {
	for _, c := range strs {
		t.Run(c.name, rapid.MakeCheck(func(t *rapid.T) {
			want := rapid.SliceOfN(rapid.Byte(), 0, 255).Draw(t, "v")
			b := c.append(nil, want)
			whole := len(b)
			b = append(b, rapid.SliceOf(rapid.Byte()).Draw(t, "tail")...)
			got, n := c.consume(b, 255)
			if !bytes.Equal(got, want) || n != whole || n != c.prefix+len(want) || cap(got) != len(got) {
				t.Fatalf("consumed % x (room for %d) and %d bytes, want % x and %d", got, cap(got), n, want, whole)
			}
			if got, n := c.consume(b, len(want)); !bytes.Equal(got, want) || n != whole {
				t.Fatalf("at exactly its limit: n=%d", n)
			}
			if got, n := c.consume(b, len(want)-1); got != nil || n != wire.Long {
				t.Fatalf("one above its limit: n=%d, want Long", n)
			}
			if got, n := c.consume(b[:c.prefix], len(want)-1); got != nil || n != wire.Long {
				t.Fatalf("one above its limit, bytes not there: n=%d, want Long", n)
			}
			cut := rapid.IntRange(0, whole-1).Draw(t, "cut")
			if got, n := c.consume(b[:cut], 255); got != nil || n != wire.Short {
				t.Fatalf("%d of %d bytes: n=%d, want Short", cut, whole, n)
			}
		}))
	}
}

// A length that is a lie costs nothing and is no negative number.
func TestLyingLengths(t *testing.T) {
	for _, c := range []struct {
		name  string
		b     string
		limit int
		want  int
	}{
		{"above the limit", "\xff\xff\xff\xffxx", 100, wire.Long},
		{"below a great limit, not there", "\xff\xff\xff\x7fxx", math.MaxInt, wire.Short},
		{"limit below zero", "\x00\x00\x00\x00", -1, wire.Long},
		{"nothing", "", 100, wire.Short},
	} {
		if v, n := wire.ConsumeBytes32([]byte(c.b), c.limit); n != c.want || v != nil {
			t.Errorf("%s: %q, n=%d, want %d", c.name, v, n, c.want)
		}
	}
}

func TestConsumeFixed(t *testing.T) {
	b := []byte("abcd")
	for size, want := range map[int]int{-1: wire.Short, 0: 0, 3: 3, 4: 4, 5: wire.Short} {
		v, n := wire.ConsumeFixed(b, size)
		if n != want || n >= 0 && (string(v) != "abcd"[:n] || cap(v) != n) || n < 0 && v != nil {
			t.Errorf("ConsumeFixed of %d: %q with room for %d, n=%d, want %d", size, v, cap(v), n, want)
		}
	}
}

func TestWhatDoesNotFitIsABug(t *testing.T) {
	for name, f := range map[string]func(){
		"Uint24":  func() { wire.AppendUint24(nil, wire.Uint24Max+1) },
		"Bytes8":  func() { wire.AppendBytes8(nil, make([]byte, 256)) },
		"Bytes16": func() { wire.AppendBytes16(nil, make([]byte, 65536)) },
	} {
		func() {
			defer func() {
				if v, ok := recover().(string); !ok || !strings.HasPrefix(v, "wire: bug:") {
					t.Errorf("%s: panicked with %v", name, v)
				}
			}()
			f()
			t.Errorf("%s: no panic", name)
		}()
	}
	if b := wire.AppendBytes16(wire.AppendBytes8(nil, make([]byte, 255)), make([]byte, 65535)); len(b) != 1+255+2+65535 {
		t.Errorf("the longest that fit take %d bytes", len(b))
	}
}

// The law: whatever is consumed appends back to exactly the bytes that were taken, and lies within b.
func FuzzConsume(f *testing.F) {
	f.Add([]byte{}, 10)
	f.Add([]byte("\x03abc"), 3)
	f.Add([]byte("\x03\x00\x00\x00abc"), 2)
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff"), 1<<30)
	f.Fuzz(func(t *testing.T, b []byte, limit int) {
		for _, c := range integers {
			if v, n := c.consume(b); n >= 0 && !bytes.Equal(c.append(nil, v), b[:n]) || n < 0 && len(b) >= c.size {
				t.Fatalf("%s of % x: %d, n=%d", c.name, b, v, n)
			}
		}
		for _, c := range strs {
			v, n := c.consume(b, limit)
			if n >= 0 && (len(v) > limit || !bytes.Equal(c.append(nil, v), b[:n])) || n < 0 && v != nil {
				t.Fatalf("%s of % x, limit %d: % x, n=%d", c.name, b, limit, v, n)
			}
		}
	})
}

func TestNoAllocations(t *testing.T) {
	buf, text, sum := make([]byte, 0, 256), "a string", 0
	n := testing.AllocsPerRun(100, func() {
		b := wire.AppendUint24(buf, 7)
		b = wire.AppendBytes8(b, text)
		b = wire.AppendBytes32(b, text)
		_, n := wire.ConsumeUint24(b)
		v, m := wire.ConsumeBytes8(b[n:], 100)
		w, _ := wire.ConsumeBytes32(b[n+m:], 100)
		sum += len(v) + len(w)
	})
	if n != 0 || sum == 0 {
		t.Errorf("%v allocations, promised 0", n)
	}
}
