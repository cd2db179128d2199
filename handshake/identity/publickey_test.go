package identity

import (
	"crypto/ed25519"
	"errors"
	"testing"
)

// The canary for Check: crypto/ed25519 takes one constant signature, made without any secret, for many messages under
// each key of low order. This also proves that the keys in the table are of low order.
func TestLowOrderKeysAreForgeable(t *testing.T) {
	forged := [64]byte{1} // R is the neutral point, S is 0
	for _, y := range lowOrderY {
		for _, sign := range []byte{0, 0x80} {
			key := PublicKey(y)
			key[31] |= sign
			taken := 0
			for n := range 256 {
				msg := []byte{byte(n)}
				if ed25519.Verify(key[:], appendSigned(nil, "d", msg), forged[:]) {
					taken++
				}
				if key.Verify("d", msg, &forged) {
					t.Fatalf("%v: our Verify takes the forgery", key)
				}
			}
			if sign == 0 && taken == 0 {
				t.Errorf("%v: not one of 256 forgeries works, so it is not of low order", key)
			}
			if err := key.Check(); !errors.Is(err, ErrKey) {
				t.Errorf("%v: Check gives %v, want ErrKey", key, err)
			}
		}
	}
}

func TestKeyCheck(t *testing.T) {
	for first := 0xed; first <= 0xff; first++ {
		for _, sign := range []byte{0, 0x80} {
			k := PublicKey(nearP(byte(first)))
			k[31] |= sign
			if err := k.Check(); !errors.Is(err, ErrKey) {
				t.Errorf("y = p+%d, sign %x: %v, want ErrKey", first-0xed, sign, err)
			}
		}
	}
	good := []PublicKey{PublicKey(nearP(0xeb)), {2}, {3, 31: 0x80}}
	inner := PublicKey(nearP(0xff))
	inner[17] = 0xfe
	for _, k := range append(good, inner) {
		if err := k.Check(); err != nil {
			t.Errorf("%v is below p and not of low order: %v", k, err)
		}
	}
	for n := range byte(20) {
		if err := generate(t, n, Puzzle{}).PublicKey().Check(); err != nil {
			t.Errorf("key of an identity: %v", err)
		}
	}
}

func BenchmarkKeyCheck(b *testing.B) {
	k := generate(b, 1, Puzzle{}).PublicKey()
	for b.Loop() {
		if k.Check() != nil {
			b.Fatal("refused")
		}
	}
}
