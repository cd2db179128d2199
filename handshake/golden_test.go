package handshake

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	reference "github.com/flynn/noise"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/internal/vectors"
	"github.com/carrier-p2p/carrier/internal/wire"
)

var update = flag.Bool("update", false, "rewrite testdata/handshake.txt")

const goldenPath = "testdata/handshake.txt"

// goldenErrors are the names that a vector may expect.
var goldenErrors = map[string]error{
	"version": ErrVersion, "network": ErrNetwork, "message": ErrMessage, "authentication": ErrAuthentication,
	"low-order": ErrLowOrder, "puzzle": ErrPuzzle, "mismatch": ErrPeerMismatch, "self": ErrSelf,
}

// Whole handshakes, byte for byte, with everything that goes into them. The good ones are run at both ends and must
// give the same messages, keys and binding; the bad ones are given to the end that must refuse them, at the named
// message, for the named reason, and not before.
func TestGolden(t *testing.T) {
	if *update {
		writeGolden(t)
	}
	good, bad := 0, 0
	for _, b := range vectors.Read(t, goldenPath).Blocks {
		v := b.Value
		t.Run(v["name"], func(t *testing.T) {
			if v["expect"] == "done" {
				good++
				checkGood(t, v)
			} else {
				bad++
				checkBad(t, v)
			}
		})
	}
	if good < 5 || bad < 20 {
		t.Errorf("%d good and %d bad vectors, want at least 5 and 20", good, bad)
	}
}

// goldenMachine makes one end of a vector; role is "init" or "resp".
func goldenMachine(t *testing.T, v map[string]string, role string) *Machine {
	t.Helper()
	number := func(key string) uint64 {
		n, err := strconv.ParseUint(v[key], 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		return n
	}
	id, err := identity.FromSeed(context.Background(), [32]byte(unhex(t, v[role+"_seed"])), identity.Puzzle{})
	if err != nil {
		t.Fatal(err)
	}
	c := &Config{
		Identity:  id,
		Record:    unhex(t, v[role+"_record"]),
		NetworkID: v[role+"_network"],
		Puzzle:    identity.Puzzle{StaticBits: int(number("c1")), DynamicBits: int(number("c2"))},
		Params:    Params{Instance: number(role + "_instance"), Agent: v[role+"_agent"]},
		Rand:      bytes.NewReader(unhex(t, v[role+"_ephemeral"])),
	}
	var m *Machine
	if role == "init" {
		m, err = NewInitiator(c, 0, identity.ID(unhex(t, v["init_expect"])))
	} else {
		m, err = NewResponder(c, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	if s := v[role+"_observed"]; s != "" {
		m.Observe(addr(t, s))
	}
	return m
}

func goldenMessage(t *testing.T, v map[string]string, number int) []byte {
	t.Helper()
	b := unhex(t, v[fmt.Sprintf("message_%d", number)])
	msg, n, err := NextMessage(b)
	if err != nil || n != len(b) {
		t.Fatalf("message %d: %d of %d bytes, %v", number, n, len(b), err)
	}
	return msg
}

func checkGood(t *testing.T, v map[string]string) {
	a, b := goldenMachine(t, v, "init"), goldenMachine(t, v, "resp")
	from, to := a, b
	for number := 1; number <= 3; number++ {
		out, _ := from.Next()
		if v["own_payloads"] == "" {
			if want := v[fmt.Sprintf("message_%d", number)]; hex.EncodeToString(out) != want {
				t.Fatalf("wrote message %d\n%x, want\n%s", number, out, want)
			}
		}
		if err := to.Receive(0, goldenMessage(t, v, number)); err != nil {
			t.Fatalf("message %d: %v", number, err)
		}
		from, to = to, from
	}
	ra, rb := a.Result(), b.Result()
	for _, f := range []struct {
		name      string
		got, same [32]byte
	}{
		{"binding", ra.Binding, rb.Binding},
		{"to_responder_key", ra.Send.key, rb.Recv.key},
		{"to_initiator_key", rb.Send.key, ra.Recv.key},
	} {
		if v["own_payloads"] != "" {
			f.got = f.same // the initiator of this vector says things that ours does not say
		}
		if hex.EncodeToString(f.got[:]) != v[f.name] || f.got != f.same {
			t.Errorf("%s: %x and %x, want %s", f.name, f.got, f.same, v[f.name])
		}
	}
	rec := record("first record", 0)
	if err := rb.Recv.keyCopy().Seal(rb.Recv.Expand(), rec); err != nil || hex.EncodeToString(rec) != v["to_responder_record"] {
		t.Errorf("first record: %x, %v, want %s", rec, err, v["to_responder_record"])
	}
}

func (k RecordKey) keyCopy() *RecordKey { return &k }

func checkBad(t *testing.T, v map[string]string) {
	want, known := goldenErrors[v["expect"]]
	at, err := strconv.Atoi(v["at"])
	if !known || err != nil {
		t.Fatalf("expect=%s at=%s", v["expect"], v["at"])
	}
	role, first := "resp", 1
	if at == 2 {
		role, first = "init", 2
	}
	m := goldenMachine(t, v, role)
	for number := first; number < at; number += 2 {
		if err := m.Receive(0, goldenMessage(t, v, number)); err != nil {
			t.Fatalf("message %d must still be good: %v", number, err)
		}
		m.Next()
	}
	err = m.Receive(0, goldenMessage(t, v, at))
	if !errors.Is(err, want) {
		t.Errorf("message %d: %v, want %v", at, err, want)
	}
	for name, other := range goldenErrors {
		if other != want && errors.Is(err, other) {
			t.Errorf("message %d: the error also says %q", at, name)
		}
	}
	dead(t, m)
}

// A scene is where a vector comes from: raw Noise with payloads of any kind, so that bad ones can be made at all.
type scene struct {
	name, why, expect string
	at                int
	init, resp        *sceneNode
	puzzle            identity.Puzzle
	expectID          identity.ID
	payload           [3][]byte // nil: what an honest node says
	tamper            func(number int, msg []byte) []byte
}

type sceneNode struct {
	seed, ephemeral [32]byte
	network         string
	id              *identity.Identity
	record          []byte
	params          Params
}

// scenes are all vectors. Each starts from the same two good nodes.
func scenes(t *testing.T) []*scene {
	third := newSceneNode(t, 3, smallPuzzle)
	proof := func(n *sceneNode, tail ...byte) []byte {
		return append(n.params.Append(wire.AppendBytes16(nil, n.record)), tail...)
	}
	flip := func(at, i int) func(int, []byte) []byte {
		return func(number int, msg []byte) []byte {
			if number == at {
				msg[(i+len(msg))%len(msg)] ^= 1
			}
			return msg
		}
	}
	forge := func(r []byte) []byte { r = bytes.Clone(r); r[2]++; return r }
	list := []struct {
		name, why, expect string
		at                int
		edit              func(s *scene)
	}{
		{"plain", "two nodes, nothing special", "done", 0, func(s *scene) {}},
		{"expected", "the initiator wants this very responder", "done", 0, func(s *scene) { s.expectID = s.resp.id.ID() }},
		{"silent", "no parameters at all", "done", 0, func(s *scene) { s.init.params, s.resp.params = Params{}, Params{} }},
		{"observed", "each tells the other its address", "done", 0, func(s *scene) {
			s.init.params.Observed = addr(t, "tcp://203.0.113.9:4001")
			s.resp.params.Observed = addr(t, "quic://[2001:db8::9]:50000")
		}},
		{"no puzzle, no name", "a network that asks nothing and is called nothing", "done", 0, func(s *scene) {
			s.puzzle = identity.Puzzle{}
			s.init.network, s.resp.network = "", ""
		}},
		{"unknown parameter", "a later initiator says more, twice; it is skipped", "done", 0, func(s *scene) {
			s.payload[2] = proof(s.init, 77, 2, 0, 1, 2, 77, 0, 0)
		}},

		{"version 2", "version byte of the hello", "version", 1, func(s *scene) { s.payload[0] = []byte{2, 1, 2, 3} }},
		{"version 0", "version byte of the hello", "version", 1, func(s *scene) { s.payload[0] = make([]byte, 9) }},
		{"other network", "same name but for one letter", "network", 1, func(s *scene) { s.resp.network = "golder" }},
		{"hello too short", "tag is cut off", "message", 1, func(s *scene) {
			s.tamper = func(n int, msg []byte) []byte {
				if n == 1 {
					msg = msg[:len(msg)-1]
				}
				return msg
			}
		}},
		{"hello too long", "one byte behind the tag", "message", 1, func(s *scene) {
			s.tamper = func(n int, msg []byte) []byte {
				if n == 1 {
					msg = append(msg, 0)
				}
				return msg
			}
		}},
		{"low order in message 1", "e is zero", "low-order", 1, func(s *scene) {
			s.tamper = func(n int, msg []byte) []byte {
				if n == 1 {
					clear(msg[:keySize])
				}
				return msg
			}
		}},
		{"low order in message 2", "e is p-1", "low-order", 2, func(s *scene) {
			s.tamper = func(n int, msg []byte) []byte {
				if n == 2 {
					copy(msg, unhex(t, "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"))
				}
				return msg
			}
		}},
		{"message 2 changed at the front", "a bit of e", "authentication", 2, func(s *scene) { s.tamper = flip(2, 0) }},
		{"message 2 changed in s", "a bit of the static key", "authentication", 2, func(s *scene) { s.tamper = flip(2, keySize) }},
		{"message 2 changed at the end", "a bit of the tag", "authentication", 2, func(s *scene) { s.tamper = flip(2, -1) }},
		{"message 3 changed in s", "a bit of the static key", "authentication", 3, func(s *scene) { s.tamper = flip(3, 0) }},
		{"message 3 changed at the end", "a bit of the tag", "authentication", 3, func(s *scene) { s.tamper = flip(3, -1) }},
		{"responder shows another's record", "good record, but for a static key that the responder does not have", "authentication", 2, func(s *scene) { s.payload[1] = proof(third) }},
		{"initiator shows another's record", "likewise", "authentication", 3, func(s *scene) { s.payload[2] = proof(third) }},
		{"responder returns the initiator's record", "a mirror", "authentication", 2, func(s *scene) { s.payload[1] = proof(s.init) }},
		{"responder's record is forged", "seq raised, signature as it was", "authentication", 2, func(s *scene) { s.resp.record = forge(s.resp.record) }},
		{"initiator's record is forged", "likewise", "authentication", 3, func(s *scene) { s.init.record = forge(s.init.record) }},
		{"responder has not worked", "solution of the dynamic puzzle is zero", "puzzle", 2, func(s *scene) { s.resp = newSceneNode(t, 2, identity.Puzzle{StaticBits: 4}) }},
		{"initiator has not worked", "likewise", "puzzle", 3, func(s *scene) { s.init = newSceneNode(t, 1, identity.Puzzle{StaticBits: 4}) }},
		{"not the expected responder", "proven, but somebody else", "mismatch", 2, func(s *scene) { s.expectID = third.id.ID() }},
		{"responder is the initiator", "same keys at both ends", "self", 2, func(s *scene) {
			e := s.resp.ephemeral
			*s.resp = *s.init
			s.resp.ephemeral = e
		}},
		{"no payload", "message 2 proves a static key and nothing else", "message", 2, func(s *scene) { s.payload[1] = []byte{} }},
		{"record longer than the payload", "length of the record is one too many", "message", 2, func(s *scene) {
			s.payload[1] = wire.AppendBytes16(nil, s.resp.record)
			s.payload[1][0]++
		}},
		{"record with a byte too many", "length fits, the record does not", "message", 3, func(s *scene) {
			s.payload[2] = wire.AppendBytes16(nil, append(bytes.Clone(s.init.record), 0))
		}},
		{"parameter twice", "two instances", "message", 3, func(s *scene) {
			s.payload[2] = proof(s.init, append([]byte{paramInstance, 8, 0}, make([]byte, 8)...)...)
		}},
		{"parameter cut off", "three bytes announced, one there", "message", 3, func(s *scene) { s.payload[2] = proof(s.init, 77, 3, 0, 1) }},
		{"agent with a line feed", "would write into logs", "message", 2, func(s *scene) { s.resp.params.Agent = "a\nb"; s.payload[1] = proof(s.resp); s.resp.params.Agent = "" }},
		{"parameter number 0", "never assigned", "message", 3, func(s *scene) { s.payload[2] = proof(s.init, 0, 0, 0) }},
	}
	var all []*scene
	for _, l := range list {
		s := &scene{name: l.name, why: l.why, expect: l.expect, at: l.at, puzzle: smallPuzzle,
			init: newSceneNode(t, 1, smallPuzzle), resp: newSceneNode(t, 2, smallPuzzle)}
		l.edit(s)
		all = append(all, s)
	}
	return all
}

func newSceneNode(t *testing.T, number byte, p identity.Puzzle) *sceneNode {
	t.Helper()
	n := &sceneNode{network: "golden", params: Params{Instance: uint64(number), Agent: fmt.Sprintf("carrier/golden-%d", number)}}
	for i := range 32 {
		n.ephemeral[i] = number<<4 + byte(i)
	}
	for try := 0; n.id == nil; try++ { // the first seed that solves the static puzzle
		n.seed = [32]byte{number, byte(try), byte(try >> 8)}
		id, err := identity.FromSeed(context.Background(), n.seed, p)
		if err == nil {
			n.id = id
		} else if !errors.Is(err, ErrPuzzle) {
			t.Fatal(err)
		}
	}
	r, err := n.id.NewRecord(nil, uint64(number), 0)
	if number == 2 && err == nil {
		r, err = n.id.NewRecord([]transport.Addr{addr(t, "tcp://198.51.100.2:4001"), addr(t, "quic://[2001:db8::2]:4001")}, 2, identity.FlagRelay)
	}
	if err != nil {
		t.Fatal(err)
	}
	n.record = r.Append(nil)
	return n
}

// play makes the messages and the keys with nothing but Noise.
func (s *scene) play(t *testing.T) (messages [3][]byte, k referenceKeys, binding []byte) {
	prologue := func(n *sceneNode) []byte { return (&Config{NetworkID: n.network, Puzzle: s.puzzle}).prologue() }
	state := func(n *sceneNode, initiator bool) *reference.HandshakeState {
		private, public := n.id.StaticKey(), n.id.StaticPublic()
		hs, err := reference.NewHandshakeState(reference.Config{
			CipherSuite: suite, Pattern: reference.HandshakeXX, Initiator: initiator, Prologue: prologue(s.init),
			StaticKeypair: reference.DHKey{Private: private[:], Public: public[:]}, Random: bytes.NewReader(n.ephemeral[:]),
		})
		if err != nil {
			t.Fatal(err)
		}
		return hs
	}
	tag := networkTag(prologue(s.init))
	honest := [3][]byte{
		appendHello(nil, tag),
		s.resp.params.Append(wire.AppendBytes16(nil, s.resp.record)),
		s.init.params.Append(wire.AppendBytes16(nil, s.init.record)),
	}
	writer, reader := state(s.init, true), state(s.resp, false)
	for i := range messages {
		payload := honest[i]
		if s.payload[i] != nil {
			payload = s.payload[i]
		}
		out, k1, k2, err := writer.WriteMessage(nil, payload)
		if err != nil {
			t.Fatalf("%s: message %d: %v", s.name, i+1, err)
		}
		if _, _, _, err := reader.ReadMessage(nil, out); err != nil {
			t.Fatalf("%s: message %d: %v", s.name, i+1, err)
		}
		if s.tamper != nil {
			out = s.tamper(i+1, out)
		}
		messages[i], k = wire.AppendBytes16(nil, out), referenceKeys{k1, k2}
		writer, reader = reader, writer
	}
	return messages, k, reader.ChannelBinding()
}

func writeGolden(t *testing.T) {
	var b strings.Builder
	b.WriteString(`# Whole handshakes of carrier/1. Written by: go test ./handshake -run TestGolden -update
# Keys of a block: init_ and resp_ are the two ends; seed is the identity's 32 bytes, ephemeral the private key of e, network the
# network id; instance, agent and observed are parameters. message_1 to message_3 have their u16 length in front and stand as
# they arrive. expect is "done", or why message number "at" is refused. own_payloads: an end says what carrier does not say.
# The bad are made with nothing but Noise; the good are checked at both ends, byte for byte.
`)
	for _, s := range scenes(t) {
		line := func(key, value string) { fmt.Fprintf(&b, "%s=%s\n", key, value) }
		messages, k, binding := s.play(t)
		b.WriteString("\n")
		line("name", s.name)
		line("why", s.why)
		line("expect", s.expect)
		if s.at > 0 {
			line("at", strconv.Itoa(s.at))
		} else if s.payload[1] != nil || s.payload[2] != nil {
			line("own_payloads", "yes")
		}
		line("c1", strconv.Itoa(s.puzzle.StaticBits))
		line("c2", strconv.Itoa(s.puzzle.DynamicBits))
		line("init_expect", s.expectID.String())
		for _, end := range []struct {
			role string
			n    *sceneNode
		}{{"init", s.init}, {"resp", s.resp}} {
			line(end.role+"_network", end.n.network)
			line(end.role+"_seed", hex.EncodeToString(end.n.seed[:]))
			line(end.role+"_ephemeral", hex.EncodeToString(end.n.ephemeral[:]))
			line(end.role+"_record", hex.EncodeToString(end.n.record))
			line(end.role+"_instance", strconv.FormatUint(end.n.params.Instance, 10))
			line(end.role+"_agent", end.n.params.Agent)
			if !end.n.params.Observed.IsZero() {
				line(end.role+"_observed", end.n.params.Observed.String())
			}
		}
		for i, msg := range messages {
			if s.at == 0 || i < s.at {
				line(fmt.Sprintf("message_%d", i+1), hex.EncodeToString(msg))
			}
		}
		if s.expect == "done" {
			toResponder, toInitiator := k.toResponder.UnsafeKey(), k.toInitiator.UnsafeKey()
			rec := record("first record", 0)
			c, err := k.toResponder.Encrypt(nil, rec[:headerSize], []byte("first record"))
			if err != nil {
				t.Fatal(err)
			}
			line("binding", hex.EncodeToString(binding))
			line("to_responder_key", hex.EncodeToString(toResponder[:]))
			line("to_initiator_key", hex.EncodeToString(toInitiator[:]))
			line("to_responder_record", hex.EncodeToString(append(rec[:headerSize], c...)))
		}
	}
	if err := os.WriteFile(goldenPath, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
