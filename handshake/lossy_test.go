package handshake

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/handshake/identity"
)

// lossyPair is two machines that take each other's messages over datagrams.
func lossyPair(t *testing.T) (a, b *Machine) {
	t.Helper()
	ca, cb := node(t, 1), node(t, 2)
	a, err := NewInitiator(ca, 0, cb.Identity.ID())
	if err != nil {
		t.Fatal(err)
	}
	b, err = NewResponder(cb, 0)
	if err != nil {
		t.Fatal(err)
	}
	a.Lossy()
	b.Lossy()
	return a, b
}

// next is the message that m has to write, without its length.
func next(t *testing.T, m *Machine) []byte {
	t.Helper()
	wire, ok := m.Next()
	if !ok {
		t.Fatalf("%v has nothing to write", m)
	}
	return wire[lengthSize:]
}

// Over datagrams a message that somebody has made up, cut, changed in one place or written as himself comes before each of the
// peer's: it is an error, and the handshake ends as it would have without.
func TestLossyForgeries(t *testing.T) {
	stranger := node(t, 3)
	for i := range 400 {
		a, b := lossyPair(t)
		forge := func(m *Machine, msg []byte) {
			t.Helper()
			forged := bytes.Clone(msg)
			switch at := i / 2 % len(msg); {
			case i == 0:
				forged = nil
			case i == 1:
				forged = bytes.Repeat([]byte{7}, MessageLimit+1)
			case i%2 == 1:
				forged = forged[:at]
			default:
				forged[at] ^= 1
			}
			before := m.state
			if err := m.Receive(time.Second, forged); err == nil {
				t.Fatalf("message %d was taken in state %v", i, before)
			}
			if m.Over() || m.state != before {
				t.Fatalf("message %d has moved %v to %v", i, before, m)
			}
		}
		hello := next(t, a)
		if i < 2 || i%2 == 1 { // a changed key in message 1 is another one's
			forge(b, hello)
		}
		if err := b.Receive(time.Second, hello); err != nil {
			t.Fatalf("%d: message 1: %v", i, err)
		}
		reply := next(t, b)
		forge(a, reply)
		other, err := NewResponder(stranger, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Receive(time.Second, hello); err != nil {
			t.Fatal(err)
		}
		if err := a.Receive(time.Second, next(t, other)); !errors.Is(err, ErrPeerMismatch) || a.Over() {
			t.Fatalf("%d: somebody else: %v, %v", i, err, a)
		}
		if err := a.Receive(time.Second, reply); err != nil {
			t.Fatalf("%d: message 2: %v", i, err)
		}
		proof := next(t, a)
		forge(b, proof)
		if err := b.Receive(time.Second, proof); err != nil {
			t.Fatalf("%d: message 3: %v", i, err)
		}
		if !a.Done() || !b.Done() {
			t.Fatalf("%d: %v and %v", i, a, b)
		}
		sameView(t, a.Result(), b.Result())
	}
}

// What ends a handshake over datagrams all the same: its deadline, and a proof that is the peer's own and wrong.
func TestLossyEnds(t *testing.T) {
	a, b := lossyPair(t)
	if err := a.Receive(a.Deadline(), nil); !errors.Is(err, ErrTimeout) || !a.Over() {
		t.Errorf("after the deadline: %v, %v", err, a)
	}
	liar := node(t, 1)
	liar.Record = slices.Clone(liar.Record)
	liar.Record[2]++
	a, err := NewInitiator(liar, 0, identity.ID{})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Receive(0, next(t, a)); err != nil {
		t.Fatal(err)
	}
	if err := a.Receive(0, next(t, b)); err != nil {
		t.Fatal(err)
	}
	if err := b.Receive(0, next(t, a)); !errors.Is(err, ErrAuthentication) || !b.Over() {
		t.Errorf("a proof that is wrong: %v, %v", err, b)
	}
}
