package framing

import "github.com/carrier-p2p/carrier/opcode"

// Sizes of the wire. They are version 1 of the protocol: docs/wire.md carries the same numbers and a test compares them.
const (
	// RecordHeaderSize is the clear front of a record: 3 bytes of length, 1 of kind. It is the additional data of the seal.
	RecordHeaderSize = 4

	// TagSize is the AES-256-GCM tag that ends every record body.
	TagSize = 16

	// FrameHeaderSize is length 3, flags 1, opcode 4, id 4. 12 bytes before 64 bytes of payload are 16 % of the wire; a
	// varint header would save 6 of them and cost a branch per byte where the parser now does two loads.
	FrameHeaderSize = 12
)

// Limits.
const (
	// FramePayloadLimit is the largest payload of one frame, 64 KiB. It bounds what a record can be, and so what a receiver
	// must be ready to carry for a stranger; and a bulk frame of this size delays an urgent one by about 50 us at 10 Gbit/s.
	// Larger messages go as fragments.
	FramePayloadLimit = 64 << 10

	// RecordGather is where a sender stops adding frames to a record and begins another. Sealing 16 KiB at a time gives
	// 14 M messages of 64 bytes per second where a seal per frame gives 5 M; 64 KiB gives 4 % more and a receiver has to
	// carry four times as much of an unfinished record.
	RecordGather = 16 << 10

	// RecordBodyLimit is the largest sealed body: one frame of the largest payload. Anything longer is refused from its
	// header, before a byte of it is kept.
	RecordBodyLimit = FrameHeaderSize + FramePayloadLimit + TagSize

	// FragmentedLimit is how many fragmented messages one peer may have begun and not finished. Honest senders need one per
	// lane plus a few large answers; each more would let a stranger pin another message's worth of memory.
	FragmentedLimit = 8

	// GatheredLimit bounds the memory an Assembler holds for unfinished messages, 32 MiB: twice the largest message there
	// can be, so that one always completes beside others, and a quarter of what FragmentedLimit such messages would take.
	GatheredLimit = 2 * opcode.MaxPayloadLimit
)

// What must hold between them, proved when compiling.
const (
	_ = uint(1<<24 - 1 - RecordBodyLimit)                      // a record's length fits its three bytes
	_ = uint(RecordBodyLimit - RecordGather - FrameHeaderSize) // a gathered record is never too long
	_ = uint(FramePayloadLimit - RecordGather)
)
