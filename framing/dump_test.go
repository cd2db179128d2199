package framing_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/carrier-p2p/carrier/framing"
)

// Dump finds out by itself what it has before it, and says so in its first line.
func TestDumpGuesses(t *testing.T) {
	for _, c := range []struct{ name, hex, want string }{
		{"nothing", "-", "0 bytes\n"},
		{"frames", "000000000a00000001000000 020000000a000000020000000102", "26 bytes, read as frames of one opened record"},
		{"records", "1c000000 c1*12 aa*16", "32 bytes, read as sealed records"},
		{"initiator", "2900 01*33 05*8 4000 02*64 1c000000 c1*28", "141 bytes, read as one direction of a connection, from its start"},
		{"initiator, message 1 only", "2900 01*33 05*8", "43 bytes, read as one direction of a connection, from its start"},
		{"responder", "6000 03*96 1c000000 c1*28", "130 bytes, read as one direction of a connection, from its start"},
		{"frames, then one that is wrong", "000000000a00000001000000 000000ff0a00000002000000", "24 bytes, read as frames of one opened record"},
		{"another protocol", "474554202f20485454502f312e310d0a", "16 bytes that are nothing whole:\nas a handshake:\n"},
	} {
		b, err := unruns(c.hex)
		if err != nil {
			t.Fatal(err)
		}
		if got := framing.Dump(b); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: got\n%swant it to begin\n%s", c.name, got, c.want)
		}
	}
}

// What is wrong with handshake messages is seen by no parser of this package, so it has its cases here.
func TestDumpOfBrokenGreetings(t *testing.T) {
	for _, c := range []struct {
		name, hex string
		want      []string
	}{
		{"other version", "2900 01*32 02 05*8",
			[]string{"0022  02 ", "version   2", "WRONG: handshake message 1 of another version", "0000  43 bytes from here on"}},
		{"message 3 too short", "2900 01*33 05*8 0100 02",
			[]string{"002b  handshake message 3", "WRONG: handshake message of an impossible length: message 3 has 64 to 4096 bytes", "002b  3 bytes from here on"}},
		{"message 2 too long", "0110 01 01*4095",
			[]string{"length    4097 bytes", "WRONG: handshake message of an impossible length: message 2 has 96 to 4096 bytes"}},
		{"message 1 incomplete", "2900 01*33 05*7", []string{"0000  42 bytes of something not whole yet: a receiver waits"}},
		{"message 3 incomplete", "2900 01*33 05*8 4000 02*63", []string{"002b  65 bytes of something not whole yet"}},
		{"length of message 3 incomplete", "2900 01*33 05*8 40", []string{"002b  1 byte of something not whole yet"}},
	} {
		b, err := unruns(c.hex)
		if err != nil {
			t.Fatal(err)
		}
		got := framing.Dump(b)
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: the explanation lacks %q:\n%s", c.name, want, got)
			}
		}
	}
}

// Where neither reading gets through its first item, DumpStream shows the one that got further into it.
func TestDumpStreamShowsTheBetterReading(t *testing.T) {
	for hex, want := range map[string]string{
		"2900 01*32 02 05*8": "handshake message 1 of another version",
		"1c000001 c1*28":     framing.ErrRecordKind.Error(),
	} {
		b, err := unruns(hex)
		if err != nil {
			t.Fatal(err)
		}
		if got := framing.DumpStream(b); !strings.Contains(got, "WRONG: "+want) {
			t.Errorf("%s: got\n%swant %q", hex, got, want)
		}
	}
}

func TestDumpOfPayloads(t *testing.T) {
	for _, c := range []struct{ name, hex, want string }{
		{"control characters are not printed", "020000000a0000000000000061 1b", "payload   2 bytes"},
		{"a text", "0200000064000000000000006869", `payload   "hi"`},
		{"a long text", "640000006400000000000000 6a*100", `" .. (100 bytes)`},
		{"not assigned", "000000002703000000000000", "opcode    807: not assigned; a receiver drops it"},
		{"close without a code", "020000000e000000000000000100", "payload   2 bytes"},
		{"close without a text", "040000000e0000000000000001000000", "text      empty"},
		{"terminal escapes in a text", "080000000e0000000000000001000000 1b5b324a", "text      4 bytes"},
		{"credit", "0800000014000000000000000104000000000000", "granted   1025 bytes in all"},
		{"credit in KiB", "0800000014000000000000000004000000000000", "granted   1 KiB in all"},
		{"a credit of another size", "070000001400000000000000 00*7", "payload   7 bytes"},
		{"code 0 takes anything", "020000000000000000000000ffff", "payload   2 bytes\n"},
		{"unfinished", "01000004e80300000500000061", "unfinished: Opcode(1000) with id 0x5, 1 byte so far"},
	} {
		b, err := unruns(c.hex)
		if err != nil {
			t.Fatal(err)
		}
		if got := framing.DumpFrames(b); !strings.Contains(got, c.want) || strings.Contains(got, "WRONG") {
			t.Errorf("%s: got\n%swant it to contain %q", c.name, got, c.want)
		}
	}
}

// The law: an explanation and the parsers never disagree about whether something is wrong, what it is and where; and the
// text has a bounded length for every byte explained.
func FuzzDump(f *testing.F) {
	for _, path := range []string{"testdata/frames.txt", "testdata/streams.txt"} {
		_, vectors := loadVectors(f, path)
		for _, v := range vectors {
			if len(v.wire) < 4096 {
				f.Add(v.wire)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		framing.Dump(b)
		agrees(t, framing.DumpFrames(b), b, readFrames)
		if !strings.Contains(framing.DumpStream(b), "handshake") {
			agrees(t, framing.DumpStream(b), b, readStream)
		}
	})
}

func agrees(t *testing.T, text string, b []byte, read func(vector) (int, error)) {
	at, err := read(vector{wire: b})
	if errors.Is(err, errIncomplete) {
		err = nil
	}
	if err == nil && strings.Contains(text, "WRONG") {
		t.Fatalf("nothing is wrong with %x, but:\n%s", b, text)
	}
	if err != nil && (!strings.Contains(text, "WRONG: "+err.Error()) || !strings.Contains(text, fmt.Sprintf("%04x  ", at))) {
		t.Fatalf("%x is refused at %#x with %q, but:\n%s", b, at, err, text)
	}
	if len(text) > 600+100*len(b) {
		t.Fatalf("%d bytes of text for %d bytes", len(text), len(b))
	}
}

func ExampleDump() {
	b, _ := hex.DecodeString("080000000a000000011000006361727269657221")
	fmt.Print(framing.Dump(b))
	// Output:
	// 20 bytes, read as frames of one opened record
	// 0000  frame: Ping
	//       0000  08 00 00                   length    8 bytes of payload
	//       0003  00                         flags     none
	//       0004  0a 00 00 00                opcode    10: Ping, answered by the engine
	//       0008  01 10 00 00                id        0x1001
	//       000c  63 61 72 72 69 65 72 21    payload   "carrier!"
}
