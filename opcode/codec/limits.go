package codec

import "github.com/carrier-p2p/carrier/opcode"

const (
	// depthLimit bounds how deep pointers, slices and maps nest in a value. 100: far more than messages written by
	// hand have, and each level costs a stack frame of the loop that parses, which a peer could otherwise fill with
	// one byte per level. It also ends the walk through a value that contains itself.
	depthLimit = 100

	// lengthLimit bounds every count and length, when writing as when reading: no payload is longer, so nothing
	// inside one can be.
	lengthLimit = opcode.MaxPayloadLimit

	// lengthSize is what a count or length takes on the wire.
	lengthSize = 4
)
