//go:build linux || darwin

package gnetio

import "golang.org/x/sys/unix"

// setQueueLimit sets the number of unsent bytes above which a socket counts as full. It is a hint: a kernel that does not
// know it keeps its default.
func setQueueLimit(fd, n int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, n)
}
