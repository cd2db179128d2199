package udpio

import (
	"net/netip"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/carrier-p2p/carrier/engine/transport/datagram"
)

// Path:   Link.Write -> [outbox] -> sendmmsg. Runs once per datagram; the system call once per turn, or when 64 KiB or 64
//         runs have been gathered.
// Cost:   one copy; 0 allocations; a system call for up to sendBatch runs, each of up to 64 datagrams of one size to one
//         link, which the kernel (or the card) cuts up.
// Bounds: queueBytes.

// An outbox is what waits to be sent by one loop. Everything is under mu.
type outbox struct {
	mu      sync.Mutex
	turning bool // within a turn: what is sent may wait until its end
	blocked bool // the kernel is full; EPOLLOUT is awaited
	refused bool // send has reported false since
	closed  bool
	plain   bool // the kernel does not cut runs

	buf   []byte // what waits; entries are parts of it
	first int    // the first entry that is not sent
	runs  []run

	msgs  [sendBatch]mmsghdr
	iovs  [sendBatch]unix.Iovec
	names [sendBatch]unix.RawSockaddrInet6
	ctrl  [sendBatch][controlSize]byte
}

// A run is datagrams of one link that lie one behind the other, all of one size but the last.
type run struct {
	socket   int
	to       netip.AddrPort
	id       datagram.ID
	off, end int
	size     int // of each but the last
	count    int
	ended    bool // the last one is shorter
	cut      bool // one datagram, of a longer run that the kernel has refused
}

func (o *outbox) init() {
	o.buf = make([]byte, 0, queueBytes)
	for i := range o.msgs {
		h := &o.msgs[i].hdr
		h.Name = (*byte)(unsafe.Pointer(&o.names[i]))
		h.Iov = &o.iovs[i]
		h.SetIovlen(1)
	}
}

func (p *batchPort) begin() {
	p.out.mu.Lock()
	p.out.turning = true
	p.out.mu.Unlock()
}

func (p *batchPort) end() {
	p.out.mu.Lock()
	p.out.turning = false
	p.flushLocked()
	p.out.mu.Unlock()
}

// flush goes on when there is room again. It reports whether somebody waits for that.
func (p *batchPort) flush() (room bool) {
	o := &p.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.blocked {
		return false
	}
	o.blocked = false
	p.flushLocked()
	if o.blocked {
		return false
	}
	for i, s := range *p.socks.Load() {
		_ = p.watch(s.fd, unix.EPOLL_CTL_MOD, unix.EPOLLIN, int32(i))
	}
	room, o.refused = o.refused, false
	return room
}

func (p *batchPort) send(socket int, to netip.AddrPort, k datagram.Kind, id datagram.ID, body []byte) bool {
	o := &p.out
	o.mu.Lock()
	defer o.mu.Unlock()
	size := datagram.HeaderSize + len(body)
	if o.closed || size > datagram.SizeLimit || (*p.socks.Load())[socket].six != to.Addr().Is6() {
		return true // lost
	}
	if o.blocked && k == datagram.Cookie {
		return true // lost: the room that will be is for those who are let in, and a stranger knocks again
	}
	if len(o.buf)+size > cap(o.buf) || len(o.runs) >= 4*sendBatch {
		if !o.blocked {
			p.flushLocked()
		}
		if len(o.buf)+size > cap(o.buf) || len(o.runs) >= 4*sendBatch {
			o.refused = true
			return false
		}
	}
	at := len(o.buf)
	o.buf = o.buf[:at+size]
	datagram.PutHeader(o.buf[at:], k, id)
	copy(o.buf[at+datagram.HeaderSize:], body)
	if !o.extend(socket, to, id, at, size) {
		o.runs = append(o.runs, run{socket: socket, to: to, id: id, off: at, end: at + size, size: size, count: 1})
	}
	if !o.turning && !o.blocked {
		p.flushLocked()
	}
	return true
}

// extend adds a datagram to the last run, if it is to the same link and the sizes allow it.
func (o *outbox) extend(socket int, to netip.AddrPort, id datagram.ID, at, size int) bool {
	if len(o.runs) <= o.first || o.plain {
		return false
	}
	r := &o.runs[len(o.runs)-1]
	if r.id != id || r.socket != socket || r.to != to || r.ended || size > r.size || r.count >= runLimit || r.end != at || r.end+size-r.off > runBytes {
		return false
	}
	r.end += size
	r.count++
	r.ended = size < r.size
	return true
}

// flushLocked sends what waits, or until the kernel is full.
func (p *batchPort) flushLocked() {
	o := &p.out
	if o.closed {
		return
	}
	for o.first < len(o.runs) && !o.blocked {
		p.sendSome()
	}
	if o.first == len(o.runs) {
		o.buf, o.runs, o.first = o.buf[:0], o.runs[:0], 0
	}
}

// sendSome gives the kernel the next runs that leave by one socket.
func (p *batchPort) sendSome() {
	o := &p.out
	socks := *p.socks.Load()
	socket := o.runs[o.first].socket
	n := 0
	for _, r := range o.runs[o.first:] {
		if n == sendBatch || r.socket != socket {
			break
		}
		o.fill(n, r, socks[socket].six)
		n++
	}
	sent, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(socks[socket].fd), uintptr(unsafe.Pointer(&o.msgs[0])), uintptr(n), unix.MSG_DONTWAIT, 0, 0)
	switch errno {
	case 0:
		o.plain = o.plain || o.runs[o.first].cut // what does not cut will not learn it
		o.first += int(sent)
	case unix.EINTR:
	case unix.EAGAIN:
		o.blocked = true
		_ = p.watch(socks[socket].fd, unix.EPOLL_CTL_MOD, unix.EPOLLIN|unix.EPOLLOUT, int32(socket))
	case unix.EINVAL, unix.EIO, unix.EOPNOTSUPP: // of the first run: is it the length, or the way?
		if o.runs[o.first].count > 1 {
			o.split()
			return
		}
		o.first++
	default: // of the first run: too large, no route, not permitted
		o.first++
	}
}

// fill prepares one message of sendmmsg.
func (o *outbox) fill(i int, r run, six bool) {
	h := &o.msgs[i].hdr
	h.Namelen = putAddr(&o.names[i], r.to, six)
	o.iovs[i].Base = &o.buf[r.off]
	o.iovs[i].SetLen(r.end - r.off)
	if r.count == 1 {
		h.Control = nil
		h.SetControllen(0)
		return
	}
	c := (*unix.Cmsghdr)(unsafe.Pointer(&o.ctrl[i][0]))
	c.Level, c.Type = unix.SOL_UDP, unix.UDP_SEGMENT
	c.SetLen(unix.CmsgLen(2))
	*(*uint16)(unsafe.Pointer(&o.ctrl[i][unix.SizeofCmsghdr])) = uint16(r.size)
	h.Control = &o.ctrl[i][0]
	h.SetControllen(unix.CmsgSpace(2))
}

// split replaces the first run by its datagrams. What becomes of those of full size tells why it was refused:
// because of the kernel, or of where they were to go. In that a stranger has a hand: what comes from port 0
// cannot be answered.
func (o *outbox) split() {
	old := o.runs[o.first]
	var single []run
	for off := old.off; off < old.end; off += old.size {
		s := old
		s.off, s.end, s.count = off, min(off+old.size, old.end), 1
		s.cut = s.end-s.off == old.size
		single = append(single, s)
	}
	o.runs = append(single, o.runs[o.first+1:]...)
	o.first = 0
}
