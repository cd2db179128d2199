// Package framing cuts a byte stream into records and an opened record into frames, and writes both.
//
//	stream   ┌────────────┬──────────┬────────────┬──────────┬─ ...
//	         │ header (4) │  body    │ header (4) │  body    │
//	         └────────────┴────┬─────┴────────────┴──────────┴─ ...
//	                           │ opened: AES-256-GCM, elsewhere
//	record             ┌───────┴──────┬─────────┬──────────────┬─────────┐
//	                   │ header (12)  │ payload │ header (12)  │ payload │
//	                   └──────────────┴─────────┴──────────────┴─────────┘
//
//	record  offset size field     meaning                                   checked by
//	        0      3    length    of the body, little endian                RecordLen: TagSize to RecordBodyLimit
//	        3      1    kind      what is sealed: KindFrames                RecordLen: no other
//	        4      len  body      ciphertext, then 16 bytes of tag          whoever opens it
//
//	frame   0      3    length    of the payload, little endian             NextFrame: 0 to FramePayloadLimit
//	        3      1    flags     reply, wants-ack, more, compressed        NextFrame: no others
//	        4      4    opcode    what the payload is, little endian        dispatch
//	        8      4    id        of a request or fragment; 0: none         Assembler, engine
//	        12     len  payload   the opcode's                              its codec
//
// A record holds whole frames only; frames are gathered into records of about RecordGather bytes, because a seal and a
// write cost the same for one frame as for two hundred. A message larger than a frame travels as fragments, which an
// Assembler joins.
//
// The package is not encryption (handshake seals and opens bodies) and knows of messages only the few that the engine
// itself exchanges (Close, Credit). Its functions keep no state and may be called from anywhere; an Assembler belongs to
// its peer's loop. Every slice returned aliases the one given and lives as long, unless its function says otherwise.
//
// Errors are the peer's fault, are sentinels for errors.Is, and all mean that the connection has to end: either the
// boundaries of the stream are lost, or an authenticated peer broke the protocol. What a caller of ours does wrong (a
// payload longer than a frame) is a bug and panics.
//
// Dump and its sisters explain bytes to people; they are for tests and tools, never for the serving path.
package framing
