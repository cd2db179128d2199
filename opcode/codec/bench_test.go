package codec_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/carrier-p2p/carrier/opcode/codec"
)

// small is the struct that all codecs of this library are measured with: 53 bytes here.
type small struct {
	ID    [32]byte
	Seq   uint64
	Kind  uint8
	Title string
}

func aSmall() *small { return &small{ID: [32]byte{1, 2, 3}, Seq: 1 << 40, Kind: 7, Title: "12345678"} }

// bySelf is small with its own methods.
type bySelf small

func (s *bySelf) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, s.ID[:]...)
	b = binary.LittleEndian.AppendUint64(b, s.Seq)
	b = append(b, s.Kind)
	return append(b, s.Title...), nil
}

func (s *bySelf) UnmarshalBinary(b []byte) error {
	if len(b) < 41 {
		return codec.ErrTruncated
	}
	copy(s.ID[:], b)
	s.Seq, s.Kind, s.Title = binary.LittleEndian.Uint64(b[32:]), b[40], string(b[41:])
	return nil
}

// flat is what encoding/binary can do as well, for comparison.
type flat struct {
	ID   [32]byte
	Seq  uint64
	Kind uint8
	X, Y float64
}

func BenchmarkAppend(b *testing.B) {
	le := codec.LittleEndian()
	numbers := make([]uint64, 1000)
	table := map[string]uint64{}
	for i := range 100 {
		table[string(rune('a'+i))] = uint64(i)
	}
	for _, c := range []struct {
		name string
		v    any
	}{
		{"type=small", aSmall()},
		{"type=small/self", (*bySelf)(aSmall())},
		{"type=flat", &flat{}},
		{"type=numbers/count=1000", &numbers},
		{"type=map/count=100", &table},
	} {
		b.Run(c.name, func(b *testing.B) {
			dst, err := le.Append(nil, c.v)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(dst)))
			b.ReportAllocs()
			for b.Loop() {
				if dst, err = le.Append(dst[:0], c.v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	le := codec.LittleEndian()
	numbers := make([]uint64, 1000)
	table := map[string]uint64{}
	for i := range 100 {
		table[string(rune('a'+i))] = uint64(i)
	}
	for _, c := range []struct {
		name    string
		v, into any
	}{
		{"type=small", aSmall(), new(small)},
		{"type=small/self", (*bySelf)(aSmall()), new(bySelf)},
		{"type=flat", &flat{}, new(flat)},
		{"type=numbers/count=1000", &numbers, new([]uint64)},
		{"type=map/count=100", &table, new(map[string]uint64)},
	} {
		b.Run(c.name, func(b *testing.B) {
			in, err := le.Append(nil, c.v)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				if err := le.Parse(in, c.into); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkStandard is encoding/binary on the one shape both can code.
func BenchmarkStandard(b *testing.B) {
	v := &flat{}
	dst, err := binary.Append(nil, binary.LittleEndian, v)
	if err != nil {
		b.Fatal(err)
	}
	ours, err := codec.LittleEndian().Append(nil, v)
	if err != nil || !bytes.Equal(ours, dst) {
		b.Fatalf("%x, %v; want %x", ours, err, dst)
	}
	b.Run("append/type=flat", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if dst, err = binary.Append(dst[:0], binary.LittleEndian, v); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parse/type=flat", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := binary.Decode(dst, binary.LittleEndian, v); err != nil {
				b.Fatal(err)
			}
		}
	})
}
