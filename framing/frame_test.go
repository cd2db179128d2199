package framing_test

import (
	"bytes"
	"errors"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/opcode"
	"pgregory.net/rapid"
)

// frames draws frames that a sender may write.
func frames() *rapid.Generator[framing.Frame] {
	return rapid.Custom(func(t *rapid.T) framing.Frame {
		size := rapid.OneOf(rapid.IntRange(0, 100), rapid.IntRange(0, framing.FramePayloadLimit)).Draw(t, "size")
		return framing.Frame{
			Op:      opcode.Opcode(rapid.Uint32().Draw(t, "op")),
			Flags:   framing.Flags(rapid.IntRange(0, 15).Draw(t, "flags")),
			ID:      rapid.Uint32().Draw(t, "id"),
			Payload: bytes.Repeat([]byte{rapid.Byte().Draw(t, "fill")}, size),
		}
	})
}

func sameFrame(a, b framing.Frame) bool {
	return a.Op == b.Op && a.Flags == b.Flags && a.ID == b.ID && bytes.Equal(a.Payload, b.Payload)
}

// What is written is read again, frame for frame, and a header put in place is the one that is appended.
func TestFramesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(frames(), 0, 5).Draw(t, "frames")
		var b []byte
		for _, f := range want {
			header := make([]byte, framing.FrameHeaderSize)
			framing.PutFrameHeader(header, f.Op, f.Flags, f.ID, len(f.Payload))
			before := len(b)
			b = framing.AppendFrame(b, f)
			if !bytes.Equal(b[before:], append(header, f.Payload...)) {
				t.Fatalf("PutFrameHeader writes % x, AppendFrame % x", header, b[before:before+framing.FrameHeaderSize])
			}
		}
		for i, left := 0, b; len(left) > 0; i++ {
			f, n, err := framing.NextFrame(left)
			if err != nil || !sameFrame(f, want[i]) {
				t.Fatalf("frame %d: %v %v %d %d bytes, %v", i, f.Op, f.Flags, f.ID, len(f.Payload), err)
			}
			left = left[n:]
		}
	})
}

// An append to a payload must not write into the frame behind it.
func TestPayloadHasNoRoomBehindItsEnd(t *testing.T) {
	b := framing.AppendFrame(nil, framing.Frame{Op: 1, Payload: []byte("one")})
	b = framing.AppendFrame(b, framing.Frame{Op: 2, Payload: []byte("two")})
	before := bytes.Clone(b)
	f, _, err := framing.NextFrame(b)
	if err != nil || cap(f.Payload) != 3 {
		t.Fatalf("payload with room for %d, want 3 (%v)", cap(f.Payload), err)
	}
	_ = append(f.Payload, "overwritten"...)
	if !bytes.Equal(b, before) {
		t.Errorf("record is now % x, was % x", b, before)
	}
}

func TestFailedNextLeavesTheFrame(t *testing.T) {
	was := framing.Frame{Op: 7, Flags: framing.FlagReply, ID: 9, Payload: []byte("kept")}
	for _, bad := range []string{"", "short", "\xff\xff\xff\x00............", "\x00\x00\x00\x10............", "\x09\x00\x00\x00............"[:16]} {
		f := was
		if n, err := f.Next([]byte(bad)); err == nil || n != 0 || !sameFrame(f, was) {
			t.Errorf("Next(%q) = %d, %v and leaves %+v", bad, n, err, f)
		}
	}
}

func TestFlagsString(t *testing.T) {
	for flags, want := range map[framing.Flags]string{
		0:                                       "none",
		framing.FlagReply:                       "reply",
		framing.FlagMore | framing.FlagWantsAck: "wants-ack|more",
		framing.FlagCompressed | 0x80:           "compressed|0x80",
		0x30:                                    "0x30",
	} {
		if got := flags.String(); got != want {
			t.Errorf("Flags(%#x) prints %q, want %q", uint8(flags), got, want)
		}
	}
}

// mustBug runs f, which does what only a bug of ours can do, and checks that it panics as such.
func mustBug(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if v, ok := recover().(error); !ok || !strings.HasPrefix(v.Error(), "framing: bug:") {
			t.Errorf("%s: panicked with %v, want framing: bug: ...", what, v)
		}
	}()
	f()
	t.Errorf("%s: no panic", what)
}

func TestWritingWhatCannotBeReadIsABug(t *testing.T) {
	b := make([]byte, 16)
	mustBug(t, "payload above the limit", func() { framing.PutFrameHeader(b, 1, 0, 0, framing.FramePayloadLimit+1) })
	mustBug(t, "negative payload", func() { framing.PutFrameHeader(b, 1, 0, 0, -1) })
	mustBug(t, "unknown flag", func() { framing.PutFrameHeader(b, 1, 0x10, 0, 0) })
	mustBug(t, "appended payload above the limit", func() {
		framing.AppendFrame(nil, framing.Frame{Payload: make([]byte, framing.FramePayloadLimit+1)})
	})
	mustBug(t, "record without a tag", func() { framing.PutRecordHeader(b, framing.KindFrames, framing.TagSize-1) })
	mustBug(t, "negative record", func() { framing.PutRecordHeader(b, framing.KindFrames, -1) })
	mustBug(t, "record above the limit", func() { framing.PutRecordHeader(b, framing.KindFrames, framing.RecordBodyLimit+1) })
}

// The law: what parses appends back to the same bytes and lies within b, Next and NextFrame agree, and what does not
// parse is one of the three errors.
func FuzzNextFrame(f *testing.F) {
	f.Add([]byte{})
	f.Add(framing.AppendFrame(nil, framing.Frame{Op: opcode.PingCode, ID: 7, Payload: []byte("12345678")}))
	f.Add(framing.AppendFrame(nil, framing.Frame{Op: 1 << 31, Flags: framing.FlagMore | framing.FlagReply, ID: 1, Payload: []byte("x")}))
	f.Add([]byte{0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0, 0, 0, 0x1f, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, n, err := framing.NextFrame(b)
		var again framing.Frame
		n2, err2 := again.Next(b)
		if n != n2 || err != err2 || !sameFrame(got, again) {
			t.Fatalf("NextFrame: %+v %d %v, Next: %+v %d %v", got, n, err, again, n2, err2)
		}
		if err != nil {
			if !errors.Is(err, framing.ErrFrameTruncated) && !errors.Is(err, framing.ErrFrameTooLong) && !errors.Is(err, framing.ErrFlags) || n != 0 {
				t.Fatalf("n=%d, error %v", n, err)
			}
			return
		}
		if n < framing.FrameHeaderSize || n > len(b) || n != framing.FrameHeaderSize+len(got.Payload) || len(got.Payload) > framing.FramePayloadLimit {
			t.Fatalf("n=%d of %d with %d bytes of payload", n, len(b), len(got.Payload))
		}
		if back := framing.AppendFrame(nil, got); !bytes.Equal(back, b[:n]) {
			t.Fatalf("% x parses and appends back to % x", b[:n], back)
		}
	})
}

func TestFramesDoNotAllocate(t *testing.T) {
	rec := framing.AppendFrame(nil, framing.Frame{Op: 1000, ID: 1, Payload: make([]byte, 64)})
	rec = framing.AppendFrame(rec, framing.Frame{Op: 1000, ID: 2, Payload: make([]byte, 64)})
	out, sum := make([]byte, 0, 4096), 0
	var a framing.Assembler
	n := testing.AllocsPerRun(100, func() {
		out = out[:framing.RecordHeaderSize]
		framing.PutRecordHeader(out, framing.KindFrames, len(rec)+framing.TagSize)
		for left := rec; len(left) > 0; {
			f, n, err := framing.NextFrame(left)
			if err != nil {
				t.Fatal(err)
			}
			msg, done, err := a.Add(f, 1<<20)
			if err != nil || !done {
				t.Fatal(done, err)
			}
			sum += len(msg)
			out = framing.AppendFrame(out, f)
			left = left[n:]
		}
		out = out[:len(out)+framing.TagSize]
		_, body, _, err := framing.NextRecord(out)
		if err != nil || len(body) != len(rec)+framing.TagSize {
			t.Fatal(len(body), err)
		}
	})
	if n != 0 || sum == 0 {
		t.Errorf("%v allocations, promised 0", n)
	}
}

// The compiler is asked whether it still inlines what its comments promise.
func TestHotFunctionsInline(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil || testing.Short() {
		t.Skip("needs the go tool")
	}
	out, err := exec.Command(goTool, "build", "-gcflags=-m", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{`\(\*Frame\)\.Next`, `PutFrameHeader`, `AppendFrame`, `PutRecordHeader`, `RecordLen`} {
		if !regexp.MustCompile(`can inline ` + name + `\b`).Match(out) {
			t.Errorf("%s no longer inlines", name)
		}
	}
}
