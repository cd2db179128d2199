// Package identity says who a node is, what that name has cost, and where the node can be found.
//
//	seed (32 bytes, secret)
//	  ├─ Ed25519 ──▶ public key ── BLAKE2b-256 ──▶ ID ──┬─ static puzzle:  BLAKE2b-256(ID)       >= c1 leading zero bits
//	  │                                                 └─ dynamic puzzle: BLAKE2b-256(ID xor X) >= c2 leading zero bits
//	  └─ BLAKE2b-256 with a domain ──▶ X25519 static key, which the handshake uses
//
// The puzzles are those of S/Kademlia (Baumgart and Mies 2007, section 4.1). The static one makes it expensive to choose an
// ID, since every try costs a key; the dynamic one makes it expensive to have many. See Puzzle for one departure from
// the paper that the second needs in order to mean anything.
//
// A Record is the one signed object of a network: certificate in the handshake, contact in the overlay.
//
//	offset size field      meaning                                             checked by ParseRecord
//	0      1    version    1                                                   is 1
//	1      1    flags      bit 0 client, bit 1 relay                           no other bit
//	2      8    seq        rises with every change of the record, LE           -
//	10     32   public key Ed25519                                             canonical, not of low order
//	42     8    solution   the last 8 bytes of X; the first 24 are zero        -
//	50     32   static     X25519 key that the owner uses in handshakes        -
//	82     1    count      of addresses                                        at most AddrLimit
//	83     ...  addresses  u8 proto | u8 4 or 6 | 4 or 16 bytes IP | u16 port  see ParseRecord
//	...    64   signature  Ed25519 over u8 len | domain | all bytes before     last, nothing after it
//
// The encoding is canonical: what ParseRecord accepts, Append writes again to the same bytes.
//
// What this package is not: it decides nothing about trust. That a Record verifies says that the owner of the key wrote
// it and solved the puzzles; not that the addresses answer, nor that it is the owner's latest.
//
// Nothing here keeps state but the Cache, and all of it may be used from any goroutine. Errors are sentinels to be matched
// with errors.Is. Every error of ParseRecord and Verify is the fault of whoever wrote the record.
package identity
