//go:build !linux

package gnetio

import "syscall"

// writeMoreFD is writeFD: the end of the stream is a packet of its own.
func writeMoreFD(fd int, b []byte) (int, syscall.Errno) { return writeFD(fd, b) }

// awaitAnswers does nothing: there is no such hint.
func awaitAnswers(int) {}
