package overlay

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
)

var update = flag.Bool("update", false, "rewrite what the vectors expect")

const vectors = "testdata/envelopes.txt"

// A block of the file of vectors: key=value lines in their order.
type block struct {
	lines []string
	value map[string]string
}

func readBlocks(t testing.TB) (head string, blocks []*block) {
	t.Helper()
	text, err := os.ReadFile(vectors)
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range strings.Split(strings.TrimSpace(string(text)), "\n\n") {
		if i == 0 {
			head = part
			continue
		}
		b := &block{lines: strings.Split(part, "\n"), value: map[string]string{}}
		for _, line := range b.lines {
			k, v, _ := strings.Cut(line, "=")
			b.value[k] = v
		}
		blocks = append(blocks, b)
	}
	return head, blocks
}

func (b *block) set(key, v string) {
	b.value[key] = v
	for i, line := range b.lines {
		if strings.HasPrefix(line, key+"=") {
			b.lines[i] = key + "=" + v
			return
		}
	}
	b.lines = append(b.lines, key+"="+v)
}

func (b *block) bytes(t testing.TB, key string) []byte {
	t.Helper()
	v, err := hex.DecodeString(b.value[key])
	if err != nil {
		t.Fatalf("%s: %s: %v", b.value["name"], key, err)
	}
	return v
}

func (b *block) number(t testing.TB, key string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(b.value[key], 0, 64)
	if err != nil {
		t.Fatalf("%s: %s: %v", b.value["name"], key, err)
	}
	return n
}

func author(t testing.TB, seed uint64) *identity.Identity {
	id, err := identity.FromSeed(t.Context(), [32]byte{byte(seed)}, identity.Puzzle{})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

const vectorsDomain = domainPrefix + "carrier-vectors"

// made returns the envelope that a good vector describes, signed by its origin for its key.
func (b *block) made(t testing.TB) (envelope, skad.ID) {
	id := author(t, b.number(t, "origin"))
	e := envelope{kind: kind(b.number(t, "kind")), origin: id.PublicKey(), number: b.number(t, "number"), payload: b.bytes(t, "payload")}
	key := skad.IDOf(identity.ID(b.bytes(t, "key")))
	e.signature = id.Sign(vectorsDomain, e.appendSigned(nil, key))
	return e, key
}

// outcome says what becomes of the bytes of a vector.
func outcome(raw []byte, domain string, key skad.ID) string {
	e, err := parse(raw)
	if errors.Is(err, errEnvelope) {
		return "not an envelope"
	}
	if e.verify(identity.Puzzle{}, domain, key, nil) != nil {
		return "not the origin's"
	}
	return "ok"
}

// TestVectors holds envelopes against the file: what the good ones look like, and what is wrong with the bad ones.
func TestVectors(t *testing.T) {
	head, blocks := readBlocks(t)
	named, bad := map[string]*block{}, 0
	for _, b := range blocks {
		t.Run(b.value["name"], func(t *testing.T) {
			named[b.value["name"]] = b
			like, domain := b, vectorsDomain
			if b.value["like"] != "" {
				bad++
				like = named[b.value["like"]]
			}
			e, key := like.made(t)
			raw := e.append(nil)
			if at, with, ok := strings.Cut(b.value["at"], ":"); ok {
				offset, _ := strconv.Atoi(at)
				change, err := hex.DecodeString(with)
				if err != nil {
					t.Fatal(err)
				}
				copy(raw[offset:], change)
			}
			if cut, _ := strconv.Atoi(b.value["cut"]); cut > 0 {
				raw = raw[:len(raw)-cut]
			}
			raw = append(raw, b.bytes(t, "add")...)
			if k := b.bytes(t, "key"); like != b && len(k) > 0 {
				key = skad.IDOf(identity.ID(k))
			}
			if n := b.value["network"]; n != "" {
				domain = domainPrefix + n
			}
			if got := outcome(raw, domain, key); *update {
				b.set("expect", got)
			} else if got != b.value["expect"] {
				t.Errorf("%s, expected %s", got, b.value["expect"])
			}
			if got := hex.EncodeToString(raw); *update {
				b.set("hex", got)
			} else if got != b.value["hex"] {
				t.Errorf("%s\nexpected %s", got, b.value["hex"])
			}
			if like == b {
				back, err := parse(raw)
				if err != nil || back.kind != e.kind || back.origin != e.origin || back.number != e.number || !bytes.Equal(back.payload, e.payload) {
					t.Errorf("read back as %+v, %v", back, err)
				}
			}
		})
	}
	if good := len(blocks) - bad; bad < good {
		t.Errorf("%d bad vectors for %d good ones", bad, good)
	}
	if *update {
		text := head + "\n"
		for _, b := range blocks {
			text += "\n" + strings.Join(b.lines, "\n") + "\n"
		}
		if err := os.WriteFile(vectors, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// FuzzEnvelope: what parses, appends back to the same bytes; what verifies was signed, and does not verify with any other key
// or a changed payload.
func FuzzEnvelope(f *testing.F) {
	_, blocks := readBlocks(f)
	for _, b := range blocks {
		f.Add(b.bytes(f, "hex"))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := parse(raw)
		if err != nil {
			return
		}
		if back := e.append(nil); !bytes.Equal(back, raw[:32+1+8+8+64+len(e.payload)]) || len(back) != len(raw) {
			t.Fatalf("appended back as %x", back)
		}
		if e.verify(identity.Puzzle{}, vectorsDomain, skad.ID{1}, nil) != nil {
			return
		}
		if e.verify(identity.Puzzle{}, vectorsDomain, skad.ID{2}, nil) == nil {
			t.Error("good for two keys")
		}
		e.payload = append(bytes.Clone(e.payload), 1)
		if e.verify(identity.Puzzle{}, vectorsDomain, skad.ID{1}, nil) == nil {
			t.Error("good for two payloads")
		}
	})
}

// Of origins that send alike the marks are of the last seenLimit messages, and no others.
func TestMarks(t *testing.T) {
	var s marks
	for i := range uint64(3 * seenLimit) {
		m := mark{skad.ID{i % 7}, i}
		if s.has(m) {
			t.Fatalf("%d is known before it came", i)
		}
		s.add(m)
	}
	for i := range uint64(3 * seenLimit) {
		if got, want := s.has(mark{skad.ID{i % 7}, i}), i >= 2*seenLimit; got != want {
			t.Fatalf("%d is known: %t", i, got)
		}
	}
	if len(s.index) != seenLimit || len(s.origins) != 7 {
		t.Errorf("%d indexed, of %d origins", len(s.index), len(s.origins))
	}
}
