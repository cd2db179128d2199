package engine_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport/datagram"
)

// Beginnings of handshakes from many addresses, half of them with made-up cookies, leave nothing behind at a node over UDP, take
// no connection's place, get fewer bytes than they sent, and meanwhile established peers are answered.
func TestDatagramFlood(t *testing.T) {
	const rounds, burst = 200, 100
	w := udpWorld(t)
	a, b := w.node(nil), w.node(nil, withWitness(&witness{}))
	p := w.dial(a, b)
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	ask := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		for ctx.Err() == nil { // a full socket may have lost it
			one, stop := context.WithTimeout(ctx, 2*time.Second)
			_, _, err := p.RequestRaw(one, opAsk, []byte("?"), nil)
			stop()
			if err == nil {
				return
			}
		}
		t.Fatal("an established peer is not answered")
	}
	ask()
	before := heap()
	dice := rand.New(rand.NewPCG(1, 1))
	in, out := 0, 0
	answer := make([]byte, 2048)
	for range rounds {
		for i := range burst {
			m := make([]byte, datagram.BaseSize)
			kind := datagram.Knock
			if m[datagram.HeaderSize+8] = 1; i%2 == 1 {
				kind, m = datagram.Open, m[:200]
			}
			datagram.PutHeader(m, kind, datagram.ID(dice.Uint64()))
			binary.LittleEndian.PutUint64(m[datagram.HeaderSize:], dice.Uint64())
			r := dice.Uint32()
			from := [4]byte{127, byte(r), byte(r >> 8), byte(r>>16) | 1}
			n, _, err := conn.WriteMsgUDPAddrPort(m, unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: from}), b.Addrs()[0].AddrPort)
			if err != nil {
				t.Fatal(err)
			}
			in += n
		}
		ask()
		if err := raw.Read(func(fd uintptr) bool { // all answers come to the one socket
			for {
				n, _, err := unix.Recvfrom(int(fd), answer, unix.MSG_DONTWAIT)
				if err != nil {
					return true
				}
				out += n
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	grown := heap() - before
	t.Logf("%d beginnings: %d bytes of heap, %d bytes out for %d in", rounds*burst, grown, out, in)
	if grown > 1<<20 || out == 0 || out > in/10 {
		t.Errorf("%d bytes of heap, %d bytes out for %d in", grown, out, in)
	}
	if all, _ := b.ConnMgr().Count(); all != 1 || b.Stats().HalfOpen != 0 || !p.Connected() {
		t.Errorf("%d peers, %d half open, connected: %v", all, b.Stats().HalfOpen, p.Connected())
	}
}

// What else comes to a port: nothing at all, one byte, every kind cut short, noise, and a message that is no
// datagram of ours: each is dropped, and ICMP's word that somebody is not there ends no dial before its time
// and no connection.
func TestDatagramNoise(t *testing.T) {
	w := udpWorld(t)
	a := w.node(func(c *engine.Config) { c.DialTimeout = 200 * time.Millisecond }, withWitness(&witness{})) // only of the dial to nobody
	b := w.node(nil)
	p := w.dial(b, a)
	to := b.Addrs()[0].AddrPort
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	dice := rand.New(rand.NewPCG(3, 3))
	for n := range 400 {
		m := make([]byte, n%100)
		for i := range m {
			m[i] = byte(dice.Uint32())
		}
		if len(m) > 0 {
			m[0] %= 9
		}
		if _, err := conn.Write(m); err != nil {
			t.Fatal(err)
		}
	}
	// What the node answers is refused by ICMP from now on, on the socket that everybody shares.
	knock := make([]byte, datagram.BaseSize)
	datagram.PutHeader(knock, datagram.Knock, 7)
	knock[datagram.HeaderSize+8] = 1
	if _, err := conn.Write(knock); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	gone := engine.Target{Addr: b.Addrs()[0], ID: w.key(99).ID()}
	gone.Addr.AddrPort = netip.AddrPortFrom(to.Addr(), 1) // where nobody listens
	r := w.startDial(a, gone)
	for range 20 {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		if _, _, err := p.RequestRaw(ctx, opAsk, []byte("?"), nil); err != nil {
			t.Errorf("an established peer is not answered: %v", err)
		}
		cancel()
	}
	w.Until("the dial to nobody to end", r.done)
	if _, err := r.get(); err == nil || !p.Connected() {
		t.Errorf("a dial to nobody: %v; the peer is connected: %v", err, p.Connected())
	}
}
