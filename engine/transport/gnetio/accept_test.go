package gnetio

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// TestLinkLimit: above the limit connections are closed and counted, dials fail, and an ended link makes room again.
func TestLinkLimit(t *testing.T) {
	p := newProbe()
	tr, bound := start(t, Config{Loops: 2, LinkLimit: 3}, p, loopback())
	if tr.LinkLimit() != 3 {
		t.Fatalf("limit %d, want 3", tr.LinkLimit())
	}
	conns := strangers(t, bound[0], 3)
	for range conns {
		get(t, "a link", p.opened)
	}
	for _, c := range strangers(t, bound[0], 5) {
		want(t, "refusal", get(t, "a refusal", p.refused), ErrLinkLimit)
		if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("a refused connection read %d bytes, %v", n, err)
		}
	}
	tr.Dial(context.Background(), bound[0], nil)
	want(t, "dial at the limit", get(t, "a failed dial", p.failed), ErrLinkLimit)

	conns[0].Close()
	want(t, "the closed one", get(t, "an end", p.closed).err, io.EOF)
	waitUntil(t, func() bool { return tr.links.Load() == 2 }) // the slot is free an instant after Closed
	strangers(t, bound[0], 1)
	get(t, "a link in the freed slot", p.opened)
	if n := len(p.opened) + len(p.closed); n != 0 {
		t.Errorf("%d calls too many", n)
	}
}

// TestDialCounts: a dial under way holds a slot, which its failure gives back.
func TestDialCounts(t *testing.T) {
	p := newProbe()
	tr, _ := start(t, Config{Loops: 1, LinkLimit: 1}, p)
	for range 3 {
		tr.Dial(context.Background(), refusing(t), nil)
		want(t, "dial", get(t, "a failed dial", p.failed), syscall.ECONNREFUSED)
		if n := tr.links.Load(); n != 0 {
			t.Fatalf("%d slots in use after a failed dial", n)
		}
	}
}

// TestExclusive: a port is one transport's. Listeners of one transport share it, another transport's do not, on the
// wildcard address neither; when it has stopped, the port is free at once although its connections linger.
func TestExclusive(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "0.0.0.0:0"} {
		t.Run(at, func(t *testing.T) {
			listen := transport.Addr{Proto: transport.TCP, AddrPort: netip.MustParseAddrPort(at)}
			p := newProbe()
			tr := New(Config{Loops: 2})
			bound, err := tr.Start(p, []transport.Addr{listen})
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				_, err := New(Config{Loops: 2}).Start(newProbe(), bound)
				want(t, "a second transport on the port", err, syscall.EADDRINUSE)
			}
			to := transport.Addr{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), bound[0].Port())}
			for range strangers(t, to, 8) {
				get(t, "a link", p.opened).Close() // this end closes first: it is the one that lingers
				get(t, "its end", p.closed)
			}
			tr.Stop()
			again, bound2 := start(t, Config{Loops: 1}, newProbe(), bound...)
			if bound2[0] != bound[0] {
				t.Errorf("bound %v, want %v again", bound2, bound)
			}
			again.Stop()
		})
	}
}

// TestListenTwice: an address that is twice in the list is in use.
func TestListenTwice(t *testing.T) {
	free := refusing(t)
	_, err := New(Config{}).Start(newProbe(), []transport.Addr{free, free})
	want(t, "twice the same", err, syscall.EADDRINUSE)
}

// TestUnsupported: what is not a TCP address is neither listened on nor dialled.
func TestUnsupported(t *testing.T) {
	p := newProbe()
	tr, _ := start(t, Config{Loops: 1}, p)
	for _, a := range []transport.Addr{
		{},
		{Proto: transport.TCP},
		{Proto: transport.UDP, AddrPort: netip.MustParseAddrPort("127.0.0.1:1")},
		{Proto: transport.QUIC, AddrPort: netip.MustParseAddrPort("127.0.0.1:1")},
	} {
		if _, err := New(Config{}).Start(newProbe(), []transport.Addr{a}); !errors.Is(err, ErrUnsupported) {
			t.Errorf("listen on %v: %v", a, err)
		}
		tr.Dial(context.Background(), a, nil)
		want(t, "dial", get(t, "a failed dial", p.failed), ErrUnsupported)
	}
}

// TestIPv6: addresses of both ends are those of the other, in the form of netip; and IPv6 listeners leave IPv4 alone.
func TestIPv6(t *testing.T) {
	listen := transport.Addr{Proto: transport.TCP, AddrPort: netip.MustParseAddrPort("[::1]:0")}
	pa, pb := newProbe(), newProbe()
	b := New(Config{Loops: 1})
	bound, err := b.Start(pb, []transport.Addr{listen})
	if errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Skip("no IPv6 here")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer b.Stop()
	a, _ := start(t, Config{Loops: 1}, pa)
	la, lb := connect(t, a, pa, pb, bound[0])
	if la.Remote() != bound[0] || lb.Local() != bound[0] || la.Local() != lb.Remote() {
		t.Errorf("dialled %v: %v->%v, %v->%v", bound[0], la.Local(), la.Remote(), lb.Local(), lb.Remote())
	}
	// The port may be somebody else's on IPv4 already, but hardly each of so many.
	for range 32 {
		six := New(Config{Loops: 1})
		bound, err := six.Start(newProbe(), []transport.Addr{listen})
		if err != nil {
			t.Fatal(err)
		}
		four := New(Config{Loops: 1})
		_, err = four.Start(newProbe(), []transport.Addr{{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), bound[0].Port())}})
		if err == nil {
			four.Stop()
		}
		six.Stop()
		if err == nil {
			return
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			t.Fatal(err)
		}
	}
	t.Error("a port that is listened on over IPv6 is never free on IPv4")
}

// TestZone: link-local addresses keep their zone, and the reactor does not keep it.
func TestZone(t *testing.T) {
	ip, ok := linkLocal()
	if !ok {
		t.Skip("no link-local address here")
	}
	pa, pb := newProbe(), newProbe()
	_, bound := start(t, Config{Loops: 1}, pb, transport.Addr{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(ip, 0)})
	a, _ := start(t, Config{Loops: 1}, pa)
	la, lb := connect(t, a, pa, pb, bound[0])
	if la.Remote() != bound[0] || lb.Remote().Addr().Zone() != ip.Zone() || la.Local().Addr() != ip {
		t.Errorf("dialled %v: %v->%v, %v->%v", bound[0], la.Local(), la.Remote(), lb.Local(), lb.Remote())
	}
	if zone := la.conn.RemoteAddr().(*net.TCPAddr).Zone; zone != "" {
		t.Errorf("the reactor was left the zone %q, whose bytes it would take", zone)
	}
}

func linkLocal() (netip.Addr, bool) {
	interfaces, _ := net.Interfaces()
	for _, ifi := range interfaces {
		addrs, _ := ifi.Addrs()
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && n.IP.To4() == nil && n.IP.IsLinkLocalUnicast() {
				ip, _ := netip.AddrFromSlice(n.IP)
				return ip.WithZone(ifi.Name), true
			}
		}
	}
	return netip.Addr{}, false
}

// TestSocketOptions: on both ends small writes leave at once, and the kernel sends no probes of its own.
func TestSocketOptions(t *testing.T) {
	pa, pb := newProbe(), newProbe()
	_, bound := start(t, Config{Loops: 1}, pb, loopback())
	a, _ := start(t, Config{Loops: 1}, pa)
	la, lb := connect(t, a, pa, pb, bound[0])
	for _, l := range []*link{la, lb} {
		for _, o := range []struct {
			name         string
			level, name2 int
			on           bool
		}{
			{"TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY, true},
			{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, false},
		} {
			if v, err := unix.GetsockoptInt(int(l.fd), o.level, o.name2); err != nil || (v != 0) != o.on {
				t.Errorf("%s is %d, %v", o.name, v, err)
			}
		}
	}
}
