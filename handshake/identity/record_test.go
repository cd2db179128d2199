package identity

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/carrier-p2p/carrier/engine/transport"
)

var compareAddrs = cmp.Comparer(func(a, b transport.Addr) bool { return a == b })

func record(t testing.TB, id *Identity, addrs ...transport.Addr) *Record {
	t.Helper()
	r, err := id.NewRecord(addrs, 7, FlagRelay)
	if err != nil {
		t.Fatalf("NewRecord: %v", err)
	}
	return r
}

// A record that NewRecord made must survive its encoding, and verify, for every number of addresses.
func TestRecordRoundTrip(t *testing.T) {
	id := generate(t, 1, smallPuzzle)
	for n := range AddrLimit + 1 {
		r := record(t, id, manyAddrs(n)...)
		b := r.Append([]byte("front"))
		if !bytes.HasPrefix(b, []byte("front")) {
			t.Fatal("Append wrote over what was there")
		}
		b = b[len("front"):]
		got, err := ParseRecord(b)
		if err != nil {
			t.Fatalf("%d addresses: ParseRecord: %v", n, err)
		}
		if d := cmp.Diff(*r, got, compareAddrs); d != "" {
			t.Fatalf("%d addresses: parsed record differs (-made +parsed):\n%s", n, d)
		}
		if err := got.Verify(smallPuzzle); err != nil {
			t.Fatalf("%d addresses: Verify: %v", n, err)
		}
		if len(b) > RecordSizeLimit || n == AddrLimit && len(b) != RecordSizeLimit {
			t.Fatalf("%d addresses take %d bytes, limit %d", n, len(b), RecordSizeLimit)
		}
		if got.ID() != id.ID() || got.Static != id.StaticPublic() {
			t.Fatal("record is not of its identity")
		}
	}
}

// Whatever bit of a record is turned, it must stop parsing or verifying.
func TestRecordBitFlips(t *testing.T) {
	id := generate(t, 2, smallPuzzle)
	good := record(t, id, addr(t, "tcp://198.51.100.7:4001"), addr(t, "quic://[2001:db8::7]:4002")).Append(nil)
	for i := range good {
		for bit := range 8 {
			b := slices.Clone(good)
			b[i] ^= 1 << bit
			r, err := ParseRecord(b)
			if err == nil {
				err = r.Verify(smallPuzzle)
			}
			if err == nil {
				t.Errorf("bit %d of byte %d turned: still a good record", bit, i)
			}
		}
	}
}

func TestRecordTruncatedOrLonger(t *testing.T) {
	good := record(t, generate(t, 3, Puzzle{}), manyAddrs(2)...).Append(nil)
	for n := range good {
		if _, err := ParseRecord(good[:n]); err == nil {
			t.Errorf("the first %d of %d bytes parse", n, len(good))
		}
	}
	if _, err := ParseRecord(append(slices.Clone(good), 0)); !errors.Is(err, ErrRecord) {
		t.Errorf("one byte too many: %v, want ErrRecord", err)
	}
	if _, err := ParseRecord(make([]byte, 1<<20)); err == nil {
		t.Error("a megabyte of zeros parses")
	}
}

// Each row spoils the parsed form in one way and signs it properly, so that only the named check can refuse it.
func TestRecordRejects(t *testing.T) {
	id := generate(t, 4, smallPuzzle)
	other := generate(t, 5, smallPuzzle)
	tests := []struct {
		name  string
		spoil func(r *Record)
		want  error
	}{
		{"unknown flag", func(r *Record) { r.Flags |= 4 }, ErrRecord},
		{"no transport", func(r *Record) { r.Addrs[0].Proto = 0 }, ErrRecord},
		{"port zero", func(r *Record) { r.Addrs[0].AddrPort = netip.MustParseAddrPort("198.51.100.7:0") }, ErrRecord},
		{"unspecified", func(r *Record) { r.Addrs[0].AddrPort = netip.MustParseAddrPort("0.0.0.0:1") }, ErrRecord},
		{"unspecified v6", func(r *Record) { r.Addrs[0].AddrPort = netip.MustParseAddrPort("[::]:1") }, ErrRecord},
		{"multicast", func(r *Record) { r.Addrs[0].AddrPort = netip.MustParseAddrPort("224.0.0.1:1") }, ErrRecord},
		{"multicast v6", func(r *Record) { r.Addrs[0].AddrPort = netip.MustParseAddrPort("[ff02::1]:1") }, ErrRecord},
		{"broadcast", func(r *Record) { r.Addrs[0].AddrPort = netip.MustParseAddrPort("255.255.255.255:1") }, ErrRecord},
		{"twice", func(r *Record) { r.Addrs[1] = r.Addrs[0] }, ErrRecord},
		{"neutral key", func(r *Record) { r.PublicKey = PublicKey{1} }, ErrKey},
		{"static puzzle", func(r *Record) { r.PublicKey, r.Solution = unsolved(t), [32]byte{} }, ErrPuzzle},
		{"no solution", func(r *Record) { r.Solution = [32]byte{} }, ErrPuzzle},
		{"another's solution", func(r *Record) { r.Solution = other.Solution() }, ErrPuzzle},
		{"another's key", func(r *Record) { r.PublicKey, r.Solution = other.PublicKey(), other.Solution() }, ErrSignature},
		{"another static key", func(r *Record) { r.Signature = [64]byte{}; r.Static[0] ^= 1 }, ErrSignature},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := record(t, id, addr(t, "tcp://198.51.100.7:4001"), addr(t, "tcp://198.51.100.8:4001"))
			tt.spoil(r)
			if r.Signature != ([64]byte{}) {
				r.Signature = id.Sign(recordDomain, r.appendUnsigned(nil))
			}
			if err := r.Verify(smallPuzzle); !errors.Is(err, tt.want) {
				t.Errorf("Verify of what was made: %v, want %v", err, tt.want)
			}
			got, err := ParseRecord(r.Append(nil))
			if err == nil {
				err = got.Verify(smallPuzzle)
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("Parse and Verify of the bytes: %v, want %v", err, tt.want)
			}
		})
	}
}

// unsolved returns a good key whose ID does not solve smallPuzzle's static part.
func unsolved(t testing.TB) PublicKey {
	for n := byte(0); ; n++ {
		if k := generate(t, n, Puzzle{}).PublicKey(); staticZeros(k.ID()) < smallPuzzle.StaticBits {
			return k
		}
	}
}

func TestRecordBytesRejects(t *testing.T) {
	good := record(t, generate(t, 6, Puzzle{}), addr(t, "tcp://198.51.100.7:4001")).Append(nil)
	mapped := netip.MustParseAddr("::ffff:198.51.100.7").As16()
	rebuild := func(count byte, addrs []byte) []byte {
		b := append(slices.Clone(good[:offCount]), count)
		return append(append(b, addrs...), good[len(good)-signatureSize:]...)
	}
	tests := []struct {
		name string
		b    []byte
		want error
	}{
		{"version 0", append([]byte{0}, good[1:]...), ErrRecordVersion},
		{"version 2", append([]byte{2}, good[1:]...), ErrRecordVersion},
		{"version 2, short", []byte{2, 9, 9}, ErrRecordVersion},
		{"empty", nil, ErrRecord},
		{"count too high", rebuild(2, good[recordHeadSize:len(good)-signatureSize]), ErrRecord},
		{"count too low", rebuild(0, good[recordHeadSize:len(good)-signatureSize]), ErrRecord},
		{"count over the limit", rebuild(AddrLimit+1, bytes.Repeat(good[recordHeadSize:len(good)-signatureSize], AddrLimit+1)), ErrRecord},
		{"IP version 5", rebuild(1, []byte{1, 5, 1, 2, 3, 4, 1, 0}), ErrRecord},
		{"IPv4 inside IPv6", rebuild(1, append(append([]byte{1, 6}, mapped[:]...), 1, 0)), ErrRecord},
		{"key not below p", append(append(slices.Clone(good[:offPublicKey]), append(append([]byte{0xee}, bytes.Repeat([]byte{0xff}, 30)...), 0x7f)...), good[offSolution:]...), ErrKey},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := ParseRecord(tt.b); !errors.Is(err, tt.want) {
				t.Errorf("ParseRecord: %v, want %v", err, tt.want)
			}
		})
	}
}

func TestNewRecordRejectsAndNormalises(t *testing.T) {
	id := generate(t, 7, Puzzle{})
	mapped := transport.Addr{Proto: transport.TCP, AddrPort: netip.MustParseAddrPort("[::ffff:198.51.100.7]:1")}
	r, err := id.NewRecord([]transport.Addr{mapped}, 0, 0)
	if err != nil || r.Addrs[0] != addr(t, "tcp://198.51.100.7:1") {
		t.Errorf("IPv4 inside IPv6: %v, %v, want it unmapped", r, err)
	}
	for name, addrs := range map[string][]transport.Addr{
		"too many": manyAddrs(AddrLimit + 1),
		"zero":     {{}},
		"zone":     {{Proto: transport.TCP, AddrPort: netip.MustParseAddrPort("[fe80::1%eth0]:1")}},
		"twice":    {addr(t, "tcp://198.51.100.7:1"), mapped},
	} {
		if _, err := id.NewRecord(addrs, 0, 0); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v, want ErrRecord", name, err)
		}
	}
	if _, err := id.NewRecord(nil, 0, 1<<7); !errors.Is(err, ErrRecord) {
		t.Errorf("unknown flag: %v, want ErrRecord", err)
	}
	if r, err := id.NewRecord([]transport.Addr{{Proto: 200, AddrPort: mapped.AddrPort}}, 0, 0); err != nil {
		t.Errorf("a transport of later versions: %v, %v, want it kept", r, err)
	}
}

// Any address survives its encoding, alone or with bytes behind it.
func TestAddrRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ip := netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "v4")))
		if rapid.Bool().Draw(t, "six") {
			ip = netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "v6"))).Unmap()
		}
		want := transport.Addr{Proto: transport.Proto(rapid.Byte().Draw(t, "proto")), AddrPort: netip.AddrPortFrom(ip, rapid.Uint16().Draw(t, "port"))}
		tail := rapid.SliceOfN(rapid.Byte(), 0, 4).Draw(t, "tail")
		b := AppendAddr(nil, want)
		got, n := ConsumeAddr(append(slices.Clone(b), tail...))
		if n != len(b) || got != want {
			t.Fatalf("ConsumeAddr = %v, %d, want %v, %d", got, n, want, len(b))
		}
		for i := range b {
			if _, n := ConsumeAddr(b[:i]); n >= 0 {
				t.Fatalf("%d of %d bytes give an address", i, len(b))
			}
		}
	})
}

// Law: what parses appends back to the same bytes, has at most AddrLimit addresses, and is not longer than the limit.
func FuzzParseRecord(f *testing.F) {
	for n := range 3 {
		b := record(f, generate(f, byte(n), smallPuzzle), manyAddrs(n)...).Append(nil)
		f.Add(b)
		f.Add(b[:len(b)-1])
		b[offCount]++
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRecord(b)
		if err != nil {
			if !errors.Is(err, ErrRecord) && !errors.Is(err, ErrRecordVersion) && !errors.Is(err, ErrKey) {
				t.Fatalf("error of an unknown kind: %v", err)
			}
			return
		}
		if back := r.Append(nil); !bytes.Equal(back, b) {
			t.Fatalf("parsed %x, appended %x", b, back)
		}
		if len(b) > RecordSizeLimit || len(r.Addrs) > AddrLimit {
			t.Fatalf("%d bytes, %d addresses: over the limit", len(b), len(r.Addrs))
		}
	})
}

func BenchmarkRecordVerify(b *testing.B) {
	good := record(b, generate(b, 8, smallPuzzle), manyAddrs(4)...)
	forged := *good
	forged.Solution[31]++
	b.Run("good", func(b *testing.B) {
		for b.Loop() {
			if err := good.Verify(smallPuzzle); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("puzzle=unsolved", func(b *testing.B) {
		for b.Loop() {
			if err := forged.Verify(Puzzle{DynamicBits: 40}); err == nil {
				b.Fatal("verified")
			}
		}
	})
}

func BenchmarkParseRecord(b *testing.B) {
	raw := record(b, generate(b, 9, Puzzle{}), manyAddrs(4)...).Append(nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseRecord(raw); err != nil {
			b.Fatal(err)
		}
	}
}
