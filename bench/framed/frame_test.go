package framed

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/carrier-p2p/carrier/bench/load"
)

type frame struct {
	ID      uint32
	Payload string
}

// frames are some of every kind: empty, small, as large as a buffer, larger, and one-way between requests.
func frames() (all []frame, stream []byte) {
	for i, size := range []int{0, 1, 64, 3, 4096 - HeaderSize, 4096, 5000, 70_000, 8} {
		f := frame{uint32(i % 3), string(bytes.Repeat([]byte{byte(i + 1)}, size))}
		all = append(all, f)
		stream = Append(stream, f.ID, []byte(f.Payload))
	}
	return all, stream
}

// Frames come out of the reader as they went in, however the reads are cut.
func TestFrameReader(t *testing.T) {
	want, stream := frames()
	for name, r := range map[string]io.Reader{
		"whole": bytes.NewReader(stream), "bytes": iotest.OneByteReader(bytes.NewReader(stream)), "halves": iotest.HalfReader(bytes.NewReader(stream)),
	} {
		reader := frameReader{r: bufio.NewReaderSize(r, 4096)}
		var got []frame
		for {
			id, payload, err := reader.next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got = append(got, frame{id, string(payload)})
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// Whether another whole frame is there decides when a server flushes: a part of one must not hold answers back.
func TestFrameReaderMore(t *testing.T) {
	one := Append(nil, 1, make([]byte, 10))
	for _, test := range []struct {
		name   string
		stream []byte
		want   bool
	}{
		{"nothing", nil, false}, {"a whole frame", one, true}, {"a header and a half", one[:12], false}, {"half a header", one[:4], false},
		{"nonsense", bytes.Repeat([]byte{0xFF}, 8), true}, // so that next gets to see it
	} {
		reader := frameReader{r: bufio.NewReaderSize(bytes.NewReader(append(bytes.Clone(one), test.stream...)), 4096)}
		if _, _, err := reader.next(); err != nil {
			t.Fatal(err)
		}
		if got := reader.more(); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// A frame that lies about its length is an error at once, a frame that ends early one at the end.
func TestBadFrames(t *testing.T) {
	var long [HeaderSize]byte
	putHeader(long[:], 1, load.SizeLimit+1)
	reader := frameReader{r: bufio.NewReader(bytes.NewReader(long[:]))}
	if _, _, err := reader.next(); !errors.Is(err, ErrFrame) {
		t.Errorf("too long: %v, want ErrFrame", err)
	}
	var c Carry
	if err := c.Feed(long[:], nil); !errors.Is(err, ErrFrame) {
		t.Errorf("too long: %v, want ErrFrame", err)
	}
	c = Carry{}
	for i := range long {
		if err := c.Feed(long[i:i+1], nil); i == len(long)-1 && !errors.Is(err, ErrFrame) || i < len(long)-1 && err != nil {
			t.Errorf("too long, after %d bytes: %v", i+1, err)
		}
	}
	whole := Append(nil, 1, make([]byte, 5000))
	for _, cut := range []int{1, HeaderSize, 100, len(whole) - 1} {
		reader := frameReader{r: bufio.NewReaderSize(bytes.NewReader(whole[:cut]), 4096)}
		if _, _, err := reader.next(); err == nil {
			t.Errorf("cut after %d bytes: no error", cut)
		}
	}
	refused := Carry{}
	if err := refused.Feed(whole, func(uint32, []byte) bool { return false }); !errors.Is(err, ErrFrame) {
		t.Errorf("refused: %v, want ErrFrame", err)
	}
}

// law: feeding a stream in any cuts gives the same frames as feeding it whole, and both end the same way.
func FuzzCarry(f *testing.F) {
	_, stream := frames()
	f.Add(stream[:300], []byte{1, 7, 40})
	f.Add(stream[:100], []byte{})
	f.Add(bytes.Repeat([]byte{0xFF}, 20), []byte{3})
	f.Add(append(Append(nil, 2, nil), Append(nil, 0, []byte("abc"))...), []byte{8, 1, 1, 1})
	f.Fuzz(func(t *testing.T, stream, cuts []byte) {
		collect := func(into *[]frame) func(uint32, []byte) bool {
			return func(id uint32, payload []byte) bool {
				*into = append(*into, frame{id, string(payload)})
				return true
			}
		}
		var whole, pieces []frame
		var c Carry
		wholeErr := c.Feed(stream, collect(&whole))
		c = Carry{}
		rest := stream
		var piecesErr error
		for _, n := range cuts {
			part := rest[:min(int(n), len(rest))]
			rest = rest[len(part):]
			if piecesErr = c.Feed(part, collect(&pieces)); piecesErr != nil {
				break
			}
		}
		if piecesErr == nil {
			piecesErr = c.Feed(rest, collect(&pieces))
		}
		if diff := cmp.Diff(whole, pieces); diff != "" || (wholeErr == nil) != (piecesErr == nil) {
			t.Errorf("whole: %v, in pieces: %v\n%s", wholeErr, piecesErr, diff)
		}
	})
}
