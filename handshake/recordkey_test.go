package handshake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"unsafe"

	reference "github.com/flynn/noise"
	"pgregory.net/rapid"

	"github.com/carrier-p2p/carrier/handshake/identity"
)

// record lays out plain as Seal wants it. kind goes into the header.
func record(plain string, kind byte) []byte {
	size := len(plain) + tagSize
	rec := append([]byte{byte(size), byte(size >> 8), byte(size >> 16), kind}, plain...)
	return append(rec, make([]byte, tagSize)...)
}

// keyPair returns two ends of one direction, about to seal and open record number counter.
func keyPair(counter uint64) (seal, open *RecordKey) {
	k := RecordKey{key: [32]byte{1, 2, 3}, counter: counter}
	o := k
	return &k, &o
}

func TestRecordKeyIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(RecordKey{}); size != 40 {
		t.Errorf("RecordKey has %d bytes, promised 40", size)
	}
}

// Any stream of records opens in order to what was sealed, also when ciphers are dropped in between, on either side,
// and across changes of the key.
func TestRecordsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.SampledFrom([]uint64{0, RekeyEvery - 3, 7*RekeyEvery - 2, 1 << 40}).Draw(t, "start")
		seal, open := keyPair(start)
		cs, co := seal.Expand(), open.Expand()
		for range rapid.IntRange(1, 8).Draw(t, "records") {
			if rapid.Bool().Draw(t, "drop sealer") {
				cs = seal.Expand()
			}
			if rapid.Bool().Draw(t, "drop opener") {
				co = open.Expand()
			}
			plain := rapid.String().Draw(t, "plain")
			rec := record(plain, rapid.Byte().Draw(t, "kind"))
			if err := seal.Seal(cs, rec); err != nil {
				t.Fatal(err)
			}
			got, err := open.Open(co, rec[:headerSize], rec[headerSize:])
			if err != nil || string(got) != plain {
				t.Fatalf("record %d: %q, %v, want %q", open.counter, got, err, plain)
			}
			if len(got) > 0 && &got[0] != &rec[headerSize] {
				t.Fatal("not opened in place")
			}
		}
		if *seal.keyOf() != *open.keyOf() || seal.counter != open.counter {
			t.Fatal("the ends differ in key or counter")
		}
	})
}

func (k *RecordKey) keyOf() *[32]byte { return &k.key }

// Rekeying must be Noise's, at Noise's nonces: flynn/noise does the same beside us, across the border.
func TestRekeyIsNoise(t *testing.T) {
	k, _ := keyPair(RekeyEvery - 2)
	ref := reference.UnsafeNewCipherState(suite, k.key, k.counter)
	c := k.Expand()
	for i := range 4 {
		if k.counter == RekeyEvery {
			ref.Rekey()
		}
		rec := record("rekey", 0)
		want, err := ref.Encrypt(nil, rec[:headerSize], []byte("rekey"))
		if err != nil {
			t.Fatal(err)
		}
		if err := k.Seal(c, rec); err != nil || !bytes.Equal(rec[headerSize:], want) {
			t.Fatalf("record %d from the border: %x, %v, want %x", i-2, rec[headerSize:], err, want)
		}
	}
	if k.counter != RekeyEvery+2 {
		t.Errorf("counter %d, want it to go on", k.counter)
	}
}

// A cipher that was expanded before a change of keys, through another cipher, is noticed and renewed.
func TestStaleCipher(t *testing.T) {
	seal, open := keyPair(RekeyEvery - 1)
	stale, fresh := seal.Expand(), seal.Expand()
	co := open.Expand()
	for _, c := range []*Cipher{fresh, stale} {
		rec := record("x", 0)
		if err := seal.Seal(c, rec); err != nil {
			t.Fatal(err)
		}
		if _, err := open.Open(co, rec[:headerSize], rec[headerSize:]); err != nil {
			t.Fatal(err)
		}
	}
}

// Whatever is changed, repeated, left out or cut: ErrOpen, and the counter stays.
func TestOpenRefuses(t *testing.T) {
	fresh := func() []byte { return record("some plaintext", 1) }
	tests := []struct {
		name  string
		spoil func(recs [][]byte) []byte // of records 0 and 1, both sealed; returns what comes as record 0
	}{
		{"the second first", func(r [][]byte) []byte { return r[1] }},
		{"length changed", func(r [][]byte) []byte { r[0][0]++; return r[0] }},
		{"kind changed", func(r [][]byte) []byte { r[0][3]++; return r[0] }},
		{"ciphertext changed", func(r [][]byte) []byte { r[0][headerSize]++; return r[0] }},
		{"tag changed", func(r [][]byte) []byte { r[0][len(r[0])-1]++; return r[0] }},
		{"cut", func(r [][]byte) []byte { return r[0][:len(r[0])-1] }},
		{"longer", func(r [][]byte) []byte { return append(r[0], 0) }},
		{"tag alone", func(r [][]byte) []byte { return r[0][:headerSize+tagSize] }},
		{"less than a tag", func(r [][]byte) []byte { return r[0][:headerSize+3] }},
		{"nothing", func(r [][]byte) []byte { return r[0][:headerSize] }},
		{"not sealed", func(r [][]byte) []byte { return fresh() }},
	}
	for _, tt := range tests {
		seal, open := keyPair(0)
		c, good := seal.Expand(), fresh()
		recs := [][]byte{good, fresh()}
		for _, r := range recs {
			if err := seal.Seal(c, r); err != nil {
				t.Fatal(err)
			}
		}
		keep := slices.Clone(good)
		bad := tt.spoil(recs)
		if plain, err := open.Open(open.Expand(), bad[:headerSize], bad[headerSize:]); !errors.Is(err, ErrOpen) || plain != nil {
			t.Errorf("%s: %q, %v, want ErrOpen", tt.name, plain, err)
		}
		if plain, err := open.Open(open.Expand(), keep[:headerSize], keep[headerSize:]); err != nil {
			t.Errorf("%s: the counter moved with the failure: %q, %v", tt.name, plain, err)
		}
		if _, err := open.Open(open.Expand(), keep[:headerSize], keep[headerSize:]); !errors.Is(err, ErrOpen) {
			t.Errorf("%s: the same record twice: %v, want ErrOpen", tt.name, err)
		}
	}
}

// The last nonce is for rekeying alone; then the direction is over, and stays over.
func TestNonceEnd(t *testing.T) {
	seal, open := keyPair(math.MaxUint64 - 1)
	cs, co := seal.Expand(), open.Expand()
	rec := record("last", 0)
	if err := seal.Seal(cs, rec); err != nil {
		t.Fatalf("record 2^64-2: %v", err)
	}
	if _, err := open.Open(co, rec[:headerSize], rec[headerSize:]); err != nil {
		t.Fatalf("record 2^64-2: %v", err)
	}
	for range 2 {
		rec := record("one more", 0)
		before := slices.Clone(rec)
		if err := seal.Seal(cs, rec); !errors.Is(err, ErrNonceEnd) || !bytes.Equal(rec, before) {
			t.Errorf("record 2^64-1: %v, touched %v, want ErrNonceEnd and untouched", err, !bytes.Equal(rec, before))
		}
		if _, err := open.Open(co, rec[:headerSize], rec[headerSize:]); !errors.Is(err, ErrNonceEnd) {
			t.Errorf("opening record 2^64-1: %v, want ErrNonceEnd", err)
		}
	}
	if _, err := open.OpenAt(co, math.MaxUint64, nil, make([]byte, 32)); !errors.Is(err, ErrNonceEnd) {
		t.Errorf("OpenAt 2^64-1: %v, want ErrNonceEnd", err)
	}
}

func TestWipe(t *testing.T) {
	k, _ := keyPair(5)
	c := k.Expand()
	k.Wipe()
	if k.key != [32]byte{} {
		t.Error("the key is still there")
	}
	if err := k.Seal(c, record("x", 0)); !errors.Is(err, ErrNonceEnd) {
		t.Errorf("Seal after Wipe: %v, want ErrNonceEnd", err)
	}
}

// Datagrams open in any order; across a change of keys the new key is found, and old ones are lost.
func TestDatagrams(t *testing.T) {
	const before, after = 5, 5
	seal, open := keyPair(RekeyEvery - before)
	cs, co := seal.Expand(), open.Expand()
	type datagram struct {
		counter  uint64
		ad, body []byte
	}
	var sent []datagram
	for range before + after {
		d := datagram{counter: seal.Counter(), body: append([]byte("payload"), make([]byte, tagSize)...)}
		d.ad = fmt.Appendf(nil, "conn 7, number %d", d.counter)
		if err := seal.SealWith(cs, d.ad, d.body); err != nil {
			t.Fatal(err)
		}
		sent = append(sent, d)
	}
	try := func(d datagram) error {
		plain, err := open.OpenAt(co, d.counter, d.ad, slices.Clone(d.body))
		if err == nil && string(plain) != "payload" {
			t.Fatalf("datagram %d opens to %q", d.counter, plain)
		}
		return err
	}
	for _, i := range []int{2, 0, 3} {
		if err := try(sent[i]); err != nil {
			t.Errorf("datagram %d, before the change of keys: %v", i, err)
		}
	}
	forged := sent[before]
	forged.ad = []byte("conn 8")
	if err := try(forged); !errors.Is(err, ErrOpen) {
		t.Errorf("forged datagram of the next key: %v, want ErrOpen", err)
	}
	if err := try(datagram{2*RekeyEvery + 1, nil, sent[0].body}); !errors.Is(err, ErrOpen) {
		t.Errorf("datagram two keys ahead: %v, want ErrOpen", err)
	}
	if err := try(sent[1]); err != nil {
		t.Errorf("the old key must still stand after forgeries: %v", err)
	}
	for _, i := range []int{7, 5, 9, 6} {
		if err := try(sent[i]); err != nil {
			t.Errorf("datagram %d, after the change of keys: %v", i, err)
		}
	}
	if err := try(sent[4]); !errors.Is(err, ErrOpen) {
		t.Errorf("late datagram of the old key: %v, want ErrOpen", err)
	}
	if open.key != seal.key {
		t.Error("the ends have different keys")
	}
}

func TestRecordKeyIsPrivate(t *testing.T) {
	k := RecordKey{key: [32]byte{0xAB, 0xCD}, counter: 77}
	c := k.Expand()
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "key", k, "pointer", &k)
	j, err := json.Marshal(map[string]any{"key": k, "pointer": &k})
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{log.String(), string(j)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%X", "%s", "%q", "%d"} {
		texts = append(texts, fmt.Sprintf(verb, k), fmt.Sprintf(verb, &k), fmt.Sprintf(verb, c), fmt.Sprintf(verb, struct{ K RecordKey }{k}))
	}
	m, err := NewInitiator(node(t, 1), 0, identity.ID{})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%v %s %x", m, m, m); got != "handshake(awaitReply) handshake(awaitReply) handshake(awaitReply)" {
		t.Errorf("a machine prints %q", got)
	}
	for _, s := range texts {
		if !strings.Contains(s, "(private)") || strings.Contains(strings.ToLower(s), "abcd") || strings.Contains(s, "171") {
			t.Errorf("prints %q", s)
		}
	}
}

func TestSealBugs(t *testing.T) {
	k, _ := keyPair(0)
	for n := range headerSize + tagSize {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("sealing a record of %d bytes does not panic", n)
				}
			}()
			_ = k.Seal(k.Expand(), make([]byte, n))
		}()
	}
	if err := k.Seal(k.Expand(), make([]byte, headerSize+tagSize)); err != nil {
		t.Errorf("an empty plaintext: %v", err)
	}
}

func BenchmarkSeal(b *testing.B) { benchmarkRecords(b, true, false) }
func BenchmarkOpen(b *testing.B) { benchmarkRecords(b, false, true) }

// benchmarkRecords times one half of sealing and opening; the other is what makes the input. Opening needs a fresh
// record each time, so its input is copied: a copy of 64 KiB takes 2 us, and is in the figure.
func benchmarkRecords(b *testing.B, sealing, opening bool) {
	for _, size := range []int{64, 1 << 10, 16 << 10, 64 << 10} {
		b.Run(fmt.Sprintf("payload=%d", size), func(b *testing.B) {
			seal, open := keyPair(0)
			cs, co := seal.Expand(), open.Expand()
			rec := record(string(make([]byte, size)), 0)
			work := slices.Clone(rec)
			if opening {
				if err := seal.Seal(cs, rec); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if sealing {
					if err := seal.Seal(cs, work); err != nil {
						b.Fatal(err)
					}
					continue
				}
				copy(work, rec)
				open.counter = 0
				if _, err := open.Open(co, work[:headerSize], work[headerSize:]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkExpand(b *testing.B) {
	k, _ := keyPair(0)
	b.ReportAllocs()
	for b.Loop() {
		_ = k.Expand()
	}
}
