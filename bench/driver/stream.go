package driver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/carrier-p2p/carrier/bench/framed"
	"github.com/carrier-p2p/carrier/bench/load"
)

// streamHandshakeLimit bounds TLS handshakes at both ends, as any server would.
const streamHandshakeLimit = 10 * time.Second

// TCP is the baseline without encryption: a goroutine for each connection, buffered frames.
func TCP() load.Driver { return streamDriver{name: "tcp"} }

// TLS is the baseline with TLS 1.3 and certificates on both sides, its key exchange X25519.
func TLS() load.Driver { return streamDriver{name: "tls", exchange: tls.X25519} }

// TLSMLKEM is TLS with the hybrid key exchange that crypto/tls offers first by default.
func TLSMLKEM() load.Driver { return streamDriver{name: "tls-mlkem", exchange: tls.X25519MLKEM768} }

// streamDriver is a goroutine for each connection over net, with TLS if there is a key exchange.
type streamDriver struct {
	name     string
	exchange tls.CurveID

	// Of what is not TCP, and makes its own connections secure. nil: TCP.
	listen func(addr string, config *tls.Config) (net.Listener, error)
	dial   func(ctx context.Context, addr string, config *tls.Config) (net.Conn, error)
}

func (d streamDriver) Name() string { return d.name }

func (d streamDriver) Serve(addr string, shape load.Shape, sink *load.Sink) (load.Server, error) {
	s := &streamServer{sink: sink, buffer: framed.BufferFor(shape), conns: map[net.Conn]struct{}{}}
	if d.exchange != 0 {
		config, err := newTLSConfig(d.exchange)
		if err != nil {
			return nil, err
		}
		s.tls = config
	}
	var err error
	if d.listen != nil {
		s.listener, err = d.listen(addr, s.tls)
		s.tls = nil
	} else {
		s.listener, err = net.Listen("tcp", addr)
	}
	if err != nil {
		return nil, fmt.Errorf("driver: %s: %w", d.name, err)
	}
	s.running.Go(s.accept)
	return s, nil
}

type streamServer struct {
	listener net.Listener
	sink     *load.Sink
	tls      *tls.Config // nil: none
	buffer   int
	running  sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	closed bool
}

func (s *streamServer) Addr() string { return s.listener.Addr().String() }

func (s *streamServer) accept() {
	for {
		conn, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(5 * time.Millisecond) // out of descriptors, most likely: net/http waits as long
			continue
		}
		if !s.keep(conn) {
			_ = conn.Close()
			return
		}
		s.running.Go(func() {
			defer s.drop(conn)
			_ = s.serve(conn) // how a connection ended is the dialling side's to judge
		})
	}
}

func (s *streamServer) keep(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.conns[conn] = struct{}{}
	}
	return !s.closed
}

func (s *streamServer) drop(conn net.Conn) {
	s.mu.Lock()
	delete(s.conns, conn)
	s.mu.Unlock()
	_ = conn.Close()
}

func (s *streamServer) serve(raw net.Conn) error {
	conn := raw
	if s.tls != nil {
		secured := tls.Server(raw, s.tls)
		ctx, cancel := context.WithTimeout(context.Background(), streamHandshakeLimit)
		err := secured.HandshakeContext(ctx)
		cancel()
		if err != nil {
			return err
		}
		conn = secured
	}
	receiver := s.sink.Open()
	defer receiver.Close()
	return framed.Serve(conn, s.buffer, receiver)
}

func (s *streamServer) Close() error {
	err := s.listener.Close()
	s.mu.Lock()
	s.closed = true
	for conn := range s.conns {
		_ = conn.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
	return err
}

func (d streamDriver) NewDialer(shape load.Shape) (load.Dialer, error) {
	s := &streamDialer{buffer: framed.BufferFor(shape), dial: d.dial}
	if d.exchange != 0 {
		config, err := newTLSConfig(d.exchange)
		if err != nil {
			return nil, err
		}
		s.tls = config
	}
	return s, nil
}

type streamDialer struct {
	tls    *tls.Config
	buffer int
	dial   func(ctx context.Context, addr string, config *tls.Config) (net.Conn, error) // nil: TCP
}

func (d *streamDialer) Close() error { return nil }

func (d *streamDialer) Dial(ctx context.Context, addr string, _ int) (load.Conn, error) {
	conn, err := d.connect(ctx, addr)
	if err != nil {
		return nil, err
	}
	return framed.Dial(conn, d.buffer), nil
}

func (d *streamDialer) connect(ctx context.Context, addr string) (net.Conn, error) {
	if d.dial != nil {
		return d.dial(ctx, addr, d.tls)
	}
	var dialer net.Dialer
	raw, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil || d.tls == nil {
		return raw, err
	}
	secured := tls.Client(raw, d.tls)
	ctx, cancel := context.WithTimeout(ctx, streamHandshakeLimit)
	defer cancel()
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, err
	}
	return secured, nil
}

// DialStopped implements load.Stopper.
func (d *streamDialer) DialStopped(ctx context.Context, addr string, _, size int) (net.Conn, error) {
	conn, err := d.connect(ctx, addr)
	if err != nil {
		return nil, err
	}
	return startStopped(conn, size), nil
}

// stoppedConn writes requests until it is closed, and never reads.
type stoppedConn struct {
	net.Conn
	running sync.WaitGroup
}

func startStopped(conn net.Conn, size int) *stoppedConn {
	s := &stoppedConn{Conn: conn}
	frame := framed.Append(nil, 1, make([]byte, size))
	s.running.Go(func() {
		for {
			if _, err := conn.Write(frame); err != nil {
				return
			}
		}
	})
	return s
}

func (s *stoppedConn) Close() error {
	// A TLS connection's own Close would wait for the write that is stuck, to say goodbye after it.
	conn := s.Conn
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn()
	}
	err := conn.Close()
	s.running.Wait()
	return err
}
