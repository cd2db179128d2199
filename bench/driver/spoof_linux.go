package driver

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/carrier-p2p/carrier/bench/load"
	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/datagram"
)

// spoofTell is how many beginnings are told of at once.
const spoofTell = 64

// Spoof implements load.Spoofer over UDP: Knocks, and Opens with cookies that are made up, in turn, each from another address of
// 127.0.0.0/8, which are all this machine's own. The answers arrive at the one socket that sends, and nobody reads them.
func (d *carrierDialer) Spoof(ctx context.Context, addr string, begun func(n int)) error {
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
	dice := rand.New(rand.NewPCG(1, 2))
	knock, open := make([]byte, datagram.BaseSize), make([]byte, datagram.HeaderSize+8+20+100)
	knock[datagram.HeaderSize+8] = 1 // the version
	for n := 1; ctx.Err() == nil; n++ {
		b, kind := knock, datagram.Knock
		if n%2 == 0 {
			b, kind = open, datagram.Open
			for i := datagram.HeaderSize + 8; i+8 <= len(b); i += 8 {
				binary.LittleEndian.PutUint64(b[i:], dice.Uint64())
			}
		}
		datagram.PutHeader(b, kind, datagram.ID(dice.Uint64()))
		binary.LittleEndian.PutUint64(b[datagram.HeaderSize:], dice.Uint64())
		r := dice.Uint32()
		from := netip.AddrFrom4([4]byte{127, byte(r), byte(r >> 8), byte(r>>16) | 1})
		if _, _, err := conn.WriteMsgUDPAddrPort(b, sourceIs(from), at.Addr.AddrPort); err != nil {
			return err
		}
		if n%spoofTell == 0 {
			begun(spoofTell)
		}
	}
	return nil
}

// sourceIs is the control message with which a datagram leaves from an address of this host.
func sourceIs(from netip.Addr) []byte {
	ip := from.As4()
	return unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: ip})
}
