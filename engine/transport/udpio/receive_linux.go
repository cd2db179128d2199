package udpio

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Path:   socket -> [recvmmsg] -> runs of datagrams -> Mux. Runs once per readable socket and turn.
// Cost:   one system call for up to receiveBatch runs of up to 64 datagrams; 0 allocations.
// Bounds: drainBatches recvmmsg per turn and socket, so that no socket starves another.

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

// An inbox is what recvmmsg fills. It belongs to the loop; nothing in it moves.
type inbox struct {
	msgs  [receiveBatch]mmsghdr
	iovs  [receiveBatch]unix.Iovec
	names [receiveBatch]unix.RawSockaddrInet6 // large enough for either family
	ctrl  [receiveBatch][controlSize]byte
	bufs  [receiveBatch][receiveSize]byte
}

// controlSize is room for one control message of a number.
const controlSize = 24

func newInbox() *inbox {
	in := &inbox{}
	for i := range in.msgs {
		in.iovs[i].Base = &in.bufs[i][0]
		in.iovs[i].SetLen(receiveSize)
		h := &in.msgs[i].hdr
		h.Name = (*byte)(unsafe.Pointer(&in.names[i]))
		h.Iov = &in.iovs[i]
		h.SetIovlen(1)
		h.Control = &in.ctrl[i][0]
	}
	return in
}

// drain takes what a socket has, up to drainBatches batches. more: it may have more.
func (in *inbox) drain(fd, socket int, take func(int, netip.AddrPort, []byte)) (more bool) {
	for range drainBatches {
		if more = in.receive(fd, socket, take); !more {
			break
		}
	}
	return more
}

// receive takes a batch of what a socket has and hands it over, datagram by datagram. more: it may have more.
func (in *inbox) receive(fd, socket int, take func(int, netip.AddrPort, []byte)) (more bool) {
	for i := range in.msgs {
		h := &in.msgs[i].hdr
		h.Namelen = uint32(unsafe.Sizeof(in.names[i]))
		h.SetControllen(controlSize)
	}
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&in.msgs[0])), receiveBatch, unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return false // nothing there, or an ICMP message about something that was sent
	}
	for i := range int(n) {
		m := &in.msgs[i]
		if m.hdr.Flags&unix.MSG_TRUNC != 0 {
			continue
		}
		from, ok := addrPort(&in.names[i])
		if !ok {
			continue
		}
		rest := in.bufs[i][:m.len]
		size := in.segment(i)
		for len(rest) > size && size > 0 {
			take(socket, from, rest[:size:size])
			rest = rest[size:]
		}
		take(socket, from, rest)
	}
	return n == receiveBatch
}

// segment is the size of the datagrams in a run, all but the last; 0: it is one datagram.
func (in *inbox) segment(i int) int {
	const head = unix.SizeofCmsghdr
	if got := int(in.msgs[i].hdr.Controllen); got < head+4 {
		return 0
	}
	c := (*unix.Cmsghdr)(unsafe.Pointer(&in.ctrl[i][0]))
	if c.Level != unix.SOL_UDP || c.Type != unix.UDP_GRO {
		return 0
	}
	return int(binary.NativeEndian.Uint32(in.ctrl[i][head:]))
}

// addrPort reads an address that the kernel has written.
func addrPort(name *unix.RawSockaddrInet6) (netip.AddrPort, bool) {
	port := (*[2]byte)(unsafe.Pointer(&name.Port))
	p := uint16(port[0])<<8 | uint16(port[1])
	switch name.Family {
	case unix.AF_INET:
		four := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		return netip.AddrPortFrom(netip.AddrFrom4(four.Addr), p), true
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16(name.Addr).Unmap(), p), true
	}
	return netip.AddrPort{}, false
}

// putAddr writes an address for the kernel and returns its length. six: the socket is of IPv6.
func putAddr(name *unix.RawSockaddrInet6, to netip.AddrPort, six bool) uint32 {
	port := (*[2]byte)(unsafe.Pointer(&name.Port))
	port[0], port[1] = byte(to.Port()>>8), byte(to.Port())
	if !six {
		four := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		four.Family, four.Addr = unix.AF_INET, to.Addr().Unmap().As4()
		return unix.SizeofSockaddrInet4
	}
	name.Family, name.Addr = unix.AF_INET6, to.Addr().As16()
	return unix.SizeofSockaddrInet6
}
