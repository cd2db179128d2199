package msgpack

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
)

// TestScanFormats takes every first byte that MessagePack has, with a body that fits and with every shorter one.
func TestScanFormats(t *testing.T) {
	for first := range 256 {
		c := byte(first)
		body, want := bodyOf(c)
		b := append([]byte{c}, body...)
		if at, err := scan(b); !errors.Is(err, want) || want == nil && (err != nil || at != len(b)) {
			t.Errorf("%x: stopped at %d with %v; want %v", b, at, err, want)
		}
		if want != nil {
			continue
		}
		for cut := range len(b) {
			if _, err := scan(b[:cut]); !errors.Is(err, ErrTruncated) && !errors.Is(err, ErrLength) {
				t.Errorf("%x of %x: %v", b[:cut], b, err)
			}
		}
		if at, err := scan(append(b, 0xc0)); !errors.Is(err, ErrTrailing) || at != len(b) {
			t.Errorf("%x and a byte: stopped at %d with %v", b, at, err)
		}
	}
}

// bodyOf returns what may follow a first byte, as the MessagePack specification says, with three of whatever is counted.
func bodyOf(c byte) ([]byte, error) {
	nils := func(n int) []byte { return bytes.Repeat([]byte{0xc0}, n) }
	switch {
	case c == 0xc1:
		return nil, ErrCode
	case c >= 0xc7 && c <= 0xc9, c >= 0xd4 && c <= 0xd8:
		return bytes.Repeat([]byte{1}, 32), ErrExtension
	case c >= 0x80 && c <= 0x8f:
		return nils(2 * int(c-0x80)), nil
	case c >= 0x90 && c <= 0x9f:
		return nils(int(c - 0x90)), nil
	case c >= 0xa0 && c <= 0xbf:
		return nils(int(c - 0xa0)), nil
	}
	bodies := map[byte]string{
		0xc4: "03 aabbcc", 0xc5: "0003 aabbcc", 0xc6: "00000003 aabbcc",
		0xd9: "03 aabbcc", 0xda: "0003 aabbcc", 0xdb: "00000003 aabbcc",
		0xca: "00000000", 0xcb: "0000000000000000",
		0xcc: "ff", 0xcd: "ffff", 0xce: "ffffffff", 0xcf: "ffffffffffffffff",
		0xd0: "ff", 0xd1: "ffff", 0xd2: "ffffffff", 0xd3: "ffffffffffffffff",
		0xdc: "0003 c0c0c0", 0xdd: "00000003 c0c0c0", 0xde: "0003 c0c0c0c0c0c0", 0xdf: "00000003 c0c0c0c0c0c0",
	}
	b, err := hex.DecodeString(strings.ReplaceAll(bodies[c], " ", ""))
	return b, err
}

func TestScan(t *testing.T) {
	deep := func(levels int) []byte { return append(bytes.Repeat([]byte{0x91}, levels), 0xc0) }
	for _, c := range []struct {
		name string
		in   []byte
		at   int
		want error
	}{
		{"nothing", nil, 0, ErrTruncated},
		{"map in array in map", []byte{0x81, 0xa1, 'k', 0x92, 0x80, 0x81, 1, 2}, 8, nil},
		{"as deep as allowed", deep(depthLimit), depthLimit + 1, nil},
		{"one deeper", deep(depthLimit + 1), depthLimit + 1, ErrDepth},
		{"empty arrays do not count as deeper", append(bytes.Repeat([]byte{0x91}, depthLimit), 0x90), depthLimit + 1, nil},
		{"array of 4 Gi", []byte{0xdd, 0xff, 0xff, 0xff, 0xff}, 0, ErrLength},
		{"map of 4 Gi", []byte{0xdf, 0xff, 0xff, 0xff, 0xff, 0xc0, 0xc0}, 0, ErrLength},
		{"string of 4 Gi", []byte{0xdb, 0xff, 0xff, 0xff, 0xff, 'x'}, 0, ErrLength},
		{"bytes of 2 Gi", []byte{0xc6, 0x7f, 0xff, 0xff, 0xff, 'x'}, 0, ErrLength},
		{"map with a key too few", []byte{0xde, 0, 2, 1, 1, 2}, 3, ErrLength},
		{"short array of more than there is", []byte{0x92, 1}, 1, ErrLength},
		{"inner array takes what the outer needs", []byte{0x92, 0x92, 1, 1}, 4, ErrTruncated},
		{"two values", []byte{1, 2}, 1, ErrTrailing},
		{"extension inside an array", []byte{0x91, 0xd6, 0xff, 0, 0, 0, 0}, 1, ErrExtension},
		{"time stamp", []byte{0xd6, 0xff, 0, 0, 0, 0}, 0, ErrExtension},
		{"byte that is never used, inside", []byte{0x91, 0xc1}, 1, ErrCode},
	} {
		if at, err := scan(c.in); at != c.at || !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: stopped at %d with %v; want %d, %v", c.name, at, err, c.at, c.want)
		}
	}
}

func TestScanAllocs(t *testing.T) {
	b := append([]byte{0xdd, 0, 1, 0, 0}, bytes.Repeat([]byte{0x81, 0xa0, 0xc0}, 1<<16)...)
	if n := testing.AllocsPerRun(10, func() {
		if _, err := scan(b); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations, promised 0", n)
	}
}

// FuzzScan: scan and the library agree on where values end. What scan passes, the library skips to the last byte; what the
// library can skip to the last byte, scan passes, or it has one of the two things that only scan refuses.
func FuzzScan(f *testing.F) {
	for c := range 256 {
		body, _ := bodyOf(byte(c))
		f.Add(append([]byte{byte(c)}, body...))
	}
	f.Add([]byte{0x92, 0x92, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<10 {
			return // the library recurses, as deep as the input is long
		}
		at, err := scan(b)
		if at < 0 || at > len(b) {
			t.Fatalf("%x: stopped at %d", b, at)
		}
		in := bytes.NewReader(b)
		if err != nil && claimsMore(b) {
			return // the library would allocate what is claimed
		}
		skipErr := msgpack.NewDecoder(in).Skip()
		whole := skipErr == nil && in.Len() == 0
		if err == nil && !whole {
			t.Fatalf("%x passes, but the library has %d bytes left and %v", b, in.Len(), skipErr)
		}
		if err != nil && whole && !errors.Is(err, ErrExtension) && !errors.Is(err, ErrDepth) {
			t.Fatalf("%x: %v, but the library skips it", b, err)
		}
	})
}

// claimsMore reports whether some four bytes of b could be a length that the library would take memory for.
func claimsMore(b []byte) bool {
	for i := range b {
		if bytes.IndexByte([]byte{0xc6, 0xc9, 0xdb, 0xdd, 0xdf}, b[i]) >= 0 {
			return true
		}
	}
	return false
}
