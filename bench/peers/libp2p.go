package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	noisesec "github.com/libp2p/go-libp2p/p2p/security/noise"
	tlssec "github.com/libp2p/go-libp2p/p2p/security/tls"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"

	"github.com/carrier-p2p/carrier/bench/framed"
	"github.com/carrier-p2p/carrier/bench/load"
)

// The protocols of the benchmark: one stream for everything, or one for each request.
const (
	longLived = "/carrier-bench/stream/1"
	perCall   = "/carrier-bench/call/1"
)

// libp2pDriver is go-libp2p with Ed25519 identities.
type libp2pDriver struct {
	name string
	each bool // a write for each message, a stream for each request
	quic bool
	tls  bool // TLS 1.3 in place of Noise
}

func (d libp2pDriver) Name() string { return d.name }

func (libp2pDriver) Version() string { return moduleVersion("github.com/libp2p/go-libp2p") }

// host makes one. Its managers do nothing: their defaults would refuse what the runs ask for.
func (d libp2pDriver) host(listen ...string) (host.Host, error) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, err
	}
	options := []libp2p.Option{libp2p.Identity(key), libp2p.DisableRelay(), libp2p.DisableMetrics(),
		libp2p.ResourceManager(&network.NullResourceManager{}), libp2p.ConnectionManager(connmgr.NullConnMgr{})}
	if len(listen) > 0 {
		options = append(options, libp2p.ListenAddrStrings(listen...))
	} else {
		options = append(options, libp2p.NoListenAddrs)
	}
	security := libp2p.Security(noisesec.ID, noisesec.New)
	if d.tls {
		security = libp2p.Security(tlssec.ID, tlssec.New)
	}
	if d.quic {
		options = append(options, libp2p.Transport(libp2pquic.NewTransport))
	} else {
		options = append(options, libp2p.Transport(tcp.NewTCPTransport), security, libp2p.Muxer(yamux.ID, yamux.DefaultTransport))
	}
	return libp2p.New(options...)
}

// Serve implements load.Driver. addr is ignored but for being on loopback: libp2p has addresses of its own kind.
func (d libp2pDriver) Serve(_ string, shape load.Shape, sink *load.Sink) (load.Server, error) {
	listen := "/ip4/127.0.0.1/tcp/0"
	if d.quic {
		listen = "/ip4/127.0.0.1/udp/0/quic-v1"
	}
	h, err := d.host(listen)
	if err != nil {
		return nil, err
	}
	s := &libp2pServer{Host: h, buffer: framed.BufferFor(shape), sink: sink, by: map[string]*load.Receiver{}}
	h.Network().Notify(&network.NotifyBundle{
		ConnectedF:    func(_ network.Network, c network.Conn) { s.receiver(c) },
		DisconnectedF: func(_ network.Network, c network.Conn) { s.gone(c) },
	})
	h.SetStreamHandler(longLived, s.serve)
	if d.each {
		h.SetStreamHandler(perCall, s.answer)
	}
	return s, nil
}

// libp2pServer counts connections as libp2p tells of them, when their handshake is finished.
type libp2pServer struct {
	host.Host
	buffer int
	sink   *load.Sink

	mu sync.Mutex
	by map[string]*load.Receiver // by connection
}

// receiver is that of a connection: the first stream may come before the news of the connection does.
func (s *libp2pServer) receiver(c network.Conn) *load.Receiver {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.by[c.ID()]
	if r == nil {
		r = s.sink.Open()
		s.by[c.ID()] = r
	}
	return r
}

func (s *libp2pServer) gone(c network.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.by[c.ID()]; r != nil {
		r.Close()
		delete(s.by, c.ID())
	}
}

func (s *libp2pServer) serve(stream network.Stream) {
	defer stream.Close()
	_ = framed.Serve(stream, s.buffer, s.receiver(stream.Conn())) // how a stream ended is the dialling side's to judge
}

// answer answers the one request of a stream.
func (s *libp2pServer) answer(stream network.Stream) {
	defer stream.Close()
	req, err := readMessage(stream)
	if err != nil {
		_ = stream.Reset()
		return
	}
	r := s.receiver(stream.Conn())
	s.mu.Lock() // a Receiver takes one call at a time
	reply := append([]byte(nil), r.Request(req)...)
	s.mu.Unlock()
	_ = writeMessage(stream, reply)
}

// Addr is the multiaddress with the peer's ID.
func (s *libp2pServer) Addr() string {
	all, err := peer.AddrInfoToP2pAddrs(&peer.AddrInfo{ID: s.ID(), Addrs: s.Addrs()})
	if err != nil || len(all) == 0 {
		return ""
	}
	return all[0].String()
}

// A message on a stream of its own: u32 length, little endian, and the message.
func writeMessage(w io.Writer, msg []byte) error {
	_, err := w.Write(append(binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(msg)), uint32(len(msg))), msg...))
	return err
}

func readMessage(r io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n > load.SizeLimit {
		return nil, fmt.Errorf("peers: a message of %d bytes", n)
	}
	msg := make([]byte, n)
	_, err := io.ReadFull(r, msg)
	return msg, err
}

// NewDialer implements load.Driver.
func (d libp2pDriver) NewDialer(shape load.Shape) (load.Dialer, error) {
	return &libp2pDialer{libp2pDriver: d, buffer: framed.BufferFor(shape)}, nil
}

type libp2pDialer struct {
	libp2pDriver
	buffer int
}

func (d *libp2pDialer) Close() error { return nil }

// Dial connects a host of its own, identify included, as host.Connect does.
func (d *libp2pDialer) Dial(ctx context.Context, addr string, _ int) (load.Conn, error) {
	to, err := peer.AddrInfoFromString(addr)
	if err != nil {
		return nil, err
	}
	h, err := d.host()
	if err != nil {
		return nil, err
	}
	if err := h.Connect(ctx, *to); err != nil {
		_ = h.Close()
		return nil, err
	}
	s, err := h.NewStream(ctx, to.ID, longLived)
	if err == nil {
		_, err = s.Write(nil) // negotiation is lazy: the other end would not hear of the stream before there is something to say
	}
	if err != nil {
		_ = h.Close()
		return nil, err
	}
	c := &libp2pConn{Conn: framed.Dial(s, d.buffer), host: h, to: to.ID}
	if d.each {
		return &libp2pEach{c}, nil
	}
	return c, nil
}

type libp2pConn struct {
	load.Conn
	host host.Host
	to   peer.ID
}

func (c *libp2pConn) Close() error {
	err := c.host.Close() // first: closing a stream waits for nobody, and ends what reads
	_ = c.Conn.Close()
	return err
}

// libp2pEach is a program that gathers nothing.
type libp2pEach struct{ *libp2pConn }

func (c *libp2pEach) Send(msg []byte) error {
	if err := c.libp2pConn.Send(msg); err != nil {
		return err
	}
	return c.Flush()
}

func (c *libp2pEach) Call(req, into []byte) ([]byte, error) {
	s, err := c.host.NewStream(context.Background(), c.to, perCall)
	if err != nil {
		return into, err
	}
	defer s.Close()
	if err := writeMessage(s, req); err != nil {
		return into, err
	}
	reply, err := readMessage(s)
	return append(into[:0], reply...), err
}
