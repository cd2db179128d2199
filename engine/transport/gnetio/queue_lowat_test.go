//go:build linux || darwin

package gnetio

import "golang.org/x/sys/unix"

// queueLimitOf reads back what setQueueLimit sets.
func queueLimitOf(fd int) (n int, ok bool) {
	n, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT)
	return n, err == nil
}
