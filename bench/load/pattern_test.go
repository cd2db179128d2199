package load

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// What Put writes, Check accepts and reads back; with any one bit flipped, or another length, it does not.
func TestPatternRoundTrip(t *testing.T) {
	p := NewPattern()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.OneOf(rapid.IntRange(HeaderSize, 300), rapid.Just(64<<10)).Draw(t, "size")
		h := Header{
			Seq:    rapid.Uint64().Draw(t, "seq"),
			Stamp:  rapid.Int64().Draw(t, "stamp"),
			Stream: rapid.Uint32Range(0, markBit-1).Draw(t, "stream"),
			Mark:   rapid.Bool().Draw(t, "mark"),
		}
		msg := make([]byte, size)
		p.Put(msg, h)
		if got, ok := p.Check(msg); !ok || got != h {
			t.Fatalf("Check: %+v, %v; want %+v, true", got, ok, h)
		}
		bit := rapid.IntRange(0, size*8-1).Draw(t, "bit")
		msg[bit/8] ^= 1 << (bit % 8)
		if got, ok := p.Check(msg); ok {
			t.Fatalf("bit %d flipped, still accepted as %+v", bit, got)
		}
		msg[bit/8] ^= 1 << (bit % 8)
		if _, ok := p.Check(msg[:size-1]); ok {
			t.Fatal("accepted without its last byte")
		}
		if _, ok := p.Check(append(msg, 0)); ok {
			t.Fatal("accepted with a byte more")
		}
	})
}

// Contents of neighbours differ, so that the rest of an earlier message does not pass for this one's.
func TestPatternWindowsDiffer(t *testing.T) {
	p := NewPattern()
	for _, distance := range []uint64{1, 2, 3, 4, 8, 16, 32, 64, 128, 256, 1024, 4096} {
		a, b := make([]byte, 64), make([]byte, 64)
		p.Put(a, Header{Seq: 1000})
		p.Put(b, Header{Seq: 1000 + distance})
		if bytes.Equal(a[HeaderSize:], b[HeaderSize:]) {
			t.Errorf("messages %d apart have the same content", distance)
		}
	}
}

// law: Check never panics and never accepts anything that Put would not have written.
func FuzzPatternCheck(f *testing.F) {
	p := NewPattern()
	whole := make([]byte, 64)
	p.Put(whole, Header{Seq: 3, Stream: 1})
	for _, seed := range [][]byte{nil, whole, whole[:HeaderSize], whole[:63], bytes.Repeat([]byte{0xFF}, 64)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		h, ok := p.Check(msg)
		if !ok {
			return
		}
		again := make([]byte, len(msg))
		p.Put(again, h)
		if !bytes.Equal(again, msg) {
			t.Errorf("accepted %x, which Put writes as %x", msg, again)
		}
	})
}

// Making and checking a message allocates nothing; what it costs is BenchmarkPattern's to say.
func TestPatternAllocs(t *testing.T) {
	p := NewPattern()
	r := NewSink(p).Open()
	msg := make([]byte, 64)
	seq := uint64(0)
	if n := testing.AllocsPerRun(1000, func() {
		p.Put(msg, Header{Seq: seq})
		r.Message(msg)
		seq++
	}); n != 0 {
		t.Errorf("%v allocations for each message, promised 0", n)
	}
}

func BenchmarkPattern(b *testing.B) {
	p := NewPattern()
	for _, size := range []int{64, 1 << 10, 64 << 10} {
		msg := make([]byte, size)
		b.Run("put/size="+sizeName(size), func(b *testing.B) {
			b.SetBytes(int64(size))
			seq := uint64(0)
			for b.Loop() {
				p.Put(msg, Header{Seq: seq})
				seq++
			}
		})
		b.Run("receive/size="+sizeName(size), func(b *testing.B) {
			b.SetBytes(int64(size))
			messages := make([][]byte, 64)
			for i := range messages {
				messages[i] = make([]byte, size)
				p.Put(messages[i], Header{Seq: uint64(i)})
			}
			r := NewSink(p).Open()
			for b.Loop() {
				r.next %= 64
				r.Message(messages[r.next])
			}
		})
	}
}

func sizeName(n int) string {
	return map[int]string{64: "64", 1 << 10: "1KiB", 64 << 10: "64KiB"}[n]
}
