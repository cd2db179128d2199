package gnetio

import "golang.org/x/sys/unix"

// yield lets the reactor's listeners in beside the claims. A claim is bound without SO_REUSEPORT: so it fails if anyone
// else is there, and nobody comes in while it stands. Set afterwards, the option lets in those who set it as well and run
// as the same user: the reactor's own listeners, in the next instant. When the claim is released they stand for it.
func (c *claims) yield() {
	for _, h := range c.held {
		_ = unix.SetsockoptInt(h.fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) // if it fails, the reactor's bind will say so
	}
}

// deafen makes a listening socket drop every packet, so that nobody ever gets a connection out of it: whoever tries meanwhile
// is answered by a listener that can hear, a second later at the next attempt of his kernel. Where the kernel will not
// have it, as in some sandboxes, the socket hears: what connects to a claim is then reset when the claim is released, and
// what connects to the hidden listener is closed by OnOpen.
func deafen(fd int) {
	drop := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	prog := unix.SockFprog{Len: 1, Filter: &drop[0]}
	_ = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog)
}
