package framing_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/carrier-p2p/carrier/framing"
	"pgregory.net/rapid"
)

// record returns a record with a body of so many bytes.
func record(bodyLen int, fill byte) []byte {
	b := make([]byte, framing.RecordHeaderSize, framing.RecordHeaderSize+bodyLen)
	framing.PutRecordHeader(b, framing.KindFrames, bodyLen)
	return append(b, bytes.Repeat([]byte{fill}, bodyLen)...)
}

func TestRecordBounds(t *testing.T) {
	for _, c := range []struct {
		bodyLen int
		kind    byte
		want    error
	}{
		{0, 0, framing.ErrRecordTooShort},
		{framing.TagSize - 1, 0, framing.ErrRecordTooShort},
		{framing.TagSize, 0, nil},
		{framing.RecordGather, 0, nil},
		{framing.RecordBodyLimit, 0, nil},
		{framing.RecordBodyLimit + 1, 0, framing.ErrRecordTooLong},
		{1<<24 - 1, 0, framing.ErrRecordTooLong},
		{framing.TagSize, 1, framing.ErrRecordKind},
		{framing.TagSize, 255, framing.ErrRecordKind},
		{0, 7, framing.ErrRecordKind}, // what it is comes before how long it is
	} {
		b := []byte{byte(c.bodyLen), byte(c.bodyLen >> 8), byte(c.bodyLen >> 16), c.kind}
		total, err := framing.RecordLen(b)
		if !errors.Is(err, c.want) || c.want == nil && total != framing.RecordHeaderSize+c.bodyLen || c.want != nil && total != 0 {
			t.Errorf("length %d kind %d: RecordLen = %d, %v, want %v", c.bodyLen, c.kind, total, err, c.want)
		}
		if _, _, n, err := framing.NextRecord(b); !errors.Is(err, c.want) || n != 0 {
			t.Errorf("length %d kind %d: NextRecord of the header alone = %d, %v, want 0, %v", c.bodyLen, c.kind, n, err, c.want)
		}
	}
}

func TestRecordSlicesHaveNoRoomBehindTheirEnds(t *testing.T) {
	b := append(record(20, 1), record(20, 2)...)
	header, body, n, err := framing.NextRecord(b)
	if err != nil || n != 24 || cap(header) != 4 || cap(body) != 20 || &header[0] != &b[0] || &body[0] != &b[4] {
		t.Errorf("n=%d cap(header)=%d cap(body)=%d err=%v; both must alias b and end where they end", n, cap(header), cap(body), err)
	}
}

func TestKindString(t *testing.T) {
	if got := framing.KindFrames.String() + " " + framing.Kind(7).String(); got != "frames Kind(7)" {
		t.Errorf("got %q", got)
	}
}

// A cutter reads records the way a receiver does whose input comes in pieces: it carries what is not whole.
type cutter struct {
	carry  []byte
	bodies [][]byte
	kept   int // the most that was ever carried
}

func (c *cutter) feed(b []byte) error {
	c.carry = append(c.carry, b...)
	for {
		_, body, n, err := framing.NextRecord(c.carry)
		if err != nil {
			return err
		}
		if n == 0 {
			c.kept = max(c.kept, len(c.carry))
			return nil
		}
		c.bodies = append(c.bodies, bytes.Clone(body))
		c.carry = c.carry[n:]
	}
}

// The law: a stream gives the same records and the same error however it is cut, and what is carried between two pieces
// is less than the largest record.
func TestAnyCutsGiveTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream []byte
		for range rapid.IntRange(0, 4).Draw(t, "records") {
			size := rapid.OneOf(rapid.IntRange(16, 64), rapid.IntRange(16, framing.RecordBodyLimit)).Draw(t, "size")
			stream = append(stream, record(size, byte(size))...)
		}
		stream = append(stream, rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "tail")...)
		checkCuts(t, stream, func(left int) int { return rapid.IntRange(1, left).Draw(t, "cut") })
	})
}

func FuzzStream(f *testing.F) {
	f.Add([]byte{}, byte(1))
	f.Add(record(16, 1), byte(3))
	f.Add(append(record(28, 1), record(40, 2)...), byte(5))
	f.Add(append(record(28, 1), 0, 0, 0, 0), byte(1))
	f.Add([]byte{16, 0, 0, 1}, byte(2))
	f.Fuzz(func(t *testing.T, stream []byte, step byte) {
		checkCuts(t, stream, func(left int) int { return min(left, int(step)+1) })
	})
}

func checkCuts(t interface{ Fatalf(string, ...any) }, stream []byte, cut func(left int) int) {
	var whole, pieces cutter
	wantErr := whole.feed(stream)
	var err error
	for left := stream; len(left) > 0 && err == nil; {
		n := cut(len(left))
		err = pieces.feed(left[:n])
		left = left[n:]
	}
	if err != wantErr {
		t.Fatalf("in pieces: error %v, whole: %v", err, wantErr)
	}
	if len(pieces.bodies) != len(whole.bodies) {
		t.Fatalf("in pieces: %d records, whole: %d", len(pieces.bodies), len(whole.bodies))
	}
	for i := range whole.bodies {
		if !bytes.Equal(pieces.bodies[i], whole.bodies[i]) {
			t.Fatalf("record %d differs", i)
		}
	}
	if most := framing.RecordHeaderSize + framing.RecordBodyLimit - 1; pieces.kept > most {
		t.Fatalf("%d bytes carried, at most %d are needed", pieces.kept, most)
	}
}
