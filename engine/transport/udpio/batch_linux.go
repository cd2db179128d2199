package udpio

import (
	"errors"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const batched = true

// A batchPort is sockets by epoll, recvmmsg and sendmmsg.
type batchPort struct {
	cfg   Config
	epoll int
	bell  int         // eventfd: wake rings it, under ringing; -1 when it is closed
	rung  atomic.Bool // and it has not been heard

	ringing sync.Mutex

	socks  atomic.Pointer[[]batchSocket] // replaced by bind, which is the loop's
	events [16]unix.EpollEvent
	again  bool // the last wait found something: the next one looks before it sleeps
	in     *inbox
	out    outbox
}

type batchSocket struct {
	fd    int
	local netip.AddrPort
	six   bool
}

func newBatchPort(cfg Config) (port, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(epoll)
		return nil, os.NewSyscallError("eventfd", err)
	}
	p := &batchPort{cfg: cfg, epoll: epoll, bell: bell, in: newInbox()}
	p.socks.Store(new([]batchSocket))
	p.out.init()
	if err := p.watch(bell, unix.EPOLL_CTL_ADD, unix.EPOLLIN, -1); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// watch adds a descriptor to the epoll set, or changes what is asked about it. mark comes back with its events.
func (p *batchPort) watch(fd, op int, events uint32, mark int32) error {
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.epoll, op, fd, &unix.EpollEvent{Events: events, Fd: mark}))
}

func (p *batchPort) bind(at netip.AddrPort, group int) (int, error) {
	s, err := p.open(at, group)
	if err != nil {
		return 0, err
	}
	socks := append(append([]batchSocket(nil), *p.socks.Load()...), s)
	if err := p.watch(s.fd, unix.EPOLL_CTL_ADD, unix.EPOLLIN, int32(len(socks)-1)); err != nil {
		_ = unix.Close(s.fd)
		return 0, err
	}
	p.socks.Store(&socks)
	return len(socks) - 1, nil
}

// open makes a socket. The options that a kernel may lack are asked for and not insisted on: without UDP_GRO datagrams come
// one by one, without the filter some come to the wrong loop, without PMTUDISC the path may cut what is too large.
func (p *batchPort) open(at netip.AddrPort, group int) (s batchSocket, err error) {
	family := unix.AF_INET
	if s.six = at.Addr().Is6(); s.six {
		family = unix.AF_INET6
	}
	s.fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return s, os.NewSyscallError("socket", err)
	}
	defer func() {
		if err != nil {
			_ = unix.Close(s.fd)
		}
	}()
	set := func(level, name, v int) error {
		return os.NewSyscallError("setsockopt", unix.SetsockoptInt(s.fd, level, name, v))
	}
	if s.six {
		if err = set(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return s, err
		}
		_ = set(unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE)
	} else {
		_ = set(unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE)
	}
	if group > 1 {
		if err = set(unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return s, err
		}
	}
	for _, b := range [][2]int{{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF}} {
		if set(unix.SOL_SOCKET, b[0], p.cfg.Buffer) != nil { // beyond the system's limit only with privileges
			_ = set(unix.SOL_SOCKET, b[1], p.cfg.Buffer)
		}
	}
	_ = set(unix.SOL_UDP, unix.UDP_GRO, 1)
	if err = os.NewSyscallError("bind", unix.Bind(s.fd, sockaddr(at))); err != nil {
		return s, err
	}
	if group > 1 {
		steer(s.fd, group)
	}
	bound, err := unix.Getsockname(s.fd)
	if err != nil {
		return s, os.NewSyscallError("getsockname", err)
	}
	switch a := bound.(type) {
	case *unix.SockaddrInet4:
		s.local = netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		s.local = netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port))
	}
	return s, nil
}

func sockaddr(at netip.AddrPort) unix.Sockaddr {
	if at.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
}

// steer has the kernel choose among the sockets of a group by the second byte of a datagram, modulo their number: the
// sockets are numbered in the order of their binding, which is that of the loops.
func steer(fd, group int) {
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 1},
		{Code: unix.BPF_ALU | unix.BPF_MOD | unix.BPF_K, K: uint32(group)},
		{Code: unix.BPF_RET | unix.BPF_A},
	}
	_ = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF,
		&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
}

func (p *batchPort) local(socket int) netip.AddrPort { return (*p.socks.Load())[socket].local }
func (p *batchPort) sockets() int                    { return len(*p.socks.Load()) }

func (p *batchPort) wait(timeout time.Duration, take func(int, netip.AddrPort, []byte)) (room, more bool, err error) {
	n, err := p.poll(timeout)
	if err != nil {
		return false, false, err
	}
	p.again = n > 0
	if n == 0 {
		return false, false, nil
	}
	p.begin() // the turn begins with what is received, and the loop ends it
	socks := *p.socks.Load()
	more = n == len(p.events)
	for _, e := range p.events[:n] {
		if e.Fd < 0 {
			var b [8]byte
			_, _ = unix.Read(p.bell, b[:])
			p.rung.Store(false) // after the read: a ring between the two is heard in this turn
			continue
		}
		if e.Events&unix.EPOLLOUT != 0 {
			room = p.flush() || room
		}
		if e.Events&^unix.EPOLLOUT != 0 {
			more = p.in.drain(socks[e.Fd].fd, int(e.Fd), take) || more
		}
	}
	return room, more, nil
}

// poll waits for events. A loop that has just had some looks again without sleeping first: under load the next ones are
// there already, and a thread that sleeps costs two switches.
func (p *batchPort) poll(timeout time.Duration) (int, error) {
	if p.again {
		if n, err := unix.EpollWait(p.epoll, p.events[:], 0); n > 0 {
			return n, err
		}
	}
	ms := -1
	if timeout >= 0 {
		ms = int((timeout + time.Millisecond - 1) / time.Millisecond)
	}
	n, err := unix.EpollWait(p.epoll, p.events[:], ms)
	if errors.Is(err, unix.EINTR) {
		return 0, nil
	}
	return n, os.NewSyscallError("epoll_wait", err)
}

func (p *batchPort) wake() {
	if p.rung.Swap(true) {
		return
	}
	p.ringing.Lock()
	defer p.ringing.Unlock()
	if p.bell >= 0 { // else its number may be another file's by now
		_, _ = unix.Write(p.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

func (p *batchPort) close() {
	p.out.mu.Lock()
	defer p.out.mu.Unlock()
	p.out.closed = true
	for _, s := range *p.socks.Load() {
		_ = unix.Close(s.fd)
	}
	_ = unix.Close(p.epoll)
	p.ringing.Lock()
	defer p.ringing.Unlock()
	_ = unix.Close(p.bell)
	p.bell = -1
}
