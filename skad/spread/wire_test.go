package spread

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"reflect"
	"strings"
	"testing"

	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/internal/vectors"
	"github.com/carrier-p2p/carrier/opcode"
)

var update = flag.Bool("update", false, "rewrite what the vectors expect")

// zeroPuzzle asks for nothing.
var zeroPuzzle = identity.Puzzle{}

const vectorDomain = domainPrefix + "carrier-vectors"

func realIdentity(t testing.TB, seed byte) *identity.Identity {
	t.Helper()
	id, err := identity.FromSeed(context.Background(), [32]byte{seed}, zeroPuzzle)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// message makes the message that the inputs of a block describe.
func message(t *testing.T, b *vectors.Block) Message {
	m := Message{Op: opcode.Opcode(b.Number(t, "op"))}
	for v := range strings.FieldsSeq(b.Value["ids"]) {
		id, err := hex.DecodeString(v)
		if err != nil {
			t.Fatal(err)
		}
		m.IDs = append(m.IDs, MessageID(id))
	}
	if m.Op != opcode.BroadcastCode {
		return m
	}
	id := realIdentity(t, byte(b.Number(t, "origin")))
	m.Hop, m.Height = uint8(b.Number(t, "hop")), uint8(b.Number(t, "height"))
	m.Origin, m.Seq, m.Payload = id.PublicKey(), b.Number(t, "seq"), b.Bytes(t, "payload")
	for i, x := 0, b.Number(t, "solution"); i < 8; i++ {
		m.Solution[24+i] = byte(x >> (56 - 8*i))
	}
	sum := hashOf(&m)
	m.ID, m.Signature = MessageID(sum[:16]), id.Sign(vectorDomain, sum[:])
	return m
}

// spoil changes the bytes of another vector as a block says, also in ways of this package's own.
func spoil(t *testing.T, b *vectors.Block, wire []byte) []byte {
	wire = b.Spoil(t, wire)
	if b.Value["rename"] != "" {
		sum := identity.Hash(wire[90:])
		copy(wire[2:], sum[:16])
	}
	wire = bytes.Repeat(wire, max(1, int(b.Number(t, "times"))))
	return append(wire, make([]byte, b.Number(t, "fill"))...)
}

// TestVectors: every good message of testdata/messages.txt is written as its bytes, read back, and believed; every bad
// one is refused, by the error it names.
func TestVectors(t *testing.T) {
	file := vectors.Read(t, "testdata/messages.txt")
	file.Weigh(t, 8)
	wires := map[string][]byte{}
	believed := Origins(zeroPuzzle)
	for _, b := range file.Blocks {
		t.Run(b.Name(), func(t *testing.T) {
			op := opcode.Opcode(b.Number(t, "op"))
			if b.Good() {
				m := message(t, b)
				wire := m.Append(nil)
				if *update {
					b.Set("hex", hex.EncodeToString(wire))
				}
				wires[b.Name()] = wire
				if got := hex.EncodeToString(wire); got != b.Value["hex"] {
					t.Errorf("written as\n%s, want\n%s", got, b.Value["hex"])
				}
				back, err := ParseMessage(op, b.Bytes(t, "hex"), nil)
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(back, m) {
					t.Errorf("read as\n%+v, want\n%+v", back, m)
				}
				if op == opcode.BroadcastCode {
					if err := believed.Verify(vectorDomain, &back); err != nil {
						t.Errorf("not believed: %v", err)
					}
				}
				return
			}
			if wires[b.Value["like"]] == nil {
				t.Fatalf("no vector %q before this", b.Value["like"])
			}
			wire := spoil(t, b, wires[b.Value["like"]])
			if len(wire) > 1024 { // not worth storing: the inputs say it all
				delete(b.Value, "hex")
			} else {
				if *update {
					b.Set("hex", hex.EncodeToString(wire))
				}
				wire = b.Bytes(t, "hex")
			}
			m, err := ParseMessage(op, wire, nil)
			if b.Value["expect"] == "ErrMessage" {
				if !errors.Is(err, ErrMessage) || !reflect.DeepEqual(m, Message{}) {
					t.Errorf("accepted as %+v, error %v", m, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]error{"ErrID": ErrID, "ErrSignature": ErrSignature}[b.Value["expect"]]
			if err := believed.Verify(vectorDomain, &m); want == nil || !errors.Is(err, want) {
				t.Errorf("the Verifier says %v, want %s", err, b.Value["expect"])
			}
		})
	}
	if *update {
		file.Save(t)
	}
}

// TestMessagesFitTheirOpcodes: the largest of each is within the limit of its opcode, and the largest Broadcast fills
// it.
func TestMessagesFitTheirOpcodes(t *testing.T) {
	ids := make([]MessageID, IDLimit)
	for i := range ids {
		ids[i][0] = byte(i + 1)
	}
	full := Message{Op: opcode.BroadcastCode, ID: ids[0], Seq: 1, Payload: make([]byte, PayloadLimit)}
	for _, m := range []Message{full, {Op: opcode.BroadcastHaveCode, IDs: ids}, {Op: opcode.BroadcastWantCode, IDs: ids}} {
		facts, _ := opcode.FactsOf(m.Op)
		wire := m.Append(nil)
		if len(wire) > facts.PayloadLimit || m.Op == opcode.BroadcastCode && len(wire) != facts.PayloadLimit {
			t.Errorf("%v: %d bytes, limit %d", m.Op, len(wire), facts.PayloadLimit)
		}
		if _, err := ParseMessage(m.Op, wire, nil); err != nil {
			t.Error(err)
		}
	}
	if wire := (&Message{Op: opcode.PingCode}).Append(nil); len(wire) != 0 {
		t.Errorf("a message of another opcode is written as %x", wire)
	}
}

// TestOrigins: the Verifier of a network wants the hash, the work and the signature, in this order; and a core over it
// takes what another has sent, from an origin that has done the work, and nothing else.
func TestOrigins(t *testing.T) {
	puzzle := identity.Puzzle{StaticBits: 2, DynamicBits: 2}
	id, err := identity.Generate(context.Background(), puzzle, identity.GenerateOptions{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	m := Message{Op: opcode.BroadcastCode, Hop: 1, Origin: id.PublicKey(), Solution: id.Solution(), Seq: 1, Payload: []byte("x")}
	sum := hashOf(&m)
	m.ID, m.Signature = MessageID(sum[:16]), id.Sign(domainPrefix, sum[:])
	back, err := ParseMessage(m.Op, m.Append(nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := Origins(puzzle).Verify(domainPrefix, &back); err != nil {
		t.Error(err)
	}
	if err := Origins(identity.Puzzle{StaticBits: 2, DynamicBits: 40}).Verify(domainPrefix, &back); !errors.Is(err, identity.ErrPuzzle) {
		t.Errorf("without the work: %v", err)
	}
	if err := Origins(puzzle).Verify(domainPrefix+"other", &back); !errors.Is(err, ErrSignature) {
		t.Errorf("in another network: %v", err)
	}
	back.Payload = []byte("y")
	if err := Origins(identity.Puzzle{StaticBits: 2, DynamicBits: 40}).Verify(domainPrefix, &back); !errors.Is(err, ErrID) {
		t.Errorf("another payload: %v", err)
	}
}

// FuzzParseMessage. Law: what parses appends back to the same bytes, within the limits; what does not is ErrMessage and
// comes with nothing; ids go where the caller wants them.
func FuzzParseMessage(f *testing.F) {
	for _, m := range []Message{
		{Op: opcode.BroadcastCode, Hop: 1, ID: MessageID{1}, Seq: 1, Payload: []byte("hello")},
		{Op: opcode.BroadcastCode, Height: 255, ID: MessageID{1}, Seq: 1 << 63},
		have(MessageID{1}, MessageID{2}), wish(MessageID{3}),
	} {
		f.Add(uint32(m.Op), m.Append(nil))
	}
	f.Fuzz(func(t *testing.T, op uint32, b []byte) {
		room := make([]MessageID, 1, 4)
		m, err := ParseMessage(opcode.Opcode(op), b, room)
		if err != nil {
			if !errors.Is(err, ErrMessage) || !reflect.DeepEqual(m, Message{}) {
				t.Fatalf("error %v with %+v", err, m)
			}
			return
		}
		if again := m.Append(nil); !bytes.Equal(again, b) {
			t.Fatalf("%v\nread:    %x\nwritten: %x", m.Op, b, again)
		}
		if len(m.Payload) > PayloadLimit || len(m.IDs) > IDLimit || int(m.Hop) > int(m.Height)+1 || m.Op == opcode.BroadcastCode && m.Seq == 0 {
			t.Fatalf("a limit is passed: %+v", m)
		}
		if n := len(m.IDs); n > 0 && n < cap(room) && &m.IDs[0] != &room[:2][1] {
			t.Fatal("ids are not where there was room for them")
		}
	})
}
