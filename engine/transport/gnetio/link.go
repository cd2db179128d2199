package gnetio

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// Path:   engine -> Write -> socket. Runs on any goroutine, one at a time for each link.
// Cost:   one write(2), 0 allocations, 0 copies, 1 lock. TestWriteAllocs holds this.
// Bounds: nothing is kept; what the socket does not take stays with the caller.

// A link is one connection. 80 bytes, which TestLinkSize holds: there are very many.
type link struct {
	conn   gnet.Conn    // fixed; used on the loop only
	lp     *loop        // fixed
	remote *net.TCPAddr // fixed; the reactor's own value, not a copy
	owner  any          // loop only

	mu      sync.Mutex // guards what follows and every system call on fd made outside the reactor
	fd      int32      // fixed; this link's only while !released
	ticket  uint32     // of the last order given to the watcher
	lowat   int32      // TCP_NOTSENT_LOWAT as last set; 0 is the default
	errno   int16      // what a write failed of; then nothing is written any more. Errnos end below 4096
	gone    bool       // Closed is under way or over: no writes. Written on the loop, under mu
	ended   bool       // CloseWrite was called
	watched bool       // fd is in the watcher's set
	blocked bool       // a write was short and Writable has not been called
	room    bool       // the watcher says that there is room
	// released says that Closed has returned: fd may be anybody's.
	released bool

	closing atomic.Bool // Close was called
}

// Loop returns the loop that the link belongs to.
func (l *link) Loop() transport.Loop { return l.lp }

// Owner returns what SetOwner attached.
func (l *link) Owner() any { return l.owner }

// SetOwner attaches the engine's state.
func (l *link) SetOwner(owner any) { l.owner = owner }

// Remote is the address of the other end.
func (l *link) Remote() transport.Addr { return addrOf(l.remote.AddrPort()) }

// Local asks the socket for its own address, which costs a system call and saves each idle link forty bytes. Once the
// link is gone it is the zero Addr.
func (l *link) Local() transport.Addr {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.released {
		return transport.Addr{}
	}
	return localAddr(int(l.fd))
}

// writableLocked reports whether the socket may be written to.
func (l *link) writableLocked() bool {
	return !l.gone && !l.ended && l.errno == 0 && !l.closing.Load()
}

// Write is transport.Link's. A write that fails returns transport.ErrClosed; the reason is that of Closed. After a short
// write Writable may come, on the loop, before Write has returned to another goroutine.
func (l *link) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.writeLocked(b, writeFD)
}

// WriteLast is transport.LastWriter's: the kernel holds the last bytes back until it has the end of the stream, too.
func (l *link) WriteLast(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := l.writeLocked(b, writeMoreFD)
	if err == nil && n == len(b) {
		l.endLocked()
	}
	return n, err
}

// writeLocked writes with one of writeFD and writeMoreFD.
func (l *link) writeLocked(b []byte, write func(fd int, b []byte) (int, syscall.Errno)) (int, error) {
	if !l.writableLocked() {
		return 0, transport.ErrClosed
	}
	if len(b) == 0 {
		return 0, nil
	}
	n, err := write(int(l.fd), b)
	if err != 0 && err != unix.EAGAIN {
		return 0, l.brokenLocked(err)
	}
	if n < len(b) {
		// A short write has filled the socket: asking once more would only earn EAGAIN. If room has come meanwhile, the
		// watcher says so at once.
		l.blocked = true
		l.ticket++
		if err := l.lp.t.watcher.watch(l); err != nil {
			return 0, l.brokenLocked(unix.ENOMEM)
		}
	}
	return n, nil
}

// writeFD is write(2), again after a signal. It returns 0, EAGAIN for a full socket.
func writeFD(fd int, b []byte) (int, syscall.Errno) { return again(unix.Write, fd, b) }

// again calls write until no signal has interrupted it.
func again(write func(fd int, b []byte) (int, error), fd int, b []byte) (int, syscall.Errno) {
	for {
		n, err := write(fd, b)
		if err == nil {
			return n, 0
		}
		errno, ok := err.(syscall.Errno)
		if !ok {
			errno = unix.EIO
		}
		if errno != unix.EINTR {
			return 0, errno
		}
	}
}

// brokenLocked ends the writing side. A reset connection is left to the loop, which the kernel tells about it, and which
// reads what had arrived before; after any other failure nobody else would end the link.
func (l *link) brokenLocked(errno syscall.Errno) error {
	l.errno = int16(errno)
	if errno != unix.EPIPE && errno != unix.ECONNRESET {
		l.lp.post(l)
	}
	return transport.ErrClosed
}

// CloseWrite sends the end of the stream after what was written.
func (l *link) CloseWrite() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.writableLocked() {
		l.endLocked()
	}
}

// endLocked shuts the writing direction down.
func (l *link) endLocked() {
	l.ended = true
	_ = unix.Shutdown(int(l.fd), unix.SHUT_WR) // fails only if the connection is gone, which the loop learns by itself
}

// SetQueueLimit sets TCP_NOTSENT_LOWAT, with a system call only if it changes.
func (l *link) SetQueueLimit(n int) {
	n = min(max(n, 0), 1<<31-1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.writableLocked() || int32(n) == l.lowat {
		return
	}
	l.lowat = int32(n)
	setQueueLimit(int(l.fd), n)
}

// Close asks the loop to close the link. Inside a call of the link's own the loop sees the mark when the call returns.
func (l *link) Close() {
	if !l.closing.Swap(true) {
		l.lp.post(l)
	}
}

// hasRoom is the watcher's: the order with this ticket is done. An older ticket's is not about this link's last write.
func (l *link) hasRoom(ticket uint32) {
	l.mu.Lock()
	wanted := l.blocked && !l.gone && l.ticket == ticket
	l.room = l.room || wanted
	l.mu.Unlock()
	if wanted {
		l.lp.post(l)
	}
}

// posted is the loop's answer to post.
func (l *link) posted() {
	if l.gone {
		return
	}
	l.mu.Lock()
	room, failed := l.room, l.errno != 0
	if room {
		l.room, l.blocked = false, false
	}
	l.mu.Unlock()
	if room && !failed && !l.closing.Load() {
		l.lp.t.sink.Writable(l)
	}
	if failed || l.closing.Load() {
		_ = l.lp.reactor.Close(l.conn) // its errors are those of close(2): the descriptor is gone either way
	}
}

// finish is the end of the link, on the loop, while the descriptor is still open. The lock is what makes writes from
// other goroutines safe: whoever is inside one finishes it before the descriptor's number can be used again, and whoever
// comes later sees gone.
func (l *link) finish(err error) {
	l.mu.Lock()
	l.gone = true
	watched := l.watched
	errno := syscall.Errno(l.errno)
	l.mu.Unlock()
	t := l.lp.t
	if watched {
		t.watcher.forget(l)
	}
	if errno == 0 && errors.Is(err, io.EOF) {
		err = l.endOrReset(err)
	}
	l.lp.links.Add(-1)
	t.sink.Closed(l, l.reason(err, errno))
	l.mu.Lock()
	l.released = true
	l.mu.Unlock()
	t.freeSlot()
}

// endOrReset is what an end really was. For a reset the reactor says end of stream if its poll meets the reset half-way: the
// kernel sets the error first and makes the socket readable after it, and of an error alone the reactor does not read what
// it is. A reset that nobody has read is still there to ask for.
func (l *link) endOrReset(end error) error {
	errno, err := unix.GetsockoptInt(int(l.fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil || errno == 0 {
		return end
	}
	return os.NewSyscallError("read", syscall.Errno(errno))
}

// reason turns what the reactor knows about the end into what Closed promises.
func (l *link) reason(err error, errno syscall.Errno) error {
	switch {
	case l.closing.Load():
		return nil
	case errno != 0 && (err == nil || errors.Is(err, io.EOF)):
		return os.NewSyscallError("write", errno) // reading a reset socket after a failed write looks like an end
	case errors.Is(err, io.EOF):
		return io.EOF
	case err == nil && !l.lp.t.stopping.Load():
		return ErrReactor
	}
	return err
}

// addrOf is ap as an Addr of this transport, IPv4 addresses unmapped.
func addrOf(ap netip.AddrPort) transport.Addr {
	return transport.Addr{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())}
}

// sockAddr is addrOf for the kernel's form of an address.
func sockAddr(sa unix.Sockaddr) transport.Addr {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return addrOf(netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)))
	case *unix.SockaddrInet6:
		a := netip.AddrFrom16(sa.Addr)
		if sa.ZoneId != 0 {
			a = a.WithZone(zoneName(sa.ZoneId))
		}
		return addrOf(netip.AddrPortFrom(a, uint16(sa.Port)))
	}
	return transport.Addr{}
}

// localAddr is the address a socket is bound to; the zero Addr if it cannot say.
func localAddr(fd int) transport.Addr {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return transport.Addr{}
	}
	return sockAddr(sa)
}

// zoneIndex is the number of an IPv6 zone: an interface's, by its name or written out.
func zoneIndex(zone string) (uint32, error) {
	if ifi, err := net.InterfaceByName(zone); err == nil {
		return uint32(ifi.Index), nil
	}
	index, err := strconv.ParseUint(zone, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("no interface %q", zone)
	}
	return uint32(index), nil
}

// zoneName is an IPv6 zone in the form of netip: the interface's name, or its number if it has gone.
func zoneName(index uint32) string {
	if ifi, err := net.InterfaceByIndex(int(index)); err == nil {
		return ifi.Name
	}
	return strconv.FormatUint(uint64(index), 10)
}
