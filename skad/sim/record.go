package sim

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
)

// errForged is what the notary says about a record that its owner did not sign.
var errForged = errors.New("sim: forged record")

// A notary signs the records of all nodes and checks them: a keyed hash stands for the signature, in a tenth
// of a microsecond instead of fifty. Every contact exists once and is shared by all nodes that know it.
type notary struct {
	key      [2]uint64
	gullible bool // believe everything: what happens without signatures
}

// sign returns the signature of a record: over its key, its number, what it is and where it is.
func (v *notary) sign(r *identity.Record) (sig [64]byte) {
	h := v.key[0]
	add := func(x uint64) { h = mix(h ^ x) }
	for i := 0; i < len(r.PublicKey); i += 8 {
		add(binary.LittleEndian.Uint64(r.PublicKey[i:]))
	}
	add(r.Seq)
	add(uint64(r.Flags))
	for _, a := range r.Addrs {
		ip := a.Addr().As16()
		add(binary.LittleEndian.Uint64(ip[:8]))
		add(binary.LittleEndian.Uint64(ip[8:]) + uint64(a.Port()))
	}
	binary.LittleEndian.PutUint64(sig[:], mix(h^v.key[1]))
	return sig
}

// Puzzle accepts everything: what proofs of work cost is a matter of arithmetic, and no adversary here has
// more identities than it was given.
func (v *notary) Puzzle(*skad.Contact) error { return nil }

// Signature checks a record.
func (v *notary) Signature(c *skad.Contact) error {
	if v.gullible || c.Record.Signature == v.sign(&c.Record) {
		return nil
	}
	return errForged
}

// contact makes a signed contact with a random key at an address.
func (v *notary) contact(rnd *rand.Rand, at netip.Addr, flags identity.Flags) *skad.Contact {
	rec := identity.Record{PublicKey: randomKey(rnd), Addrs: []transport.Addr{addrOf(at)}, Seq: 1, Flags: flags}
	rec.Signature = v.sign(&rec)
	return skad.NewContact(rec, skad.Private)
}

// near makes a signed contact whose ID shares its first bits with key. It takes 2^bits tries, as it would in earnest.
func (v *notary) near(rnd *rand.Rand, key skad.ID, bits int, at netip.Addr) *skad.Contact {
	rec := identity.Record{Addrs: []transport.Addr{addrOf(at)}, Seq: 1}
	for {
		rec.PublicKey = randomKey(rnd)
		if skad.CommonPrefix(skad.IDOf(rec.ID()), key) >= bits {
			rec.Signature = v.sign(&rec)
			return skad.NewContact(rec, skad.Private)
		}
	}
}

// forge returns a contact of somebody else at another address, with the signature it had.
func forge(c *skad.Contact, at netip.Addr) *skad.Contact {
	rec := c.Record
	rec.Addrs = []transport.Addr{addrOf(at)}
	return skad.NewContact(rec, skad.Private)
}

func randomKey(rnd *rand.Rand) (k identity.PublicKey) {
	for i := 0; i < len(k); i += 8 {
		binary.LittleEndian.PutUint64(k[i:], rnd.Uint64())
	}
	return k
}

func randomID(rnd *rand.Rand) (id skad.ID) {
	for i := range id {
		id[i] = rnd.Uint64()
	}
	return id
}

func addrOf(ip netip.Addr) transport.Addr {
	return transport.Addr{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(ip, 4001)}
}

// Addresses. Nodes live in 10.0.0.0/8, which the scope of the simulation does not group: each stands for a
// customer of its own. Who owns one subnet only gets public addresses, which are grouped as always.
func homeAddr(node uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(node >> 16), byte(node >> 8), byte(node)})
}

// nowhere is an address at which nobody lives.
func nowhere(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{172, 16 + byte(n>>16)&15, byte(n >> 8), byte(n)})
}

// mix is the finalizer of SplitMix64.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
