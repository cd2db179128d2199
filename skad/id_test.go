package skad

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/carrier-p2p/carrier/handshake/identity"
)

func idGen() *rapid.Generator[ID] {
	return rapid.Custom(func(t *rapid.T) ID {
		return ID{rapid.Uint64().Draw(t, "w0"), rapid.Uint64().Draw(t, "w1"), rapid.Uint64().Draw(t, "w2"), rapid.Uint64().Draw(t, "w3")}
	})
}

// slowPrefix counts common bits one by one, from the bytes.
func slowPrefix(a, b identity.ID) int {
	for i := range 256 {
		if (a[i/8]^b[i/8])>>(7-i%8)&1 == 1 {
			return i
		}
	}
	return 256
}

func TestIDProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, key := idGen().Draw(t, "a"), idGen().Draw(t, "b"), idGen().Draw(t, "key")
		if keep := rapid.IntRange(0, 3).Draw(t, "words in common"); keep > 0 {
			copy(b[:keep], a[:keep])
		}
		if got := IDOf(a.Identity()); got != a {
			t.Fatalf("bytes and back: %v, want %v", got, a)
		}
		if got, want := CommonPrefix(a, b), slowPrefix(a.Identity(), b.Identity()); got != want {
			t.Fatalf("common prefix %d, want %d", got, want)
		}
		if got, want := closer(&key, &a, &b), a.Xor(key).Compare(b.Xor(key)) < 0; got != want {
			t.Fatalf("closer %v, Compare says %v", got, want)
		}
		if got, want := a.Compare(b) < 0, a.Identity().Less(b.Identity()); got != want {
			t.Fatalf("Compare %v, identity.Less %v", got, want)
		}
		if a.Xor(b).Xor(b) != a || CommonPrefix(a, a) != IDBits {
			t.Fatal("xor twice is not nothing")
		}
	})
}

func TestRandomIn(t *testing.T) {
	rnd := newRand(1)
	self := randomID(rnd)
	for prefix := range IDBits {
		a, b := self.randomIn(prefix, rnd), self.randomIn(prefix, rnd)
		if CommonPrefix(self, a) != prefix {
			t.Fatalf("asked for a key sharing %d bits, got %d", prefix, CommonPrefix(self, a))
		}
		if prefix < 200 && a == b {
			t.Fatalf("two random keys sharing %d bits are equal", prefix)
		}
	}
}
