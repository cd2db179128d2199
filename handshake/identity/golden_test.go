package identity

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

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/internal/vectors"
)

var update = flag.Bool("update", false, "rewrite testdata/records.txt")

const goldenPath = "testdata/records.txt"

var goldenErrors = map[string]error{
	"form": ErrRecord, "version": ErrRecordVersion, "key": ErrKey, "puzzle": ErrPuzzle, "signature": ErrSignature,
}

// Records byte for byte, with everything that goes into them. The good ones must come out of the named seed again, the
// bad ones must be refused for the named reason and no other.
func TestGolden(t *testing.T) {
	if *update {
		writeGolden(t)
	}
	good, bad := 0, 0
	for _, b := range vectors.Read(t, goldenPath).Blocks {
		v := b.Value
		t.Run(v["name"], func(t *testing.T) {
			raw, err := hex.DecodeString(v["record"])
			if err != nil {
				t.Fatal(err)
			}
			p := Puzzle{goldenInt(t, v["c1"]), goldenInt(t, v["c2"])}
			r, err := ParseRecord(raw)
			if err == nil {
				err = r.Verify(p)
			}
			if want := goldenErrors[v["expect"]]; want != nil {
				bad++
				if !errors.Is(err, want) {
					t.Errorf("%v, want %v", err, want)
				}
				for name, other := range goldenErrors {
					if other != want && errors.Is(err, other) {
						t.Errorf("the error also says %q", name)
					}
				}
				return
			}
			good++
			if v["expect"] != "good" || err != nil {
				t.Fatalf("expect=%s: %v", v["expect"], err)
			}
			checkGoldenRecord(t, v, p, raw)
		})
	}
	if good < 5 || bad < 15 {
		t.Errorf("%d good and %d bad vectors, want at least 5 and 15", good, bad)
	}
}

func goldenInt(t *testing.T, s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// checkGoldenRecord makes the record anew. Ed25519 signatures are deterministic (RFC 8032), and so is the search for a
// solution.
func checkGoldenRecord(t *testing.T, v map[string]string, p Puzzle, raw []byte) {
	seed, err := hex.DecodeString(v["seed"])
	if err != nil {
		t.Fatal(err)
	}
	id, err := FromSeed(context.Background(), [32]byte(seed), p)
	if err != nil {
		t.Fatal(err)
	}
	var addrs []transport.Addr
	for _, s := range strings.Fields(v["addresses"]) {
		addrs = append(addrs, addr(t, s))
	}
	r, err := id.NewRecord(addrs, uint64(goldenInt(t, v["seq"])), Flags(goldenInt(t, v["flags"])))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Append(nil); !bytes.Equal(got, raw) {
		t.Errorf("made again:\n%x, want\n%x", got, raw)
	}
	static, solution := id.StaticPublic(), id.Solution()
	for name, got := range map[string]string{
		"id": id.ID().String(), "public_key": id.PublicKey().String(), "static": hex.EncodeToString(static[:]), "solution": hex.EncodeToString(solution[:]),
	} {
		if got != v[name] {
			t.Errorf("%s: %s, want %s", name, got, v[name])
		}
	}
}

func writeGolden(t *testing.T) {
	var b strings.Builder
	b.WriteString(`# Node records of carrier/1. Written by: go test ./handshake/identity -run TestGolden -update
# expect is "good", or why the record is refused: form, version, key, puzzle, signature. The good ones follow from seed, addresses,
# seq and flags; solution is the smallest one, id is BLAKE2b-256 of public_key.
`)
	block := func(name, why, expect string, p Puzzle, raw []byte, more ...string) {
		fmt.Fprintf(&b, "\nname=%s\nwhy=%s\nexpect=%s\nc1=%d\nc2=%d\nrecord=%x\n", name, why, expect, p.StaticBits, p.DynamicBits, raw)
		for i := 0; i < len(more); i += 2 {
			fmt.Fprintf(&b, "%s=%s\n", more[i], more[i+1])
		}
	}
	mint := func(number byte, p Puzzle, seq uint64, flags Flags, addrs ...string) (*Identity, *Record, []string) {
		for try := byte(0); ; try++ {
			seed := [32]byte{number, try}
			id, err := FromSeed(context.Background(), seed, p)
			if errors.Is(err, ErrPuzzle) {
				continue
			}
			var list []transport.Addr
			for _, s := range addrs {
				list = append(list, addr(t, s))
			}
			r, errRecord := id.NewRecord(list, seq, flags)
			if err != nil || errRecord != nil {
				t.Fatal(err, errRecord)
			}
			static, solution := id.StaticPublic(), id.Solution()
			return id, r, []string{
				"seed", hex.EncodeToString(seed[:]), "public_key", id.PublicKey().String(), "id", id.ID().String(),
				"static", hex.EncodeToString(static[:]), "solution", hex.EncodeToString(solution[:]),
				"addresses", strings.Join(addrs, " "), "seq", strconv.FormatUint(seq, 10), "flags", strconv.Itoa(int(flags)),
			}
		}
	}
	good := func(name, why string, number byte, p Puzzle, seq uint64, flags Flags, addrs ...string) *Record {
		_, r, more := mint(number, p, seq, flags, addrs...)
		block(name, why, "good", p, r.Append(nil), more...)
		return r
	}
	var full []string
	for i := range AddrLimit {
		full = append(full, fmt.Sprintf("udp://[2001:db8::%x]:%d", i+1, 4001+i))
	}
	good("no addresses", "a client that only dials", 1, smallPuzzle, 1, FlagClient)
	good("IPv4", "one address", 2, smallPuzzle, 2, 0, "tcp://198.51.100.7:4001")
	good("IPv6", "one address", 3, smallPuzzle, 3, 0, "quic://[2001:db8::7]:65535")
	good("mixed", "several transports, a relay", 4, smallPuzzle, 1<<40, FlagRelay, "tcp://198.51.100.7:4001", "udp://198.51.100.7:4001", "quic://[2001:db8::7]:4001")
	good("full", "the longest record", 5, smallPuzzle, 5, FlagClient|FlagRelay, full...)
	good("no puzzle", "a network that asks nothing; the solution is zero", 6, Puzzle{}, 0, 0, "tcp://10.0.0.1:1")

	id, r, _ := mint(7, smallPuzzle, 7, 0, "tcp://198.51.100.7:4001", "tcp://198.51.100.8:4001")
	raw := r.Append(nil)
	bad := func(name, why, expect string, edit func(b []byte) []byte) {
		block(name, why, expect, smallPuzzle, edit(bytes.Clone(raw)))
	}
	set := func(at int, value ...byte) func([]byte) []byte {
		return func(b []byte) []byte { copy(b[at:], value); return b }
	}
	// resign makes a record whose only fault is the one in its fields.
	resign := func(name, why, expect string, edit func(r *Record)) {
		c := *r
		c.Addrs = append([]transport.Addr(nil), r.Addrs...)
		edit(&c)
		c.Signature = id.Sign(recordDomain, c.appendUnsigned(nil))
		block(name, why, expect, smallPuzzle, c.Append(nil))
	}
	bad("empty", "no bytes", "form", func([]byte) []byte { return nil })
	bad("version 0", "first byte", "version", set(0, 0))
	bad("version 2", "first byte", "version", set(0, 2))
	bad("cut", "last byte missing", "form", func(b []byte) []byte { return b[:len(b)-1] })
	bad("longer", "one byte behind the signature", "form", func(b []byte) []byte { return append(b, 0) })
	bad("seq changed", "not signed so", "signature", set(offSeq, 8))
	bad("static key changed", "not signed so", "signature", set(offStatic, raw[offStatic]^1))
	bad("address changed", "not signed so", "signature", set(recordHeadSize+2, 199))
	bad("signature changed", "first byte of R", "signature", set(len(raw)-signatureSize, raw[len(raw)-signatureSize]^1))
	bad("S above the group order", "RFC 8032 5.1.7: the malleable twin of a good signature", "signature", func(b []byte) []byte {
		addGroupOrder(b[len(b)-32:])
		return b
	})
	bad("count too low", "one address stands where the signature belongs", "form", set(offCount, 1))
	bad("count too high", "three addresses announced, two there", "form", set(offCount, 3))
	bad("solution changed", "does not solve the dynamic puzzle", "puzzle", set(offSolution, raw[offSolution]^1))
	resign("unknown flag", "bit 2", "form", func(r *Record) { r.Flags = 4 })
	resign("address twice", "both are the same", "form", func(r *Record) { r.Addrs[1] = r.Addrs[0] })
	resign("port 0", "nowhere to dial", "form", func(r *Record) { r.Addrs[0] = withAddr(t, "198.51.100.7:0") })
	resign("multicast", "more than one host", "form", func(r *Record) { r.Addrs[0] = withAddr(t, "224.0.0.1:4001") })
	resign("unspecified", "no host", "form", func(r *Record) { r.Addrs[0] = withAddr(t, "0.0.0.0:4001") })
	resign("transport 0", "never assigned", "form", func(r *Record) { r.Addrs[0].Proto = 0 })
	resign("no solution", "X is zero", "puzzle", func(r *Record) { r.Solution = [32]byte{} })
	resign("key of order 1", "anyone could sign for it", "key", func(r *Record) { r.PublicKey = PublicKey{1} })
	resign("key of order 4", "anyone could sign for it", "key", func(r *Record) { r.PublicKey = PublicKey{} })
	if err := os.MkdirAll("testdata", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(goldenPath, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func withAddr(t *testing.T, s string) transport.Addr {
	a := addr(t, "tcp://192.0.2.1:1")
	if err := a.AddrPort.UnmarshalText([]byte(s)); err != nil {
		t.Fatal(err)
	}
	return a
}

// addGroupOrder adds the order of the group, L, to the little-endian number s, which is below it.
func addGroupOrder(s []byte) {
	order := []byte{0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 31: 0x10}
	carry := 0
	for i := range s {
		carry += int(s[i]) + int(order[i])
		s[i] = byte(carry)
		carry >>= 8
	}
}
