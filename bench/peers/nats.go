package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/carrier-p2p/carrier/bench/load"
)

// natsDriver is NATS: the serving process has the server, and a client of it that answers. Everything about one connection has
// a subject below "c.<number>", and one subscription takes them all, so that what one client publishes arrives in order.
type natsDriver struct{}

const (
	natsOpen    = "open" // a request for a number
	natsMessage = "m"
	natsRequest = "r"
	natsSign    = "s" // of a window
)

// natsPatience bounds requests, as they need a time-out.
const natsPatience = 30 * time.Second

func (natsDriver) Name() string { return "nats" }

// Serve implements load.Driver. NATS chooses the port.
func (natsDriver) Serve(_ string, _ load.Shape, sink *load.Sink) (load.Server, error) {
	certificate, err := newCertificate()
	if err != nil {
		return nil, err
	}
	ns, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true, MaxPayload: load.SizeLimit + 1024,
		TLS: true, TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate}}, TLSTimeout: handshakeLimit.Seconds()})
	if err != nil {
		return nil, err
	}
	go ns.Start()
	if !ns.ReadyForConnections(handshakeLimit) {
		return nil, errors.New("peers: the NATS server does not start")
	}
	nc, err := nats.Connect("", nats.InProcessServer(ns))
	if err != nil {
		ns.Shutdown()
		return nil, err
	}
	s := &natsServer{server: ns, conn: nc, sink: sink}
	if _, err := nc.Subscribe(natsOpen, s.open); err != nil {
		return nil, err
	}
	sub, err := nc.Subscribe("c.*.*", s.take)
	if err != nil {
		return nil, err
	}
	return s, errors.Join(sub.SetPendingLimits(-1, -1), nc.Flush())
}

// newCertificate makes one that nobody vouches for.
func newCertificate() (tls.Certificate, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, err
}

type natsServer struct {
	server *server.Server
	conn   *nats.Conn
	sink   *load.Sink
	mu     sync.Mutex
	all    []*load.Receiver
}

func (s *natsServer) open(m *nats.Msg) {
	s.mu.Lock()
	s.all = append(s.all, s.sink.Open())
	number := len(s.all) - 1
	s.mu.Unlock()
	_ = m.Respond(strconv.AppendInt(nil, int64(number), 10)) // who hears nothing gives up
}

func (s *natsServer) take(m *nats.Msg) {
	parts := strings.Split(m.Subject, ".")
	number, err := strconv.Atoi(parts[1])
	s.mu.Lock()
	if err != nil || number < 0 || number >= len(s.all) {
		s.mu.Unlock()
		return
	}
	r := s.all[number]
	s.mu.Unlock()
	switch parts[2] {
	case natsMessage:
		r.Message(m.Data)
	case natsRequest:
		_ = m.Respond(r.Request(m.Data))
	case natsSign:
		_ = m.Respond(nil)
	}
}

func (s *natsServer) Addr() string { return s.server.ClientURL() }

func (s *natsServer) Close() error {
	s.conn.Close()
	s.server.Shutdown()
	s.server.WaitForShutdown()
	return nil
}

// NewDialer implements load.Driver.
func (natsDriver) NewDialer(load.Shape) (load.Dialer, error) { return natsDialer{}, nil }

type natsDialer struct{}

func (natsDialer) Close() error { return nil }

// Dial implements load.Dialer.
func (natsDialer) Dial(_ context.Context, addr string, _ int) (load.Conn, error) {
	nc, err := nats.Connect(addr, nats.Secure(&tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true}), nats.NoReconnect(), nats.Timeout(handshakeLimit))
	if err != nil {
		return nil, err
	}
	m, err := nc.Request(natsOpen, nil, natsPatience)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("nats: %w", err)
	}
	c := &natsConn{conn: nc, subject: "c." + string(m.Data) + "."}
	c.window = newWindow(func() error {
		_, err := nc.Request(c.subject+natsSign, nil, natsPatience)
		return err
	})
	return c, nil
}

type natsConn struct {
	conn    *nats.Conn
	subject string
	window  *window
}

func (c *natsConn) Send(msg []byte) error {
	if err := c.conn.Publish(c.subject+natsMessage, msg); err != nil {
		return err
	}
	return c.window.spent(len(msg))
}

func (c *natsConn) Flush() error { return c.conn.Flush() }

func (c *natsConn) Call(req, into []byte) ([]byte, error) {
	m, err := c.conn.Request(c.subject+natsRequest, req, natsPatience)
	if err != nil {
		return into, err
	}
	return append(into[:0], m.Data...), nil
}

func (c *natsConn) Close() error {
	c.conn.Close()
	return nil
}
