package gnetio

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Fewer packets for each connection. Measured with 64 dials at once, hello to goodbye (docs/decisions/0003): 13.8 without
// either, 12.0 with the last bytes and the end of the stream in one, and fewer with answers that carry the acknowledgement.

// writeMoreFD is writeFD for bytes that the end of the stream follows at once: they leave with it.
func writeMoreFD(fd int, b []byte) (int, syscall.Errno) {
	return again(func(fd int, b []byte) (int, error) {
		return unix.SendmsgN(fd, b, nil, nil, unix.MSG_MORE|unix.MSG_NOSIGNAL)
	}, fd, b)
}

// awaitAnswers has the kernel expect that what arrives is answered, so that the acknowledgement travels with
// the answer (or, after 40 ms, alone). A new connection has it acknowledge each packet at once, until it has
// seen answers for a while; but a connection begins with a handshake, in which each message has its answer.
// The kernel goes back to its own judgement when it is not so.
func awaitAnswers(fd int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0) // a hint
}
