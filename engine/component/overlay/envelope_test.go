package overlay

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"testing"

	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/internal/vectors"
	"github.com/carrier-p2p/carrier/skad"
)

var update = flag.Bool("update", false, "rewrite what the vectors expect")

func author(t testing.TB, seed uint64) *identity.Identity {
	id, err := identity.FromSeed(t.Context(), [32]byte{byte(seed)}, identity.Puzzle{})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

const vectorsFile = "testdata/envelopes.txt"

const vectorsDomain = domainPrefix + "carrier-vectors"

// made returns the envelope that a good vector describes, signed by its origin for its key.
func made(t testing.TB, b *vectors.Block) (envelope, skad.ID) {
	id := author(t, b.Number(t, "origin"))
	e := envelope{kind: kind(b.Number(t, "kind")), origin: id.PublicKey(), number: b.Number(t, "number"), payload: b.Bytes(t, "payload")}
	key := skad.IDOf(identity.ID(b.Bytes(t, "key")))
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
	file := vectors.Read(t, vectorsFile)
	file.Weigh(t, 3)
	named := map[string]*vectors.Block{}
	for _, b := range file.Blocks {
		t.Run(b.Name(), func(t *testing.T) {
			named[b.Name()] = b
			like, domain := b, vectorsDomain
			if b.Value["like"] != "" {
				like = named[b.Value["like"]]
			}
			e, key := made(t, like)
			raw := b.Spoil(t, e.append(nil))
			if k := b.Bytes(t, "key"); like != b && len(k) > 0 {
				key = skad.IDOf(identity.ID(k))
			}
			if n := b.Value["network"]; n != "" {
				domain = domainPrefix + n
			}
			if got := outcome(raw, domain, key); *update {
				b.Set("expect", got)
			} else if got != b.Value["expect"] {
				t.Errorf("%s, expected %s", got, b.Value["expect"])
			}
			if got := hex.EncodeToString(raw); *update {
				b.Set("hex", got)
			} else if got != b.Value["hex"] {
				t.Errorf("%s\nexpected %s", got, b.Value["hex"])
			}
			if like == b {
				back, err := parse(raw)
				if err != nil || back.kind != e.kind || back.origin != e.origin || back.number != e.number || !bytes.Equal(back.payload, e.payload) {
					t.Errorf("read back as %+v, %v", back, err)
				}
			}
		})
	}
	if *update {
		file.Save(t)
	}
}

// FuzzEnvelope: what parses, appends back to the same bytes; what verifies was signed, and does not verify with any other key
// or a changed payload.
func FuzzEnvelope(f *testing.F) {
	for _, b := range vectors.Read(f, vectorsFile).Blocks {
		f.Add(b.Bytes(f, "hex"))
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
	if len(s.index) != seenLimit || s.kept.Owners() != 7 {
		t.Errorf("%d indexed, of %d origins", len(s.index), s.kept.Owners())
	}
}
