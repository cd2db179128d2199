package framing_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/internal/wire"
	"github.com/carrier-p2p/carrier/opcode"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite testdata from what the code does now")

// errorsByName are all that framing returns for what a peer sent.
var errorsByName = map[string]error{
	"ErrRecordTooLong":    framing.ErrRecordTooLong,
	"ErrRecordTooShort":   framing.ErrRecordTooShort,
	"ErrRecordKind":       framing.ErrRecordKind,
	"ErrFrameTruncated":   framing.ErrFrameTruncated,
	"ErrFrameTooLong":     framing.ErrFrameTooLong,
	"ErrFlags":            framing.ErrFlags,
	"ErrMessageTooLarge":  framing.ErrMessageTooLarge,
	"ErrFragmentNoID":     framing.ErrFragmentNoID,
	"ErrFragmentEmpty":    framing.ErrFragmentEmpty,
	"ErrFragmentMismatch": framing.ErrFragmentMismatch,
	"ErrFragmentsTooMany": framing.ErrFragmentsTooMany,
	"ErrFragmentsTooBig":  framing.ErrFragmentsTooBig,
}

var errIncomplete = errors.New("incomplete")

// A vector is one block of a file in testdata: bytes with their inputs, and what is to become of them.
type vector struct {
	name, why string
	frames    []framing.Frame
	messages  [][]byte
	records   [][]byte // bodies
	expect    string   // "ok", "incomplete", or the name of an error, with fault and fate
	at        int
	wire      []byte
	explained string
}

// TestVectors parses every vector, compares what comes out with the inputs or with the expected refusal and its place,
// writes good ones anew from their inputs, and compares the explanation. -update rewrites bytes of good vectors and
// explanations; the diff is for review.
func TestVectors(t *testing.T) {
	for _, file := range []struct {
		path string
		read func(vector) (at int, err error)
		dump func([]byte) string
	}{
		{"testdata/frames.txt", readFrames, framing.DumpFrames},
		{"testdata/streams.txt", readStream, framing.DumpStream},
	} {
		head, vectors := loadVectors(t, file.path)
		good, bad := 0, 0
		for i := range vectors {
			v := &vectors[i]
			if *update {
				if v.expect == "ok" {
					v.wire = v.write()
				}
				v.explained = file.dump(v.wire)
			}
			t.Run(v.name, func(t *testing.T) { checkVector(t, v, file.read, file.dump) })
			if v.expect == "ok" {
				good++
			} else {
				bad++
			}
		}
		if bad < good/2 || good < 4 {
			t.Errorf("%s: %d good and %d bad vectors; the bad are to be as many as the good", file.path, good, bad)
		}
		if *update {
			saveVectors(t, file.path, head, vectors)
		}
	}
}

func checkVector(t *testing.T, v *vector, read func(vector) (int, error), dump func([]byte) string) {
	if v.expect == "ok" {
		if got := v.write(); !bytes.Equal(got, v.wire) {
			t.Errorf("the inputs give\n%s\nwant\n%s", runs(got), runs(v.wire))
		}
	}
	at, err := read(*v)
	name, fate, _ := strings.Cut(v.expect, " ")
	want := errorsByName[name]
	switch {
	case v.expect == "incomplete":
		want = errIncomplete
	case v.expect != "ok" && (want == nil || fate != "peer close"):
		t.Fatalf("expect=%s is no expectation", v.expect)
	}
	if !errors.Is(err, want) || err != nil && at != v.at {
		t.Errorf("refused at %d: %v, want at %d: %v", at, err, v.at, want)
	}
	explained := dump(v.wire)
	if diff := cmp.Diff(strings.Split(v.explained, "\n"), strings.Split(explained, "\n")); diff != "" {
		t.Errorf("the explanation has changed (-want +got):\n%s", diff)
	}
	if want != nil && want != errIncomplete && !strings.Contains(explained, want.Error()) {
		t.Errorf("the explanation does not name the error %q:\n%s", want, explained)
	}
}

// write makes the bytes from the inputs.
func (v *vector) write() (b []byte) {
	for _, m := range v.messages {
		b = wire.AppendBytes16(b, m)
	}
	for _, body := range v.records {
		h := make([]byte, framing.RecordHeaderSize)
		framing.PutRecordHeader(h, framing.KindFrames, len(body))
		b = append(append(b, h...), body...)
	}
	for _, f := range v.frames {
		b = framing.AppendFrame(b, f)
	}
	return b
}

// readFrames takes the frames as an engine does, and compares them with the inputs if there are any.
func readFrames(v vector) (at int, err error) {
	var a framing.Assembler
	for i := 0; at < len(v.wire); i++ {
		f, n, err := framing.NextFrame(v.wire[at:])
		if err != nil {
			return at, err
		}
		if v.expect == "ok" {
			if i >= len(v.frames) {
				return at, fmt.Errorf("frame %d where %d are expected", i, len(v.frames))
			}
			if want := v.frames[i]; f.Op != want.Op || f.Flags != want.Flags || f.ID != want.ID || !bytes.Equal(f.Payload, want.Payload) {
				return at, fmt.Errorf("frame %d is %v %v %d, want %v %v %d", i, f.Op, f.Flags, f.ID, want.Op, want.Flags, want.ID)
			}
		}
		if _, _, err := a.Add(f, limitOf(f.Op)); err != nil {
			return at, err
		}
		at += n
	}
	return at, nil
}

// limitOf is what an engine passes to Assembler.Add at most.
func limitOf(op opcode.Opcode) int {
	if facts, ok := opcode.FactsOf(op); ok && op != opcode.UnregisteredCode {
		return facts.PayloadLimit
	}
	return opcode.MaxPayloadLimit
}

// readStream takes the records behind the handshake messages.
func readStream(v vector) (at int, err error) {
	for _, m := range v.messages {
		at += 2 + len(m)
	}
	for i := 0; at < len(v.wire); i++ {
		header, body, n, err := framing.NextRecord(v.wire[at:])
		if err != nil {
			return at, err
		}
		if n == 0 {
			return at, errIncomplete
		}
		if len(header) != framing.RecordHeaderSize || n != len(header)+len(body) {
			return at, fmt.Errorf("record %d of %d bytes has a header of %d and a body of %d", i, n, len(header), len(body))
		}
		if v.expect == "ok" && (i >= len(v.records) || !bytes.Equal(body, v.records[i])) {
			return at, fmt.Errorf("record %d is not the input", i)
		}
		at += n
	}
	return at, nil
}

// loadVectors reads a file: comments at its head, then blocks of key=value separated by empty lines.
func loadVectors(t testing.TB, path string) (head string, vectors []vector) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, blocks, ok := strings.Cut(string(text), "\n\n")
	if !ok {
		t.Fatalf("%s: no blocks", path)
	}
	for block := range strings.SplitSeq(blocks, "\n\n") {
		v := vector{at: -1}
		for line := range strings.Lines(strings.TrimSuffix(block, "\n") + "\n") {
			if rest, ok := strings.CutPrefix(line, "\t"); ok {
				v.explained += rest
				continue
			}
			key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			if err := v.set(key, value); err != nil {
				t.Fatalf("%s: %s: %s: %v", path, v.name, key, err)
			}
		}
		vectors = append(vectors, v)
	}
	return head, vectors
}

func (v *vector) set(key, value string) (err error) {
	switch key {
	case "name":
		v.name = value
	case "why":
		v.why = value
	case "expect":
		v.expect = value
	case "at":
		v.at, err = strconv.Atoi(value)
	case "frame":
		var f framing.Frame
		f, err = parseFrame(value)
		v.frames = append(v.frames, f)
	case "message":
		var m []byte
		m, err = unruns(value)
		v.messages = append(v.messages, m)
	case "record":
		kind, body, _ := strings.Cut(value, " ")
		if kind != "0" {
			return errors.New("only kind 0 can be written")
		}
		var b []byte
		b, err = unruns(body)
		v.records = append(v.records, b)
	case "hex":
		v.wire, err = unruns(value)
	case "explained", "":
	default:
		err = errors.New("unknown key")
	}
	return err
}

func parseFrame(s string) (f framing.Frame, err error) {
	parts := strings.SplitN(s, " ", 4)
	if len(parts) != 4 {
		return f, errors.New("want opcode, flags, id and payload")
	}
	op, err1 := strconv.ParseUint(parts[0], 10, 32)
	id, err2 := strconv.ParseUint(parts[2], 10, 32)
	f = framing.Frame{Op: opcode.Opcode(op), ID: uint32(id)}
	for bit := range 8 {
		if flag := framing.Flags(1 << bit); strings.Contains("|"+parts[1]+"|", "|"+flag.String()+"|") {
			f.Flags |= flag
		}
	}
	if f.Flags.String() != parts[1] {
		err = fmt.Errorf("flags %q", parts[1])
	}
	var err3 error
	f.Payload, err3 = unruns(parts[3])
	return f, errors.Join(err, err1, err2, err3)
}

func saveVectors(t *testing.T, path, head string, vectors []vector) {
	t.Helper()
	var out strings.Builder
	out.WriteString(head + "\n")
	for _, v := range vectors {
		fmt.Fprintf(&out, "\nname=%s\nwhy=%s\n", v.name, v.why)
		for _, f := range v.frames {
			fmt.Fprintf(&out, "frame=%d %v %d %s\n", uint32(f.Op), f.Flags, f.ID, runs(f.Payload))
		}
		for _, m := range v.messages {
			fmt.Fprintf(&out, "message=%s\n", runs(m))
		}
		for _, r := range v.records {
			fmt.Fprintf(&out, "record=0 %s\n", runs(r))
		}
		fmt.Fprintf(&out, "expect=%s\n", v.expect)
		if v.at >= 0 {
			fmt.Fprintf(&out, "at=%d\n", v.at)
		}
		fmt.Fprintf(&out, "hex=%s\nexplained=\n", runs(v.wire))
		for line := range strings.Lines(v.explained) {
			out.WriteString("\t" + line)
		}
	}
	if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// runs writes hex in which eight and more equal bytes stand as xx*N; "-" is nothing.
func runs(b []byte) string {
	if len(b) == 0 {
		return "-"
	}
	var out strings.Builder
	for len(b) > 0 {
		n := 1
		for n < len(b) && b[n] == b[0] {
			n++
		}
		if n >= 8 {
			fmt.Fprintf(&out, " %02x*%d ", b[0], n)
		} else {
			out.WriteString(strings.Repeat(hex.EncodeToString(b[:1]), n))
		}
		b = b[n:]
	}
	return strings.TrimSpace(strings.ReplaceAll(out.String(), "  ", " "))
}

// unruns reads what runs wrote; spaces mean nothing.
func unruns(s string) (b []byte, err error) {
	if s == "-" {
		return nil, nil
	}
	for word := range strings.FieldsSeq(s) {
		digits, times, repeated := strings.Cut(word, "*")
		part, err := hex.DecodeString(digits)
		n := 1
		if err == nil && repeated {
			n, err = strconv.Atoi(times)
		}
		if err != nil {
			return nil, err
		}
		b = append(b, bytes.Repeat(part, n)...)
	}
	return b, nil
}
