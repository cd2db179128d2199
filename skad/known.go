package skad

import (
	"encoding/binary"
	"slices"
)

// A node that looks around in its own neighbourhood has nearly every record that the answers would bring, and the records
// are nearly all that such an answer weighs. So it says in the question which ones it has, by fingerprints of two bytes,
// and the answer brings the others:
//
//	fingerprint = upper 16 bits of mix(mix(nonce ^ ID[3]) ^ ID[2] ^ mix(sequence number)), mix of SplitMix64
//
// Two records of 65,536 share one, so among 96 that the asker has one in 700 is left out by mistake: once, because the next
// question has another nonce and everybody is asked by several. Whoever wants to be taken for somebody else would have to
// know the nonce before his ID is hashed.
//
// Only records that are known to be genuine are named: a forged one must not keep the true one from being told.

// fingerprint is what stands for the record of a contact in a question with that nonce.
func fingerprint(nonce uint64, d *Contact) uint16 {
	h := mix(nonce ^ d.ID[3])
	return uint16(mix(h^d.ID[2]^mix(d.Record.Seq)) >> 48)
}

// known lists the fingerprints of what we have near the key of a lookup, and of what a path of it has found: half as many
// again as the answer may hold. What is farther from the key an answer has no room for, unless whoever gives it knows less
// than we do.
func (c *Core) known(nonce uint64, key *ID, ask uint8, found shortlist) []byte {
	near := min(int(ask)+int(ask)/2, fingerprintsOwn)
	var room [FingerprintLimit]uint16
	list := room[:0]
	var s selection
	closest((*tableRanking)(c), &c.self.ID, key, near, &s)
	for _, pos := range s.pos[:s.n] {
		list = append(list, fingerprint(nonce, c.slots[c.members[pos]].contact))
	}
	for i := range found[:min(near, len(found))] {
		if len(list) == FingerprintLimit {
			break
		}
		if found[i].checked {
			list = append(list, fingerprint(nonce, found[i].contact))
		}
	}
	slices.Sort(list)
	list = slices.Compact(list)
	b := make([]byte, 0, 2*len(list))
	for _, f := range list {
		b = binary.LittleEndian.AppendUint16(b, f)
	}
	return b
}

// named reports whether a fingerprint is among those of a question, which are in rising order.
func named(known []byte, f uint16) bool {
	lo, hi := 0, len(known)/2
	for lo < hi {
		m := (lo + hi) / 2
		switch at := binary.LittleEndian.Uint16(known[2*m:]); {
		case at == f:
			return true
		case at < f:
			lo = m + 1
		default:
			hi = m
		}
	}
	return false
}

// checkKnown reports whether known is what Core.known makes: at most FingerprintLimit fingerprints, rising.
func checkKnown(known []byte) bool {
	if len(known)%2 != 0 || len(known) > 2*FingerprintLimit {
		return false
	}
	for i := 2; i < len(known); i += 2 {
		if binary.LittleEndian.Uint16(known[i:]) <= binary.LittleEndian.Uint16(known[i-2:]) {
			return false
		}
	}
	return true
}
