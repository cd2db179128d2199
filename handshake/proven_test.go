package handshake

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// newProvenPair makes both ends of a link that has proven linkA to b and linkB to a.
func newProvenPair(t testing.TB, a, b *Config, expect identity.ID, linkA, linkB identity.PublicKey) *pair {
	t.Helper()
	ma, err := NewProvenInitiator(a, 0, expect, linkB)
	if err != nil {
		t.Fatal(err)
	}
	mb, err := NewProvenResponder(b, 0, linkA)
	if err != nil {
		t.Fatal(err)
	}
	return &pair{t: t, a: ma, b: mb}
}

// runProven carries the responder's statement, then the initiator's.
func (p *pair) runProven() (errA, errB error) {
	p.a, p.b = p.b, p.a
	defer func() { p.a, p.b = p.b, p.a }()
	errB, errA = p.run(0)
	return errA, errB
}

func TestProven(t *testing.T) {
	a, b := node(t, 1), node(t, 2)
	for name, expect := range map[string]identity.ID{"whoever it is": {}, "expected": b.Identity.ID()} {
		t.Run(name, func(t *testing.T) {
			p := newProvenPair(t, a, b, expect, a.Identity.PublicKey(), b.Identity.PublicKey())
			p.b.Observe(addr(t, "quic://192.0.2.1:9"))
			if _, ok := p.a.Next(); ok {
				t.Fatal("the initiator speaks first")
			}
			if errA, errB := p.runProven(); errA != nil || errB != nil {
				t.Fatal(errA, errB)
			}
			if !p.a.Done() || !p.b.Done() || len(p.log) != 2 {
				t.Fatalf("after %d messages: done %v and %v", len(p.log), p.a.Done(), p.b.Done())
			}
			ra, rb := p.a.Result(), p.b.Result()
			if ra.ID != b.Identity.ID() || rb.ID != a.Identity.ID() || !bytes.Equal(ra.RemoteRaw, b.Record) || !bytes.Equal(rb.RemoteRaw, a.Record) {
				t.Errorf("the ends take each other for %v and %v", ra.ID, rb.ID)
			}
			if ra.Params.Instance != 1002 || rb.Params.Instance != 1001 || ra.Params.Observed != addr(t, "quic://192.0.2.1:9") {
				t.Errorf("parameters %+v and %+v", ra.Params, rb.Params)
			}
			if ra.Send.key != [keySize]byte{} || ra.Recv.key != [keySize]byte{} || ra.Binding != [32]byte{} {
				t.Error("there are keys although nothing was agreed upon")
			}
			if p.a.Deadline() != transport.Never {
				t.Error("a handshake that is done has a deadline")
			}
		})
	}
}

// Whom the initiator does not mean is not answered: it does not even begin.
func TestProvenInitiatorRefuses(t *testing.T) {
	a, b := node(t, 1), node(t, 2)
	if m, err := NewProvenInitiator(a, 0, node(t, 3).Identity.ID(), b.Identity.PublicKey()); !errors.Is(err, ErrPeerMismatch) || m != nil {
		t.Errorf("another than the expected: %v", err)
	}
	if m, err := NewProvenInitiator(a, 0, identity.ID{}, a.Identity.PublicKey()); !errors.Is(err, ErrSelf) || m != nil {
		t.Errorf("itself: %v", err)
	}
	bad := *a
	bad.Record = nil
	if _, err := NewProvenInitiator(&bad, 0, identity.ID{}, b.Identity.PublicKey()); err == nil {
		t.Error("a config without a record was taken")
	}
	if _, err := NewProvenResponder(&bad, 0, b.Identity.PublicKey()); err == nil {
		t.Error("a config without a record was taken")
	}
}

// What the link proves and what the record says must be one identity.
func TestProvenKeyAndRecord(t *testing.T) {
	a, b, c := node(t, 1), node(t, 2), node(t, 3)
	// The responder holds the key of c and shows the record of b.
	p := newProvenPair(t, a, b, identity.ID{}, a.Identity.PublicKey(), c.Identity.PublicKey())
	if errA, _ := p.runProven(); !errors.Is(errA, ErrAuthentication) {
		t.Errorf("the initiator took a stolen record: %v", errA)
	}
	dead(t, p.a)
	// The initiator does.
	p = newProvenPair(t, a, b, identity.ID{}, c.Identity.PublicKey(), b.Identity.PublicKey())
	if _, errB := p.runProven(); !errors.Is(errB, ErrAuthentication) {
		t.Errorf("the responder took a stolen record: %v", errB)
	}
	dead(t, p.b)
}

func TestProvenRefuses(t *testing.T) {
	a, b := node(t, 1), node(t, 2)
	other, weak := *b, *b
	other.NetworkID = "elsewhere"
	weak.Puzzle = identity.Puzzle{}
	unsigned := *b
	unsigned.Record = bytes.Clone(b.Record)
	unsigned.Record[len(unsigned.Record)-1] ^= 1
	good := (&Machine{c: b}).statement()[lengthSize:]
	at := func(i int, x byte) []byte { m := bytes.Clone(good); m[i] = x; return m }
	for _, c := range []struct {
		name string
		msg  []byte
		want error
	}{
		{"nothing", []byte{1}, ErrMessage},
		{"cut in the tag", good[:helloSize-1], ErrMessage},
		{"another version", at(0, 2), ErrVersion},
		{"another network", (&Machine{c: &other}).statement()[lengthSize:], ErrNetwork},
		{"other puzzles", (&Machine{c: &weak}).statement()[lengthSize:], ErrNetwork},
		{"no record", good[:helloSize], ErrMessage},
		{"cut in the record", good[:helloSize+50], ErrMessage},
		{"cut in the parameters", good[:len(good)-1], ErrMessage},
		{"a record that nobody signed", (&Machine{c: &unsigned}).statement()[lengthSize:], ErrAuthentication},
		{"our own", (&Machine{c: a}).statement()[lengthSize:], ErrAuthentication},
	} {
		for _, initiates := range []bool{false, true} {
			m, err := NewProvenResponder(a, 0, b.Identity.PublicKey())
			if initiates {
				m, err = NewProvenInitiator(a, 0, identity.ID{}, b.Identity.PublicKey())
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Receive(0, c.msg); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
			dead(t, m)
		}
	}
}

// Noise and statements do not mix: each side of one refuses the other's first word.
func TestProvenBesideNoise(t *testing.T) {
	a, b := node(t, 1), node(t, 2)
	noise, err := NewInitiator(a, 0, identity.ID{})
	if err != nil {
		t.Fatal(err)
	}
	proven, err := NewProvenResponder(b, 0, a.Identity.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	hello, _ := noise.Next()
	statement, _ := proven.Next()
	if err := proven.Receive(0, hello[lengthSize:]); !knownError(err) {
		t.Errorf("a Noise message was taken for a statement: %v", err)
	}
	if err := noise.Receive(0, statement[lengthSize:]); !knownError(err) {
		t.Errorf("a statement was taken for a Noise message: %v", err)
	}
}

func TestProvenTimeout(t *testing.T) {
	m, err := NewProvenResponder(node(t, 1), time.Second, node(t, 2).Identity.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	if at := m.Deadline(); at != time.Second+DefaultTimeout {
		t.Errorf("deadline %v", at)
	}
	if err := m.Expire(m.Deadline()); !errors.Is(err, ErrTimeout) {
		t.Errorf("Expire: %v", err)
	}
	dead(t, m)
}

// Law: whoever holds the key of b is accepted with the record of b, whole, and with no other.
func FuzzStatement(f *testing.F) {
	a, b := node(f, 1), node(f, 2)
	good := (&Machine{c: b}).statement()[lengthSize:]
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(append(bytes.Clone(good), 77, 0, 0))
	f.Add((&Machine{c: node(f, 3)}).statement()[lengthSize:])
	f.Fuzz(func(t *testing.T, msg []byte) {
		m, err := NewProvenInitiator(a, 0, identity.ID{}, b.Identity.PublicKey())
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Receive(0, msg); err != nil {
			if !knownError(err) {
				t.Fatalf("error of an unknown kind: %v", err)
			}
			dead(t, m)
			return
		}
		if r := m.Result(); !m.Done() || !bytes.Equal(r.RemoteRaw, b.Record) || !bytes.Equal(msg[:helloSize], good[:helloSize]) {
			t.Fatalf("accepted %x", msg)
		}
	})
}
