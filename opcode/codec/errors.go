package codec

import "errors"

// What can be wrong with a payload. Parse wraps these together with opcode.ErrPayload.
var (
	ErrTruncated = errors.New("codec: payload ends too early")
	ErrTrailing  = errors.New("codec: bytes left over")
	ErrLength    = errors.New("codec: length above the limit or the bytes that remain")
	ErrBool      = errors.New("codec: neither 0 nor 1")
	ErrOrder     = errors.New("codec: map keys not in strictly rising order")
	ErrRange     = errors.New("codec: number does not fit this machine's int")
	ErrDepth     = errors.New("codec: nested too deeply")
)
