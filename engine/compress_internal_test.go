package engine

import (
	"errors"
	"testing"

	"github.com/klauspost/compress/s2"

	"github.com/carrier-p2p/carrier/framing"
)

// Law: whatever the bytes, no more memory is asked for than the limit and the ratio allow, inflating stays within it, and
// what a sender has compressed comes back.
func FuzzInflate(f *testing.F) {
	f.Add([]byte(nil), 100)
	f.Add(s2.Encode(nil, []byte("the loop owns the peer, the peer owns the loop, the loop owns the peer")), 1000)
	f.Add(s2.Encode(nil, make([]byte, 1<<20)), 1<<20)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f, 0}, 1<<20)
	f.Fuzz(func(t *testing.T, b []byte, limit int) {
		limit = limit & (1<<20 - 1)
		size, err := inflatedSize(b, limit)
		if err != nil {
			if !errors.Is(err, ErrCompressed) && !errors.Is(err, framing.ErrMessageTooLarge) {
				t.Fatalf("an error without a type: %v", err)
			}
		} else {
			if size > limit || size > inflateRatio*len(b) {
				t.Fatalf("%d bytes may become %d, limit %d", len(b), size, limit)
			}
			buf := make([]byte, size)
			if plain, err := s2.Decode(buf, b); err == nil && (len(plain) != size || size > 0 && &plain[0] != &buf[0]) {
				t.Fatalf("said to be %d, became %d", size, len(plain))
			}
		}
		packed := s2.Encode(nil, b)
		if n, err := inflatedSize(packed, len(b)); err == nil && n != len(b) || err != nil && len(b) <= inflateRatio*len(packed) {
			t.Fatalf("own block of %d bytes: %d, %v", len(b), n, err)
		}
	})
}
