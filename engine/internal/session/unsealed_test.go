package session

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/handshake"
)

// unsealed is the wire of messages that a link seals, from memory that held something else before.
func unsealed(t *testing.T, bufs *Buffers, msgs [][]byte) []byte {
	dirty, err := bufs.Get(1 << 19)
	if err != nil {
		t.Fatal(err)
	}
	for i := range dirty[:cap(dirty)] {
		dirty[:cap(dirty)][i] = 0xee
	}
	bufs.Put(dirty)
	var s Sender
	s.StartUnsealed()
	return sealed(t, &s, bufs, msgs)
}

func TestUnsealed(t *testing.T) {
	bufs := NewBuffers(64 << 20)
	msgs := payloads(300, rand.New(rand.NewPCG(1, 2)))
	wire := unsealed(t, bufs, msgs)
	var r Receiver
	r.StartUnsealed()
	defer r.Stop(bufs)
	var got [][]byte
	for len(wire) > 0 { // in pieces, so that records are carried, too
		n := min(len(wire), 5000)
		for b := bytes.Clone(wire[:n]); len(b) > 0; {
			plain, rest, ok, err := r.Next(b, bufs)
			if err != nil {
				t.Fatal(err)
			}
			b = rest
			for ok && len(plain) > 0 {
				var f framing.Frame
				k, err := f.Next(plain)
				if err != nil {
					t.Fatal(err)
				}
				got, plain = append(got, bytes.Clone(f.Payload)), plain[k:]
			}
		}
		wire = wire[n:]
	}
	if len(got) != len(msgs) {
		t.Fatalf("%d messages of %d", len(got), len(msgs))
	}
	for i := range got {
		if !bytes.Equal(got[i], msgs[i]) {
			t.Fatalf("message %d differs", i)
		}
	}
}

// Sealed and unsealed sessions refuse each other's records.
func TestSealedAndUnsealedDoNotMix(t *testing.T) {
	bufs := NewBuffers(64 << 20)
	one := [][]byte{[]byte("a message")}
	send, recv := keys(t)
	var s Sender
	s.Start(send)
	sealedWire, plainWire := sealed(t, &s, bufs, one), unsealed(t, bufs, one)

	var plain, secret Receiver
	plain.StartUnsealed()
	secret.Start(recv)
	if _, _, ok, err := plain.Next(sealedWire, bufs); ok || !errors.Is(err, ErrSealed) {
		t.Errorf("an unsealed session takes a sealed record: %v, %v", ok, err)
	}
	if _, _, ok, err := secret.Next(plainWire, bufs); ok || !errors.Is(err, handshake.ErrOpen) {
		t.Errorf("a sealed session takes an unsealed record: %v, %v", ok, err)
	}
	for i := range framing.TagSize {
		wire := unsealed(t, bufs, one)
		wire[len(wire)-1-i] = 1
		var r Receiver
		r.StartUnsealed()
		if _, _, _, err := r.Next(wire, bufs); !errors.Is(err, ErrSealed) {
			t.Errorf("byte %d of the tag is not looked at: %v", framing.TagSize-1-i, err)
		}
	}
}
