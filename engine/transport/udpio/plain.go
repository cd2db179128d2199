package udpio

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport/datagram"
)

// A plainPort is sockets by package net: a goroutine reads each and hands on to the loop.
type plainPort struct {
	cfg     Config
	arrived chan arrival
	rung    chan struct{}
	quit    chan struct{}
	timer   *time.Timer
	readers sync.WaitGroup
	conns   atomic.Pointer[[]*net.UDPConn] // replaced by bind, which is the loop's
	pool    sync.Pool                      // *[receiveSize]byte
}

type arrival struct {
	socket int
	from   netip.AddrPort
	buf    *[receiveSize]byte
	n      int
}

func newPlainPort(cfg Config) *plainPort {
	p := &plainPort{cfg: cfg, arrived: make(chan arrival, receiveBatch), rung: make(chan struct{}, 1), quit: make(chan struct{}),
		timer: time.NewTimer(time.Hour)}
	p.pool.New = func() any { return new([receiveSize]byte) }
	p.conns.Store(new([]*net.UDPConn))
	return p
}

// bind implements port. There is one loop, so there are no groups.
func (p *plainPort) bind(at netip.AddrPort, _ int) (int, error) {
	conn, err := net.ListenUDP(network(at), net.UDPAddrFromAddrPort(at))
	if err != nil {
		return 0, err
	}
	_ = conn.SetReadBuffer(p.cfg.Buffer) // the kernel gives what it gives
	_ = conn.SetWriteBuffer(p.cfg.Buffer)
	conns := append(append([]*net.UDPConn(nil), *p.conns.Load()...), conn)
	p.conns.Store(&conns)
	p.readers.Add(1)
	go p.read(len(conns)-1, conn)
	return len(conns) - 1, nil
}

// read is the goroutine of a socket.
func (p *plainPort) read(socket int, conn *net.UDPConn) {
	defer p.readers.Done()
	for {
		buf := p.pool.Get().(*[receiveSize]byte)
		n, from, err := conn.ReadFromUDPAddrPort(buf[:])
		if err != nil {
			select {
			case <-p.quit:
				return
			default:
				continue // an ICMP message about something that was sent; not ours to believe
			}
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		select {
		case p.arrived <- arrival{socket, from, buf, n}:
		case <-p.quit:
			return
		}
	}
}

func (p *plainPort) local(socket int) netip.AddrPort {
	a := (*p.conns.Load())[socket].LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

func (p *plainPort) sockets() int { return len(*p.conns.Load()) }

func (p *plainPort) wait(timeout time.Duration, take func(int, netip.AddrPort, []byte)) (room, more bool, err error) {
	var expired <-chan time.Time
	if timeout >= 0 {
		p.timer.Reset(timeout)
		expired = p.timer.C
	}
	select {
	case a := <-p.arrived:
		p.take(a, take)
		for range receiveBatch - 1 {
			select {
			case a := <-p.arrived:
				p.take(a, take)
				continue
			default:
			}
			break
		}
	case <-p.rung:
	case <-expired:
	}
	return false, len(p.arrived) > 0, nil
}

func (p *plainPort) take(a arrival, take func(int, netip.AddrPort, []byte)) {
	take(a.socket, a.from, a.buf[:a.n])
	p.pool.Put(a.buf)
}

func (p *plainPort) begin() {}
func (p *plainPort) end()   {}

// send never finds no room: the kernel lets it wait for a moment.
func (p *plainPort) send(socket int, to netip.AddrPort, k datagram.Kind, id datagram.ID, body []byte) bool {
	buf := p.pool.Get().(*[receiveSize]byte)
	if n := datagram.HeaderSize + len(body); n <= len(buf) {
		datagram.PutHeader(buf[:], k, id)
		copy(buf[datagram.HeaderSize:], body)
		_, _ = (*p.conns.Load())[socket].WriteToUDPAddrPort(buf[:n], to) // lost, as datagrams are
	}
	p.pool.Put(buf)
	return true
}

func (p *plainPort) wake() {
	select {
	case p.rung <- struct{}{}:
	default:
	}
}

func (p *plainPort) close() {
	close(p.quit)
	for _, c := range *p.conns.Load() {
		_ = c.Close()
	}
	p.readers.Wait()
	p.timer.Stop()
}
