package handshake

import (
	"fmt"
	"testing"

	"github.com/carrier-p2p/carrier/handshake/identity"
)

// Both ends of one handshake, from nothing to two results. With a cache, as for a reconnect, no signature is checked.
func BenchmarkHandshake(b *testing.B) {
	for _, cached := range []bool{false, true} {
		b.Run(fmt.Sprintf("cached=%v", cached), func(b *testing.B) {
			ca, cb := node(b, 1), node(b, 2)
			ca.Rand, cb.Rand = nil, nil
			if cached {
				ca.Cache, cb.Cache = identity.NewCache(4), identity.NewCache(4)
			}
			b.ReportAllocs()
			for b.Loop() {
				p := newPair(b, ca, cb, identity.ID{})
				if errA, errB := p.run(0); errA != nil || errB != nil {
					b.Fatal(errA, errB)
				}
			}
		})
	}
}

// What a stranger can make a responder spend: with a connection alone, with a hello of another network, and with a good
// hello.
func BenchmarkResponder(b *testing.B) {
	ca, cb := node(b, 1), node(b, 2)
	ca.Rand, cb.Rand = nil, nil
	a, err := NewInitiator(ca, 0, identity.ID{})
	if err != nil {
		b.Fatal(err)
	}
	out, _ := a.Next()
	hello := out[lengthSize:]
	foreign := append([]byte(nil), hello...)
	foreign[offHello+1] ^= 1
	for _, c := range []struct {
		name string
		msg  []byte
	}{{"new", nil}, {"hello=foreign", foreign}, {"hello=good", hello}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m, err := NewResponder(cb, 0)
				if err != nil {
					b.Fatal(err)
				}
				if c.msg != nil {
					_ = m.Receive(0, c.msg)
				}
			}
		})
	}
}
