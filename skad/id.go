package skad

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"

	"github.com/carrier-p2p/carrier/handshake/identity"
)

// IDBits is the length of an ID, and the number of buckets a table can have.
const IDBits = 256

// An ID is an identity.ID, or any other key, as four words, the most significant first. It is the same 256-bit number;
// in this form a distance costs four instructions. The zero ID is an ordinary key, but no node's.
type ID [4]uint64

// IDOf returns id as words.
func IDOf(id identity.ID) ID {
	be := binary.BigEndian
	return ID{be.Uint64(id[0:]), be.Uint64(id[8:]), be.Uint64(id[16:]), be.Uint64(id[24:])}
}

// Identity returns the 32 bytes again.
func (a ID) Identity() (id identity.ID) {
	for i, w := range a {
		binary.BigEndian.PutUint64(id[8*i:], w)
	}
	return id
}

// String returns the first 16 hexadecimal digits.
func (a ID) String() string { return a.Identity().Short() }

// Xor returns the distance between a and b as Kademlia defines it: a number that Compare orders.
func (a ID) Xor(b ID) ID { return ID{a[0] ^ b[0], a[1] ^ b[1], a[2] ^ b[2], a[3] ^ b[3]} }

// Compare orders IDs, and distances, as numbers: -1, 0, 1.
func (a ID) Compare(b ID) int {
	for i := range a {
		if a[i] != b[i] {
			if a[i] < b[i] {
				return -1
			}
			return 1
		}
	}
	return 0
}

// CommonPrefix returns how many leading bits a and b share: 0 to IDBits. It is the index of the bucket in which a keeps
// b.
func CommonPrefix(a, b ID) int {
	for i := range a {
		if d := a[i] ^ b[i]; d != 0 {
			return 64*i + bits.LeadingZeros64(d)
		}
	}
	return IDBits
}

// closer reports whether a is strictly closer to key than b.
func closer(key, a, b *ID) bool {
	for i := range key {
		da, db := a[i]^key[i], b[i]^key[i]
		if da != db {
			return da < db
		}
	}
	return false
}

// fraction returns a distance as a part of the whole space, 0 to 1.
func (a ID) fraction() float64 {
	return float64(a[0])/(1<<64) + float64(a[1])/(1<<64)/(1<<64)
}

// randomIn returns a random key that shares exactly prefix bits with a; prefix < IDBits.
func (a ID) randomIn(prefix int, rnd *rand.Rand) ID {
	var r ID
	for i := range r {
		r[i] = rnd.Uint64()
	}
	for i := range r {
		switch from := prefix - 64*i; { // the bit of word i that must differ, counted from its top
		case from >= 64:
			r[i] = a[i]
		case from >= 0:
			flip := uint64(1) << (63 - from)
			r[i] = a[i]&^(flip-1)&^flip | ^a[i]&flip | r[i]&(flip-1)
		}
	}
	return r
}
