package wire

// AppendBytes8 appends the length of v as a Uint8, then v. A v of more than 255 bytes is a bug of the caller and panics;
// so it is, at their limits, with the two others.
func AppendBytes8[T ~string | ~[]byte](dst []byte, v T) []byte {
	if len(v) > 1<<8-1 {
		tooBig("Uint8 length", uint64(len(v)))
	}
	return append(AppendUint8(dst, uint8(len(v))), v...)
}

// AppendBytes16 appends the length of v as a Uint16, then v.
func AppendBytes16[T ~string | ~[]byte](dst []byte, v T) []byte {
	if len(v) > 1<<16-1 {
		tooBig("Uint16 length", uint64(len(v)))
	}
	return append(AppendUint16(dst, uint16(len(v))), v...)
}

// AppendBytes32 appends the length of v as a Uint32, then v.
func AppendBytes32[T ~string | ~[]byte](dst []byte, v T) []byte {
	if uint64(len(v)) > 1<<32-1 {
		tooBig("Uint32 length", uint64(len(v)))
	}
	return append(AppendUint32(dst, uint32(len(v))), v...)
}

// ConsumeBytes8 reads what AppendBytes8 wrote. v aliases b and has no room behind its end. A length above limit is Long
// even where the bytes are not there yet.
func ConsumeBytes8(b []byte, limit int) (v []byte, n int) {
	size, n := ConsumeUint8(b)
	return consumeSized(b, n, uint64(size), limit)
}

// ConsumeBytes16 reads what AppendBytes16 wrote, as ConsumeBytes8 does.
func ConsumeBytes16(b []byte, limit int) (v []byte, n int) {
	size, n := ConsumeUint16(b)
	return consumeSized(b, n, uint64(size), limit)
}

// ConsumeBytes32 reads what AppendBytes32 wrote, as ConsumeBytes8 does.
func ConsumeBytes32(b []byte, limit int) (v []byte, n int) {
	size, n := ConsumeUint32(b)
	return consumeSized(b, n, uint64(size), limit)
}

// ConsumeFixed reads size bytes that have no length in front. v aliases b and has no room behind its end.
func ConsumeFixed(b []byte, size int) (v []byte, n int) {
	if size < 0 || len(b) < size {
		return nil, Short
	}
	return b[:size:size], size
}

// consumeSized takes size bytes behind a prefix of n bytes. Sizes are compared as uint64, so that on 32-bit machines a
// length near 1<<32 is long and not negative.
func consumeSized(b []byte, n int, size uint64, limit int) ([]byte, int) {
	switch {
	case n < 0:
		return nil, n
	case limit < 0 || size > uint64(limit):
		return nil, Long
	case size > uint64(len(b)-n):
		return nil, Short
	}
	end := n + int(size)
	return b[n:end:end], end
}
