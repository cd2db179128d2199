package driver

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/carrier-p2p/carrier/bench/load"
	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/datagram"
)

// Spoof implements load.Spoofer over UDP: Knocks, and Opens with cookies that are made up, in turn, each from another address of
// 127.0.0.0/8, which are all this machine's own. The answers arrive at the one socket that sends, and are counted and forgotten.
func (d *carrierDialer) Spoof(addr string, due func() int, tell func(load.Spoofed)) error {
	if d.driver.proto != transport.UDP {
		return load.ErrNoSpoofer
	}
	at, err := engine.ParseTarget(addr)
	if err != nil {
		return err
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{})
	if err != nil {
		return err
	}
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	s := newSpoofer()
	var all load.Spoofed
	for n := due(); n > 0; n = due() {
		for range n {
			b, from := s.next()
			if _, _, err := conn.WriteMsgUDPAddrPort(b, from, at.Addr.AddrPort); err != nil {
				return err
			}
			all.Begun++
			all.Sent += uint64(len(b))
		}
		got, err := answers(raw)
		if err != nil {
			return err
		}
		all.Answered += got
		tell(all)
	}
	return nil
}

// Nobody implements load.Spoofer: a socket that is full soon, and then the kernel drops what comes.
func (d *carrierDialer) Nobody() (addr string, nobody io.Closer, err error) {
	if d.driver.proto != transport.UDP {
		return "", nil, load.ErrNoSpoofer
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return "", nil, err
	}
	return "udp://" + conn.LocalAddr().String(), conn, nil
}

// A spoofer makes beginnings of handshakes up.
type spoofer struct {
	dice        *rand.Rand
	knock, open []byte
	opens       bool // the next one is an Open
}

func newSpoofer() *spoofer {
	s := &spoofer{
		dice:  rand.New(rand.NewPCG(1, 2)),
		knock: make([]byte, datagram.BaseSize), open: make([]byte, datagram.HeaderSize+8+20+100),
	}
	s.knock[datagram.HeaderSize+8] = 1 // the version
	return s
}

// next returns a datagram, good until the next one is made, and the control message of where it comes from.
func (s *spoofer) next() (b, from []byte) {
	b, kind := s.knock, datagram.Knock
	if s.opens {
		b, kind = s.open, datagram.Open
		for i := datagram.HeaderSize + 8; i+8 <= len(b); i += 8 {
			binary.LittleEndian.PutUint64(b[i:], s.dice.Uint64())
		}
	}
	s.opens = !s.opens
	datagram.PutHeader(b, kind, datagram.ID(s.dice.Uint64()))
	binary.LittleEndian.PutUint64(b[datagram.HeaderSize:], s.dice.Uint64())
	r := s.dice.Uint32()
	return b, sourceIs(netip.AddrFrom4([4]byte{127, byte(r), byte(r >> 8), byte(r>>16) | 1}))
}

// sourceIs is the control message with which a datagram leaves from an address of this host.
func sourceIs(from netip.Addr) []byte {
	ip := from.As4()
	return unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: ip})
}

// answers takes what has come back off the socket, and returns how many bytes it was.
func answers(raw syscall.RawConn) (sum uint64, err error) {
	var b [1]byte
	err = raw.Read(func(fd uintptr) bool {
		for {
			n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_DONTWAIT|unix.MSG_TRUNC) // the length of what it was
			if err != nil {
				return true // nothing there
			}
			sum += uint64(n)
		}
	})
	return sum, err
}
