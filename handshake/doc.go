// Package handshake proves two nodes to each other over three messages and leaves them with a key for each direction.
//
// It is Noise_XX_25519_AESGCM_SHA256 (noiseprotocol.org, revision 34) with node records as payloads:
//
//	initiator                                                              responder
//	    │ 1  e, hello: u8 version, 8 bytes network tag             41 bytes    │
//	    ├─────────────────────────────────────────────────────────────────────▶│ version? network? else refused before any DH
//	    │ 2  e, ee, s, es, proof: record, parameters          ~300 bytes       │
//	    │◀─────────────────────────────────────────────────────────────────────┤
//	    │ responder's record: static key is Noise's? not me? whom I wanted?    │
//	    │ puzzles? signature? Only then it says who it is:                     │
//	    │ 3  s, se, proof: record, parameters                 ~250 bytes       │
//	    ├─────────────────────────────────────────────────────────────────────▶│ the same questions of the initiator's record
//	    ▼                                                                      ▼
//	  done: two RecordKeys, the other's record and ID, a binding that both ends share and nobody else has had
//
// On a stream each message has a u16 length, little endian, in front (NextMessage). Prologue, which both sides mix in:
//
//	"carrier/1" | u8 length of network id | network id | u8 c1 | u8 c2
//
// Payload of messages 2 and 3:
//
//	u16 length of record | record (package identity) | parameters: any number of u8 type | u16 length | value
//
// Machine is the handshake without sockets: bytes and the time go in, bytes come out. It belongs to one goroutine at a
// time. RecordKey seals and opens what follows; Window keeps datagrams from being replayed.
//
// What it is not: it does not frame records (package framing), does not say how many handshakes there may be, and does
// not hide a node's address or that it speaks carrier. The responder shows its record to anyone who asks with the right
// network tag.
//
// Every error of Machine.Receive is the peer's doing, or the path's, except ErrState, which is the caller's; all end the
// handshake. Errors of the constructors and of Config.Validate are ours.
package handshake
