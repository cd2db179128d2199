package quicio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// Path:   Dial, or the listener -> TLS (quic-go) -> the stream and its first byte -> a link -> Sink.Opened. On a goroutine
//         that then reads the link.

// What a connection is closed with.
const (
	codeNone  quic.ApplicationErrorCode = 0 // in order
	codeFull  quic.ApplicationErrorCode = 1 // no room for another link
	codeSpeak quic.ApplicationErrorCode = 2 // no stream, or not this version's
)

// accept takes connections until the socket is closed. Their handshakes are done.
func (t *Transport) accept(s *socket) {
	for {
		conn, err := s.listener.Accept(t.ctx)
		if err != nil {
			return
		}
		if !t.takeSlot() {
			t.sink.Refused(addrOf(conn.RemoteAddr()), ErrLimit)
			_ = conn.CloseWithError(codeFull, "")
			continue
		}
		if !t.begin() {
			_ = conn.CloseWithError(codeNone, "")
			return
		}
		go func() {
			defer t.running.Done()
			defer t.freeSlot()
			t.accepted(conn)
		}()
	}
}

// accepted waits for the stream of a new connection, and then is its reader.
func (t *Transport) accepted(conn *quic.Conn) {
	ctx, cancel := context.WithTimeout(t.ctx, handshakeTimeout)
	defer cancel()
	stream, err := conn.AcceptStream(ctx)
	if err == nil {
		err = readVersion(stream)
	}
	var l *link
	if err == nil {
		l, err = t.newLink(conn, stream, addrOf(conn.LocalAddr()), addrOf(conn.RemoteAddr()))
	}
	if err != nil {
		_ = conn.CloseWithError(codeSpeak, "")
		t.sink.Refused(addrOf(conn.RemoteAddr()), fmt.Errorf("quicio: %w", err))
		return
	}
	if leave, ok := conn.Context().Value(visitor{}).(func()); ok { // the Sink counts it from here on
		leave()
	}
	l.run(nil)
}

// errVersion is the error of a stream that does not begin with streamVersion.
var errVersion = errors.New("quicio: unknown version of the stream")

// readVersion takes the first byte of the stream, which comes with the stream.
func readVersion(stream *quic.Stream) error {
	var first [1]byte
	_ = stream.SetReadDeadline(time.Now().Add(handshakeTimeout))
	if _, err := io.ReadFull(stream, first[:]); err != nil {
		return err
	}
	if first[0] != streamVersion {
		return fmt.Errorf("%w: %d", errVersion, first[0])
	}
	return stream.SetReadDeadline(time.Time{})
}

// Dial connects to a QUIC address; see transport.Transport. UDP says nothing of a port on which nobody listens: such a dial
// ends after five seconds, or with its context.
func (t *Transport) Dial(ctx context.Context, to transport.Addr, tag any) {
	if !t.begin() {
		go t.sink.DialFailed(tag, transport.ErrClosed)
		return
	}
	go func() {
		defer t.running.Done()
		if err := t.dial(ctx, to, tag); err != nil {
			t.sink.DialFailed(tag, err)
		}
	}()
}

// dial connects and then is the link's reader. An error means that there was no link.
func (t *Transport) dial(ctx context.Context, to transport.Addr, tag any) error {
	if to.Proto != transport.QUIC || !to.IsValid() {
		return ErrUnsupported
	}
	if !t.takeSlot() {
		return ErrLimit
	}
	defer t.freeSlot()
	l, err := t.connect(ctx, to)
	switch {
	case err == nil:
		l.run(tag)
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case t.ctx.Err() != nil:
		return transport.ErrClosed
	}
	return err
}

// connect makes the connection and its stream. It waits for its turn first.
func (t *Transport) connect(ctx context.Context, to transport.Addr) (*link, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()
	select {
	case t.dialSlots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-t.dialSlots }()
	at := netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	s, err := t.socketTo(at.Addr())
	if err != nil {
		return nil, err
	}
	outbound := t.quic.Clone()
	outbound.MaxIncomingStreams = -1
	conn, err := s.quic.Dial(ctx, net.UDPAddrFromAddrPort(at), t.tls, outbound)
	if err != nil {
		return nil, err
	}
	stream, err := conn.OpenStreamSync(ctx)
	if err == nil {
		_, err = stream.Write([]byte{streamVersion})
	}
	var l *link
	if err == nil {
		l, err = t.newLink(conn, stream, s.localTo(at), transport.Addr{Proto: transport.QUIC, AddrPort: at})
	}
	if err != nil {
		_ = conn.CloseWithError(codeNone, "")
	}
	return l, err
}

// localTo is the address that the socket sends from to that place: a socket that is bound to every address knows only when
// it sends. Connecting another one asks the routing table and sends nothing.
func (s *socket) localTo(to netip.AddrPort) transport.Addr {
	local := s.addr
	if !local.Addr().IsUnspecified() {
		return local
	}
	if probe, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to)); err == nil {
		ip := addrOf(probe.LocalAddr()).Addr()
		_ = probe.Close()
		local.AddrPort = netip.AddrPortFrom(ip, local.Port())
	}
	return local
}
