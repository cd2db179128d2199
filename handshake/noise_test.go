package handshake

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"testing"

	reference "github.com/flynn/noise"
	"pgregory.net/rapid"

	"github.com/carrier-p2p/carrier/handshake/identity"
)

// ends makes both ends of a handshake, one of them the reference's.
func ends(t *rapid.T, initiator bool) (*noise, *reference.HandshakeState) {
	random := rand.NewChaCha8([32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "seed")))
	ours, err1 := curve25519{}.GenerateKeypair(random)
	theirs, err2 := curve25519{}.GenerateKeypair(random)
	prologue := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "prologue")
	x, err3 := newNoise(initiator, [32]byte(ours.Private), [32]byte(ours.Public), prologue, random)
	ref, err4 := reference.NewHandshakeState(reference.Config{CipherSuite: suite, Pattern: reference.HandshakeXX,
		Initiator: !initiator, Prologue: prologue, StaticKeypair: theirs, Random: random})
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	return x, ref
}

// Whatever is said, an independent implementation understands us and we understand it, and both find the same keys.
func TestNoiseAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		initiator := rapid.Bool().Draw(t, "initiator")
		x, ref := ends(t, initiator)
		var k referenceKeys
		for message := range patternXX {
			payload := rapid.SliceOfN(rapid.Byte(), 0, 700).Draw(t, "payload")
			var got []byte
			var err error
			if initiator == (message%2 == 0) {
				var out []byte
				if out, err = x.write(nil, payload); err != nil {
					t.Fatalf("write: %v", err)
				}
				got, k.toResponder, k.toInitiator, err = ref.ReadMessage(nil, out)
			} else {
				var out []byte
				if out, k.toResponder, k.toInitiator, err = ref.WriteMessage(nil, payload); err != nil {
					t.Fatalf("the reference: %v", err)
				}
				sent := bytes.Clone(out)
				if got, err = x.read(out); !bytes.Equal(out, sent) {
					t.Fatal("read has changed what it was given")
				}
			}
			if err != nil || !bytes.Equal(got, payload) {
				t.Fatalf("message %d: %x, %v, want %x", message+1, got, err, payload)
			}
		}
		toResponder, toInitiator := x.split()
		if toResponder != k.toResponder.UnsafeKey() || toInitiator != k.toInitiator.UnsafeKey() {
			t.Fatal("other keys than the reference's")
		}
		if !bytes.Equal(x.transcript[:], ref.ChannelBinding()) || !bytes.Equal(x.staticPublic[:], ref.PeerStatic()) {
			t.Fatal("another transcript, or another peer, than the reference's")
		}
	})
}

// Every message that is cut off anywhere, or has one bit changed, is refused by what it says, and none panics.
func TestNoiseRefuses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		initiator := rapid.Bool().Draw(t, "initiator")
		x, ref := ends(t, initiator)
		last := 2
		if initiator {
			last = 1
		}
		for message := range last {
			var err error
			if initiator == (message%2 == 0) {
				var out []byte
				if out, err = x.write(nil, nil); err == nil {
					_, _, _, err = ref.ReadMessage(nil, out)
				}
			} else {
				var out []byte
				if out, _, _, err = ref.WriteMessage(nil, nil); err == nil {
					_, err = x.read(out)
				}
			}
			if err != nil {
				t.Fatalf("message %d: %v", message+1, err)
			}
		}
		out, _, _, err := ref.WriteMessage(nil, []byte("a payload"))
		if err != nil {
			t.Fatal(err)
		}
		if rapid.Bool().Draw(t, "cut") {
			out = out[:rapid.IntRange(0, len(out)-1).Draw(t, "length")]
		} else {
			out[rapid.IntRange(0, len(out)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		}
		if _, err := x.read(out); !errors.Is(err, ErrAuthentication) && !errors.Is(err, ErrMessage) && !errors.Is(err, ErrLowOrder) {
			t.Fatalf("a spoiled message %d: %v", last+1, err)
		}
	})
}

func TestHMAC(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key"))
		data := rapid.SliceOfN(rapid.Byte(), 0, 33).Draw(t, "data")
		h := hmac.New(sha256.New, key[:])
		h.Write(data)
		if got := hmacSHA256(&key, data); !hmac.Equal(got[:], h.Sum(nil)) {
			t.Fatalf("HMAC %x, want %x", got, h.Sum(nil))
		}
	})
}

// What a handshake leaves to the collector is what thousands of newcomers cost beside the arithmetic.
func TestHandshakeAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	ca, cb := node(t, 1), node(t, 2)
	ca.Cache, cb.Cache = identity.NewCache(4), identity.NewCache(4)
	ca.Rand, cb.Rand = nil, nil
	const most = 46 // both ends, ciphers and parsed records included; a general implementation of Noise takes 200 more
	if n := testing.AllocsPerRun(20, func() {
		if errA, errB := newPair(t, ca, cb, identity.ID{}).run(0); errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
	}); n > most {
		t.Errorf("a handshake allocates %v times, promised %d", n, most)
	}
}
