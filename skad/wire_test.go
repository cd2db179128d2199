package skad

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/internal/vectors"
	"github.com/carrier-p2p/carrier/opcode"
)

var update = flag.Bool("update", false, "rewrite what the vectors expect")

// realRecord returns the record of the identity whose seed is that byte and 31 zeros. No puzzle: the vectors are about
// form.
func realRecord(t testing.TB, seed byte, seq uint64, addrs ...string) identity.Record {
	t.Helper()
	id, err := identity.FromSeed(context.Background(), [32]byte{seed}, identity.Puzzle{})
	if err != nil {
		t.Fatal(err)
	}
	var list []transport.Addr
	for _, s := range addrs {
		a, err := transport.ParseAddr(s)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, a)
	}
	rec, err := id.NewRecord(list, seq, 0)
	if err != nil {
		t.Fatal(err)
	}
	return *rec
}

// message makes the message that the inputs of a block describe.
func message(t *testing.T, b *vectors.Block) Message {
	m := Message{Op: opcode.Opcode(b.Number(t, "op")), Nonce: b.Number(t, "nonce"), Count: uint8(b.Number(t, "count")), Route: b.Number(t, "route"),
		TTL: uint8(b.Number(t, "ttl")), Copy: uint8(b.Number(t, "copy")), Refused: b.Value["refused"] == "yes"}
	for _, f := range []struct {
		key string
		id  *ID
	}{{"key", &m.Key}, {"origin", &m.Origin}} {
		if v := b.Value[f.key]; v != "" {
			id, err := identity.ParseID(v)
			if err != nil {
				t.Fatal(err)
			}
			*f.id = IDOf(id)
		}
	}
	if _, ok := b.Value["payload"]; ok {
		m.Payload = b.Bytes(t, "payload")
	}
	for _, v := range strings.Fields(b.Value["contacts"]) { // seed/seq/address/address...
		part := strings.Split(v, "/")
		seed, _ := strconv.ParseUint(part[0], 0, 8)
		seq, _ := strconv.ParseUint(part[1], 0, 64)
		m.Contacts = append(m.Contacts, NewContact(realRecord(t, byte(seed), seq, strings.Split(strings.ReplaceAll(strings.Join(part[2:], " "), "tcp:", "tcp://"), " ")...), Public))
	}
	return m
}

// TestVectors: every good message of testdata/messages.txt is written as its bytes and read back; every bad one is
// refused, by the error it names. -update rewrites the bytes.
func TestVectors(t *testing.T) {
	file := vectors.Read(t, "testdata/messages.txt")
	file.Weigh(t, 8)
	wires := map[string][]byte{}
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
				back, err := ParseMessage(op, b.Bytes(t, "hex"), Public)
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(back, m) {
					t.Errorf("read as\n%+v, want\n%+v", back, m)
				}
				if again := back.Append(nil); !bytes.Equal(again, wire) {
					t.Errorf("read and written again:\n%x", again)
				}
				return
			}
			if *update {
				b.Set("hex", hex.EncodeToString(b.Spoil(t, wires[b.Value["like"]])))
			}
			m, err := ParseMessage(op, b.Bytes(t, "hex"), Public)
			want := map[string]error{"ErrMessage": ErrMessage, "ErrRecord": identity.ErrRecord, "ErrRecordVersion": identity.ErrRecordVersion, "ErrKey": identity.ErrKey}[b.Value["expect"]]
			if want == nil || !errors.Is(err, want) || !errors.Is(err, ErrMessage) {
				t.Errorf("accepted as %+v, error %v, want %s", m, err, b.Value["expect"])
			}
			if !reflect.DeepEqual(m, Message{}) {
				t.Errorf("something came with the error: %+v", m)
			}
		})
	}
	if *update {
		file.Save(t)
	}
}

// TestMessagesFitTheirOpcodes: nothing that Append writes is larger than the limit of its opcode.
func TestMessagesFitTheirOpcodes(t *testing.T) {
	fat := realRecord(t, 1, 1)
	for i := range identity.AddrLimit {
		a, _ := transport.ParseAddr(fmt.Sprintf("tcp://[2a00:%x::1]:4001", i+1))
		fat.Addrs = append(fat.Addrs, a)
	}
	contact := NewContact(fat, Public)
	c := newCore(t, 1, func(cfg *Config) { cfg.GroupPerReply = CountLimit })
	for i := range 400 {
		d := resigned(fakeContact(c.self.ID.randomIn(i%32, newRand(uint64(i))), i), func(r *identity.Record) { r.Addrs = fat.Addrs })
		d.groups = [usableAddrLimit]uint64{}
		c.Adopt(0, d)
	}
	c.Receive(0, Peer{fakeContact(ID{1}, 1), true}, &Message{Op: opcode.LookupNodeRequestCode, Nonce: 1, Count: ReplyLimit})
	var answer Message
	for _, a := range drain(c) {
		if a.Message.Op == opcode.LookupNodeResponseCode {
			answer = a.Message
		}
	}
	if len(answer.Contacts) < 60 {
		t.Errorf("only %d fat contacts in an answer", len(answer.Contacts))
	}
	for _, m := range []Message{
		{Op: opcode.PingCode, Nonce: 1}, {Op: opcode.PongCode, Nonce: 1}, {Op: opcode.LookupNodeRequestCode, Nonce: 1, Count: 1}, answer,
		{Op: opcode.RouteCode, Nonce: 1, Payload: make([]byte, RoutePayloadLimit)}, {Op: opcode.RouteAckCode, Nonce: 1},
		{Op: opcode.RecordCode, Contacts: []*Contact{contact}},
	} {
		facts, _ := opcode.FactsOf(m.Op)
		wire := m.Append(nil)
		if len(wire) > facts.PayloadLimit {
			t.Errorf("%v: %d bytes, limit %d", m.Op, len(wire), facts.PayloadLimit)
		}
		if _, err := ParseMessage(m.Op, wire, Public); err != nil && m.Op != opcode.LookupNodeResponseCode { // fakes have no valid keys
			t.Errorf("%v: %v", m.Op, err)
		}
	}
}

// FuzzParseMessage. Law: what parses appends back to the same bytes, has no more contacts or payload than allowed, rising
// fingerprints, and computes the ID of each contact from its key.
func FuzzParseMessage(f *testing.F) {
	rec := NewContact(realRecord(f, 1, 1, "tcp://45.1.2.3:4001"), Public)
	for _, m := range []Message{
		{Op: opcode.PingCode, Nonce: 1}, {Op: opcode.LookupNodeRequestCode, Nonce: 1, Count: 16, Key: ID{1, 2, 3, 4}},
		{Op: opcode.LookupNodeRequestCode, Nonce: 1, Count: 16, Payload: []byte{1, 0, 2, 0}},
		{Op: opcode.LookupNodeResponseCode, Nonce: 1, Contacts: []*Contact{rec, rec}}, {Op: opcode.RouteAckCode, Nonce: 1, Refused: true},
		{Op: opcode.RouteCode, Nonce: 1, Route: 2, TTL: 15, Payload: []byte("hello")}, {Op: opcode.RecordCode, Contacts: []*Contact{rec}}, {Op: opcode.RecordCode, Nonce: 3},
	} {
		f.Add(uint32(m.Op), m.Append(nil))
	}
	f.Fuzz(func(t *testing.T, op uint32, b []byte) {
		m, err := ParseMessage(opcode.Opcode(op), b, Public)
		if err != nil {
			if !errors.Is(err, ErrMessage) {
				t.Fatalf("error of another kind: %v", err)
			}
			return
		}
		if again := m.Append(nil); !bytes.Equal(again, b) {
			t.Fatalf("%v\nread:    %x\nwritten: %x", m.Op, b, again)
		}
		if len(m.Contacts) > ReplyLimit || len(m.Payload) > RoutePayloadLimit || m.TTL >= RouteTTL {
			t.Fatalf("a limit is passed: %+v", m)
		}
		if m.Op == opcode.LookupNodeRequestCode && !checkKnown(m.Payload) {
			t.Fatalf("fingerprints %x", m.Payload)
		}
		for _, c := range m.Contacts {
			if c.ID != IDOf(c.Record.ID()) || len(c.Addrs) > usableAddrLimit {
				t.Fatalf("contact %+v", c)
			}
		}
	})
}
