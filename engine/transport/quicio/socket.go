package quicio

import (
	"context"
	"net"
	"net/netip"
	"sync"

	"github.com/quic-go/quic-go"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// A socket is one UDP socket, with all connections that go through it.
type socket struct {
	addr     transport.Addr // bound
	udp      *net.UDPConn
	quic     *quic.Transport
	listener *quic.Listener // nil: only for dials
}

// newSocket binds a UDP socket. An unspecified IPv6 address takes IPv4, too, where the system allows.
func (t *Transport) newSocket(at netip.AddrPort) (*socket, error) {
	network := "udp"
	if at.Addr().Is4() {
		network = "udp4"
	}
	udp, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, err
	}
	got := udp.LocalAddr().(*net.UDPAddr).AddrPort()
	s := &socket{addr: transport.Addr{Proto: transport.QUIC, AddrPort: netip.AddrPortFrom(at.Addr(), got.Port())}, udp: udp}
	s.quic = &quic.Transport{
		Conn:                udp,
		VerifySourceAddress: func(net.Addr) bool { return t.visits.crowded() },
		ConnContext:         t.visited,
	}
	return s, nil
}

// bind makes a socket that takes connections.
func (t *Transport) bind(a transport.Addr) (*socket, error) {
	if a.Proto != transport.QUIC || !a.IsValid() {
		return nil, ErrUnsupported
	}
	s, err := t.newSocket(netip.AddrPortFrom(a.Addr().Unmap(), a.Port()))
	if err != nil {
		return nil, err
	}
	inbound := t.quic.Clone()
	inbound.MaxIncomingStreams = 1
	if s.listener, err = s.quic.Listen(t.tls, inbound); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// close ends the socket and what is left of its connections.
func (s *socket) close() {
	s.refuse()
	_ = s.quic.Close()
	_ = s.udp.Close()
}

// refuse takes no more connections. Those that are there live on.
func (s *socket) refuse() {
	if s.listener != nil {
		_ = s.listener.Close()
	}
}

// socketTo returns the socket to dial to: one that listens on every address of that family, so that a NAT keeps one
// binding for the node, or else one for all dials.
func (t *Transport) socketTo(to netip.Addr) (*socket, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.phase != running {
		return nil, transport.ErrClosed
	}
	for _, s := range t.sockets {
		if at := s.addr.Addr(); at.IsUnspecified() && at.Is4() == to.Is4() {
			return s, nil
		}
	}
	any := netip.IPv6Unspecified()
	if to.Is4() {
		any = netip.IPv4Unspecified()
	}
	s, err := t.newSocket(netip.AddrPortFrom(any, 0))
	if err == nil {
		t.sockets = append(t.sockets, s)
	}
	return s, err
}

// A visitor is a stranger in the handshake: what lets it go, once.
type visitor struct{}

// visited is asked by quic-go for every connection that begins to come in.
func (t *Transport) visited(ctx context.Context, who *quic.ClientInfo) (context.Context, error) {
	from := addrOf(who.RemoteAddr)
	leave, err := t.visits.enter(from.Addr())
	if err != nil {
		t.sink.Refused(from, err)
		return nil, err
	}
	context.AfterFunc(ctx, leave)
	return context.WithValue(ctx, visitor{}, leave), nil
}

// visits counts handshakes that come in, in all and by address. Any goroutine.
type visits struct {
	limit, perIP int

	mu   sync.Mutex
	all  int
	byIP map[netip.Addr]int
}

func (v *visits) init(limit, perIP int) {
	v.limit, v.perIP, v.byIP = limit, perIP, map[netip.Addr]int{}
}

// enter counts one in, if there is room. leave may be called more than once.
func (v *visits) enter(ip netip.Addr) (leave func(), err error) {
	if ip.Is6() && !ip.IsLoopback() { // one host has a /64
		p, _ := ip.Prefix(64)
		ip = p.Addr()
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.all >= v.limit || v.byIP[ip] >= v.perIP && !ip.IsLoopback() {
		return nil, ErrLimit
	}
	v.all++
	v.byIP[ip]++
	return sync.OnceFunc(func() { v.leave(ip) }), nil
}

func (v *visits) leave(ip netip.Addr) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.all--
	if v.byIP[ip]--; v.byIP[ip] == 0 {
		delete(v.byIP, ip)
	}
}

// crowded reports whether strangers have to prove their address first.
func (v *visits) crowded() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.all >= v.limit/4
}
