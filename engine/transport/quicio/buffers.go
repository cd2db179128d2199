package quicio

import "slices"

// unbounded is the transport.Memory of a Transport that was lent none: the garbage collector's.
type unbounded struct{}

func (unbounded) Grow(b []byte, n int) ([]byte, error)       { return slices.Grow(b, n), nil }
func (unbounded) GrowToSend(b []byte, n int) ([]byte, error) { return slices.Grow(b, n), nil }
func (unbounded) Put([]byte)                                 {}
