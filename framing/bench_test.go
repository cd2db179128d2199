package framing_test

import (
	"fmt"
	"testing"

	"github.com/carrier-p2p/carrier/framing"
)

// filled returns a record's worth of frames, and how many they are.
func filled(payload int) (rec []byte, n int) {
	for ; len(rec)+framing.FrameHeaderSize+payload <= max(framing.RecordGather, framing.FrameHeaderSize+payload); n++ {
		rec = framing.AppendFrame(rec, framing.Frame{Op: 1000, ID: uint32(n), Payload: make([]byte, payload)})
	}
	return rec, n
}

// perFrame reports the time of one of the n frames that an operation handles.
func perFrame(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/frame")
}

// walk is the loop of a receiver, with Next; its result depends on every field.
//
//go:noinline
func walk(rec []byte) (sum int) {
	var f framing.Frame
	for len(rec) > 0 {
		n, err := f.Next(rec)
		if err != nil {
			return -1
		}
		rec = rec[n:]
		sum += len(f.Payload) + int(f.Op) + int(f.ID) + int(f.Flags)
	}
	return sum
}

// walkByValue is walk with NextFrame.
//
//go:noinline
func walkByValue(rec []byte) (sum int) {
	for len(rec) > 0 {
		f, n, err := framing.NextFrame(rec)
		if err != nil {
			return -1
		}
		rec = rec[n:]
		sum += len(f.Payload) + int(f.Op) + int(f.ID) + int(f.Flags)
	}
	return sum
}

func BenchmarkNext(b *testing.B) {
	for _, payload := range []int{64, 1024, 65536} {
		for _, w := range []struct {
			name string
			walk func([]byte) int
		}{{"Frame.Next", walk}, {"NextFrame", walkByValue}} {
			b.Run(fmt.Sprintf("payload=%d/%s", payload, w.name), func(b *testing.B) {
				rec, n := filled(payload)
				for b.Loop() {
					if w.walk(rec) < 0 {
						b.Fatal("the record is broken")
					}
				}
				perFrame(b, n)
			})
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	payload := make([]byte, 64)
	b.Run("PutFrameHeader", func(b *testing.B) {
		rec, n := filled(len(payload))
		for b.Loop() {
			for i := range n {
				framing.PutFrameHeader(rec[i*76:], 1000, 0, uint32(i), len(payload))
			}
		}
		perFrame(b, n)
	})
	b.Run("payload=64/AppendFrame", func(b *testing.B) {
		rec, n := filled(len(payload))
		for b.Loop() {
			rec = rec[:0]
			for i := range n {
				rec = framing.AppendFrame(rec, framing.Frame{Op: 1000, ID: uint32(i), Payload: payload})
			}
		}
		perFrame(b, n)
	})
}

func BenchmarkNextRecord(b *testing.B) {
	rec := record(framing.RecordGather, 1)
	for b.Loop() {
		if _, _, n, err := framing.NextRecord(rec); n != len(rec) || err != nil {
			b.Fatal(n, err)
		}
	}
}

// BenchmarkAssembler joins a message of 1 MiB from 16 fragments; the bytes are copied twice on average.
func BenchmarkAssembler(b *testing.B) {
	part := make([]byte, framing.FramePayloadLimit)
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	for b.Loop() {
		var a framing.Assembler
		for i := range 16 {
			f := framing.Frame{Op: 1000, ID: 1, Flags: framing.FlagMore, Payload: part}
			if i == 15 {
				f.Flags = 0
			}
			if _, done, err := a.Add(f, 1<<20); err != nil || done != (i == 15) {
				b.Fatal(done, err)
			}
		}
	}
}
