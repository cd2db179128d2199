package main

import (
	"context"
	"crypto/ecdsa"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/p2p/rlpx"

	"github.com/carrier-p2p/carrier/bench/load"
)

// handshakeLimit bounds handshakes at both ends, as go-ethereum does with 5 s.
const handshakeLimit = 10 * time.Second

// rlpxDriver is go-ethereum's transport: the code of a frame is the number of a request, 0 a one-way message.
type rlpxDriver struct{}

func (rlpxDriver) Name() string { return "rlpx" }

func (rlpxDriver) Version() string { return moduleVersion("github.com/ethereum/go-ethereum") }

// Serve implements load.Driver.
func (rlpxDriver) Serve(addr string, _ load.Shape, sink *load.Sink) (load.Server, error) {
	key, err := crypto.GenerateKey()
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &rlpxServer{listener: l, key: key, sink: sink, conns: map[net.Conn]bool{}}
	s.running.Go(s.accept)
	return s, nil
}

type rlpxServer struct {
	listener net.Listener
	key      *ecdsa.PrivateKey
	sink     *load.Sink
	running  sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
}

// Addr is host:port and the server's public key in hexadecimal digits.
func (s *rlpxServer) Addr() string {
	return s.listener.Addr().String() + "/" + hex.EncodeToString(crypto.FromECDSAPub(&s.key.PublicKey))
}

func (s *rlpxServer) accept() {
	for {
		conn, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(5 * time.Millisecond) // out of descriptors, most likely
			continue
		}
		s.mu.Lock()
		closed := s.closed
		s.conns[conn] = true
		s.mu.Unlock()
		if closed {
			_ = conn.Close()
			return
		}
		s.running.Go(func() {
			_ = s.serve(rlpx.NewConn(conn, nil)) // how a connection ended is the dialling side's to judge
			_ = conn.Close()
			s.mu.Lock()
			delete(s.conns, conn)
			s.mu.Unlock()
		})
	}
}

func (s *rlpxServer) serve(c *rlpx.Conn) error {
	if err := shake(c, s.key); err != nil {
		return err
	}
	receiver := s.sink.Open()
	defer receiver.Close()
	for {
		code, data, _, err := c.Read()
		if err != nil {
			return err
		}
		if code == 0 {
			receiver.Message(data)
			continue
		}
		if _, err := c.Write(code, receiver.Request(data)); err != nil {
			return err
		}
	}
}

func shake(c *rlpx.Conn, key *ecdsa.PrivateKey) error {
	if err := c.SetDeadline(time.Now().Add(handshakeLimit)); err != nil {
		return err
	}
	if _, err := c.Handshake(key); err != nil {
		return err
	}
	return c.SetDeadline(time.Time{})
}

func (s *rlpxServer) Close() error {
	err := s.listener.Close()
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
	return err
}

// NewDialer implements load.Driver.
func (rlpxDriver) NewDialer(load.Shape) (load.Dialer, error) { return rlpxDialer{}, nil }

type rlpxDialer struct{}

func (rlpxDialer) Close() error { return nil }

// Dial implements load.Dialer, with a key of its own for each connection.
func (rlpxDialer) Dial(ctx context.Context, addr string, _ int) (load.Conn, error) {
	at, digits, _ := strings.Cut(addr, "/")
	raw, err := hex.DecodeString(digits)
	if err != nil {
		return nil, err
	}
	server, err := crypto.UnmarshalPubkey(raw)
	if err != nil {
		return nil, err
	}
	key, err := crypto.GenerateKey()
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", at)
	if err != nil {
		return nil, err
	}
	c := &rlpxConn{conn: rlpx.NewConn(conn, server)}
	if err := shake(c.conn, key); err != nil {
		_ = conn.Close()
		return nil, err
	}
	c.running.Go(c.read)
	return c, nil
}

type rlpxConn struct {
	conn    *rlpx.Conn
	pending pending
	running sync.WaitGroup
	mu      sync.Mutex // for Write
}

func (c *rlpxConn) write(code uint64, msg []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.conn.Write(code, msg)
	return err
}

func (c *rlpxConn) Send(msg []byte) error { return c.write(0, msg) }

func (c *rlpxConn) Flush() error { return nil }

func (c *rlpxConn) Call(req, into []byte) ([]byte, error) {
	id, answer, err := c.pending.begin()
	if err != nil {
		return into, err
	}
	if err := c.write(uint64(id), req); err != nil {
		c.pending.fail(err) // the stream of frames is broken for everybody
	}
	return c.pending.finish(answer, into)
}

func (c *rlpxConn) read() {
	for {
		code, data, _, err := c.conn.Read()
		if err != nil {
			c.pending.fail(fmt.Errorf("rlpx: %w", err))
			return
		}
		c.pending.answered(uint32(code), append([]byte(nil), data...))
	}
}

func (c *rlpxConn) Close() error {
	err := c.conn.Close()
	c.running.Wait()
	return err
}
