// Package codec writes Go values as little-endian bytes and reads them back. It is the default codec of messages.
//
// The encoding has no tags, names or padding: both ends know the Go type, and the type alone decides what each byte means.
//
//	Go type                           bytes
//	bool                              1: 0 or 1
//	int8 … int64, uint8 … uint64      1, 2, 4 or 8, little endian
//	int, uint                         8, on every machine
//	float32, float64                  4, 8: the IEEE 754 bits; every NaN keeps its bits
//	complex64, complex128             real part, imaginary part
//	string, []byte                    u32 length | the bytes; strings are not required to be UTF-8
//	[]T                               u32 count | the elements
//	[N]T                              the elements, no count
//	map[K]V                           u32 count | key, value, key, value … in strictly rising order of keys
//	*T                                0 for nil, or 1 | the value
//	struct                            its fields in order, embedded structs like any other field
//	a type that codes itself          u32 length | what AppendBinary wrote; at the top level without the length
//
// A type codes itself if the pointer to it is an encoding.BinaryUnmarshaler and an Appender, or at least an
// encoding.BinaryMarshaler: time.Time and netip.AddrPort do. Such types are written and read without reflection. Every
// other type is looked at once; the plan made from it is kept, and then values are walked by offset.
//
// Fields tagged `carrier:"-"` are left out and come back zero. Unexported fields without the tag are an error, as are
// chan, func, interface, uintptr and unsafe.Pointer: nothing is lost silently. Keys of maps may be booleans, integers,
// strings, and arrays and structs of these; they are ordered by value, strings and byte arrays byte by byte. Nil and empty
// slices and maps are the same on the wire, a count of 0, and both come back nil.
//
// # Canonical
//
// One value has one encoding and Parse accepts no other: what parses, appends back to the same bytes. It refuses bytes
// left over, booleans that are neither 0 nor 1, and keys out of order or twice. So encodings can be hashed, signed and
// compared. For types that code themselves this holds as far as they hold it.
//
// # Hostile input
//
// A count is compared with the bytes that remain, at the least each element can take, before anything is allocated for
// it; so an input of n bytes makes Parse keep at most n*size/least bytes, size being what an element takes in memory and
// least on the wire: 4 times the input for strings, 6 for slices, somewhat more for maps, which keep room. What a struct needs
// at the least is kept back for it while its earlier fields are read, so that counts inside counts cannot claim the same
// bytes twice. Pointers, slices and maps nest at most depthLimit deep.
// Errors wrap opcode.ErrPayload together with one of this package's, and say at which byte.
//
// There is no version in the bytes and no skipping of unknown fields: a changed struct is another message and wants
// another opcode. Where that is too strict, use protobuf.
package codec
