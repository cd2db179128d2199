package framing_test

import (
	"testing"

	"github.com/carrier-p2p/carrier/framing"
)

var sink int

//go:noinline
func walk(rec []byte) (n, sum int, err error) {
	var f framing.Frame
	for off := 0; off < len(rec); n++ {
		used, err := f.Next(rec[off:])
		if err != nil {
			return n, sum, err
		}
		off += used
		sum += len(f.Payload) + int(f.Op)
	}
	return n, sum, nil
}

//go:noinline
func walk2(rec []byte) (n, sum int, err error) {
	var f framing.Frame
	for ; len(rec)> 0; n++ {
		used, err := f.Next(rec)
		if err != nil {
			return n, sum, err
		}
		rec = rec[used:]
		sum += len(f.Payload) + int(f.Op)
	}
	return n, sum, nil
}
func BenchmarkFrameNext(b *testing.B) {
	var rec []byte
	for i := 0; len(rec)+76 <= framing.RecordGather; i++ {
		rec = framing.AppendFrame(rec, framing.Frame{Op: 1000, ID: uint32(i), Payload: make([]byte, 64)})
	}
	n := 0
	b.ResetTimer()
	for b.Loop() {
		n, sink, _ = walk(rec)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/frame")
}
func BenchmarkFrameNext2(b *testing.B) {
	var rec []byte
	for i := 0; len(rec)+76 <= framing.RecordGather; i++ {
		rec = framing.AppendFrame(rec, framing.Frame{Op: 1000, ID: uint32(i), Payload: make([]byte, 64)})
	}
	n := 0
	b.ResetTimer()
	for b.Loop() {
		n, sink, _ = walk2(rec)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/frame")
}

func BenchmarkNextFrame(b *testing.B) {
	var rec []byte
	for i := 0; len(rec)+76 <= framing.RecordGather; i++ {
		rec = framing.AppendFrame(rec, framing.Frame{Op: 1000, ID: uint32(i), Payload: make([]byte, 64)})
	}
	n := 0
	b.ResetTimer()
	for b.Loop() {
		n = 0
		for left := rec; len(left) > 0; n++ {
			f, used, err := framing.NextFrame(left)
			if err != nil {
				b.Fatal(err)
			}
			left = left[used:]
			sink += len(f.Payload) + int(f.Op)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/frame")
}

func BenchmarkPut(b *testing.B) {
	rec := make([]byte, framing.RecordGather)
	n := 0
	b.ResetTimer()
	for b.Loop() {
		n = 0
		for off := 0; off+76 <= framing.RecordGather; n++ {
			framing.PutFrameHeader(rec[off:], 1000, 0, uint32(n), 64)
			off += 76
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/frame")
}
func BenchmarkAppend(b *testing.B) {
	rec := make([]byte, 0, framing.RecordGather)
	p := make([]byte, 64)
	n := 0
	b.ResetTimer()
	for b.Loop() {
		n = 0
		rec := rec[:0]
		for len(rec)+76 <= framing.RecordGather {
			rec = framing.AppendFrame(rec, framing.Frame{Op: 1000, ID: uint32(n), Payload: p})
			n++
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/frame")
}
