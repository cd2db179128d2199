package handshake

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/carrier-p2p/carrier/handshake/identity"
)

// fuzzErrors are all errors that a peer can cause.
var fuzzErrors = []error{ErrVersion, ErrNetwork, ErrMessage, ErrMessageTooLong, ErrAuthentication, ErrLowOrder, ErrPuzzle, ErrPeerMismatch, ErrSelf}

func knownError(err error) bool {
	for _, known := range fuzzErrors {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// Law: whatever comes in whatever state, a machine either fails with a known error and is dead, or it moves on; it only
// moves on for a message of the honest peer, or, in message 1, for a hello of the right network with any e.
func FuzzMachine(f *testing.F) {
	ca, cb := node(f, 1), node(f, 2)
	fresh := func(t testing.TB) *pair { // the same every time, to the last byte
		a, b := *ca, *cb
		a.Rand, b.Rand = rand.NewChaCha8([32]byte{1}), rand.NewChaCha8([32]byte{2})
		return newPair(t, &a, &b, identity.ID{})
	}
	honest := fresh(f)
	honest.run(0)
	for number, msg := range honest.log {
		f.Add(byte(number), msg)
		f.Add(byte(number), msg[:len(msg)-1])
		f.Add(byte(number+1), msg)
	}
	f.Add(byte(1), make([]byte, MessageLimit))
	f.Add(byte(2), []byte{})
	f.Fuzz(func(t *testing.T, number byte, msg []byte) {
		number %= 3
		p := fresh(t)
		m, before := p.b, awaitHello
		switch number {
		case 1:
			m, before = p.a, awaitReply
		case 2:
			before = awaitProof
			if err := m.Receive(0, honest.log[0]); err != nil {
				t.Fatal(err)
			}
			m.Next()
		}
		if m.state != before {
			t.Fatalf("state %v, want %v", m.state, before)
		}
		keep := bytes.Clone(msg)
		err := m.Receive(0, msg)
		if !bytes.Equal(msg, keep) {
			t.Fatal("Receive wrote into the message")
		}
		if err != nil {
			if !knownError(err) {
				t.Fatalf("error of an unknown kind: %v", err)
			}
			dead(t, m)
			return
		}
		if number == 0 {
			if m.state != awaitProof || !bytes.Equal(msg[offHello:], honest.log[0][offHello:]) {
				t.Fatalf("hello %x leads to %v", msg, m.state)
			}
			return
		}
		// The top bit of e is ignored by X25519 but not by the transcript, so only the very message passes.
		if !m.Done() || !bytes.Equal(msg, honest.log[number]) {
			t.Fatalf("message %d, %x: done %v", number+1, msg, m.Done())
		}
	})
}

// Law: a peer that follows Noise and says anything at all in its payload is accepted only with the one record that it
// owns, and what is kept of it is bounded.
func FuzzProof(f *testing.F) {
	ca, cb := node(f, 1), node(f, 2)
	static := cb.Identity.StaticPublic()
	m, err := NewInitiator(ca, 0, identity.ID{})
	if err != nil {
		f.Fatal(err)
	}
	other := &Machine{c: cb}
	good := other.appendProof(nil)
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(append(bytes.Clone(good), 77, 0, 0))
	f.Add((&Machine{c: node(f, 3)}).appendProof(nil))
	f.Fuzz(func(t *testing.T, payload []byte) {
		r, err := m.checkProof(payload, static[:])
		if err != nil {
			if !knownError(err) || r != nil {
				t.Fatalf("%v, %v", r, err)
			}
			return
		}
		if !bytes.Equal(r.RemoteRaw, cb.Record) || r.ID != cb.Identity.ID() || len(r.Params.Agent) > AgentLimit {
			t.Fatalf("accepted %x as %s", payload, r.ID)
		}
	})
}

// Law: no bytes open but those sealed; nothing panics; plain lies inside body.
func FuzzOpen(f *testing.F) {
	seal, _ := keyPair(3)
	sealed := record("plaintext", 0)
	if err := seal.Seal(seal.Expand(), sealed); err != nil {
		f.Fatal(err)
	}
	f.Add(bytes.Clone(sealed), uint64(3), false)
	f.Add(bytes.Clone(sealed), uint64(3), true)
	f.Add(sealed[:10], uint64(RekeyEvery), true)
	f.Fuzz(func(t *testing.T, rec []byte, counter uint64, datagram bool) {
		if len(rec) < headerSize {
			return
		}
		rec = bytes.Clone(rec) // opened in place
		_, open := keyPair(3)
		honest := bytes.Equal(rec, sealed) && (counter == 3 || !datagram)
		var plain []byte
		var err error
		if datagram {
			plain, err = open.OpenAt(open.Expand(), counter, rec[:headerSize], rec[headerSize:])
		} else {
			plain, err = open.Open(open.Expand(), rec[:headerSize], rec[headerSize:])
		}
		if (err == nil) != honest || honest && string(plain) != "plaintext" {
			t.Fatalf("%q, %v, honest %v", plain, err, honest)
		}
		if err != nil && !errors.Is(err, ErrOpen) && !errors.Is(err, ErrNonceEnd) {
			t.Fatalf("error of an unknown kind: %v", err)
		}
	})
}
