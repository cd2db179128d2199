package handshake

import (
	"bytes"
	"crypto/ecdh"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"pgregory.net/rapid"
)

// key reads a key in hexadecimal.
func key(t testing.TB, s string) *[keySize]byte {
	t.Helper()
	k := [keySize]byte(unhex(t, s))
	return &k
}

// The vectors of RFC 7748 5.2, where any u is multiplied by any scalar, and 6.1, where two ends agree.
func TestX25519Vectors(t *testing.T) {
	for _, v := range []struct{ scalar, u, want string }{
		{"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
			"e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
			"c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"},
		{"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d", // u with its top bit set, which counts for nothing
			"e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
			"95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"},
		{"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
			"de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
			"4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"},
	} {
		var got [keySize]byte
		if err := sharedSecret(&got, key(t, v.scalar), key(t, v.u)); err != nil || got != *key(t, v.want) {
			t.Errorf("%s times %s: %x, %v, want %s", v.scalar, v.u, got, err, v.want)
		}
	}
	var got [keySize]byte
	publicKey(&got, key(t, "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"))
	if want := key(t, "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"); got != *want {
		t.Errorf("public key %x, want %x", got, *want)
	}
}

// RFC 7748 5.2: each secret is the next scalar, each scalar the next u. The first of the thousand is a public key.
func TestX25519Iterated(t *testing.T) {
	k, u := [keySize]byte{9}, [keySize]byte{9}
	publicKey(&u, &k)
	for round := 1; ; round++ {
		var secret, before [keySize]byte
		if before = k; round == 1 {
			secret, u = u, [keySize]byte{9}
		} else if err := sharedSecret(&secret, &k, &u); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		k, u = secret, before
		switch {
		case round == 1 && k != *key(t, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"):
			t.Fatalf("after one round %x", k)
		case round == 1000:
			if k != *key(t, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51") {
				t.Errorf("after a thousand rounds %x", k)
			}
			return
		}
	}
}

// lowOrder are all encodings of a u of low order, the top bit aside, which X25519 ignores: 0, 1, the two of order 8, p-1, p, p+1.
var lowOrder = []string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
	"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
}

// A secret that would be all zero is none.
func TestX25519LowOrder(t *testing.T) {
	for _, point := range lowOrder {
		for _, top := range []byte{0, 0x80} {
			u, secret := key(t, point), [keySize]byte{1}
			u[31] |= top
			if err := sharedSecret(&secret, &[keySize]byte{7}, u); !errors.Is(err, ErrLowOrder) || secret != [keySize]byte{} {
				t.Errorf("with %x: %x, %v, want ErrLowOrder", *u, secret, err)
			}
		}
	}
}

// Law: whatever the bytes, the standard library finds the same public key and the same secret, or refuses as well. And nobody's
// key is changed.
func agreeWithStandard(t testing.TB, private, public [keySize]byte) {
	t.Helper()
	ours, theirs := private, public
	var own, secret [keySize]byte
	publicKey(&own, &private)
	err := sharedSecret(&secret, &private, &public)
	if private != ours || public != theirs {
		t.Fatalf("keys changed: %x, %x", private, public)
	}
	k, err1 := ecdh.X25519().NewPrivateKey(private[:])
	u, err2 := ecdh.X25519().NewPublicKey(public[:])
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if want := k.PublicKey().Bytes(); !bytes.Equal(own[:], want) {
		t.Fatalf("public key of %x: %x, want %x", private, own, want)
	}
	want, refused := k.ECDH(u)
	if (err != nil) != (refused != nil) || err == nil && !bytes.Equal(secret[:], want) {
		t.Fatalf("%x times %x: %x, %v, want %x, %v", private, public, secret, err, want, refused)
	}
}

// edges are numbers on which a reduction modulo 2^255-19 goes wrong first: runs of ones and of zeros, with a few bytes changed.
func edges(t *rapid.T, name string) (k [keySize]byte) {
	if rapid.Bool().Draw(t, name+" at random") {
		return [keySize]byte(rapid.SliceOfN(rapid.Byte(), keySize, keySize).Draw(t, name))
	}
	fill := rapid.SampledFrom([]byte{0, 0xff}).Draw(t, name+" full of")
	for i := range k {
		k[i] = fill
	}
	for range rapid.IntRange(0, 4).Draw(t, name+" changes") {
		at := rapid.SampledFrom([]int{0, 1, 7, 8, 15, 16, 23, 24, 30, 31}).Draw(t, "at")
		k[at] = rapid.Byte().Draw(t, "to")
	}
	return k
}

func TestX25519AgreesWithStandard(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) { agreeWithStandard(t, edges(r, "private"), edges(r, "public")) })
}

func FuzzX25519(f *testing.F) {
	f.Add(bytes.Repeat([]byte{7}, keySize), bytes.Repeat([]byte{0xff}, keySize))
	for _, point := range lowOrder {
		f.Add(bytes.Repeat([]byte{7}, keySize), unhex(f, point))
	}
	f.Fuzz(func(t *testing.T, private, public []byte) {
		if len(private) == keySize && len(public) == keySize {
			agreeWithStandard(t, [keySize]byte(private), [keySize]byte(public))
		}
	})
}

// circl's assembly has two roads, for processors with and without BMI2 and ADX; this takes the one that this processor does not.
// The third, without assembly, is what -tags purego builds and other architectures have.
func TestX25519WithoutBMI2(t *testing.T) {
	const again = "CARRIER_X25519_AGAIN"
	if runtime.GOARCH != "amd64" || os.Getenv(again) != "" {
		t.Skip("one road only")
	}
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^Test(X25519|Noise|LowOrder)", "-test.count=1")
	c.Env = append(os.Environ(), again+"=1", "GODEBUG=cpu.bmi2=off,cpu.adx=off")
	if out, err := c.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("PASS")) {
		t.Errorf("without BMI2 and ADX: %v\n%s", err, out)
	}
}
