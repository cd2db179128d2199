package codec

import "errors"

// What can be wrong with a payload. Parse wraps these together with opcode.ErrPayload.
var (
	ErrTruncated = errors.New("payload ends too early")
	ErrTrailing  = errors.New("bytes left over")
	ErrLength    = errors.New("length above the limit or the bytes that remain")
	ErrBool      = errors.New("neither 0 nor 1")
	ErrOrder     = errors.New("map keys not in strictly rising order")
	ErrRange     = errors.New("number does not fit this machine's int")
	ErrDepth     = errors.New("nested too deeply")
)
