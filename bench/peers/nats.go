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

	natsSubscribe = "subscribe" // a request for one more subscriber of natsEverybody
	natsEverybody = "everybody"
)

// natsPatience bounds requests, as they need a time-out.
const natsPatience = 30 * time.Second

func (natsDriver) Name() string { return "nats" }

func (natsDriver) Version() string { return moduleVersion("github.com/nats-io/nats-server/v2") }

// Serve implements load.Driver. NATS chooses the port.
func (natsDriver) Serve(_ string, shape load.Shape, sink *load.Sink) (load.Server, error) {
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
	if shape.Fan {
		if _, err := nc.Subscribe(natsSubscribe, s.subscribe); err != nil {
			return nil, err
		}
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

	subscribers []*nats.Conn
}

func (s *natsServer) open(m *nats.Msg) {
	s.mu.Lock()
	s.all = append(s.all, s.sink.Open())
	number := len(s.all) - 1
	s.mu.Unlock()
	_ = m.Respond(strconv.AppendInt(nil, int64(number), 10)) // who hears nothing gives up
}

// subscribe connects one more client, over loopback and TLS as any other, that hears what everybody is told.
func (s *natsServer) subscribe(m *nats.Msg) {
	nc, err := natsClient(s.server.ClientURL())
	if err != nil {
		return // who hears nothing gives up
	}
	receiver := s.sink.Open()
	sub, err := nc.Subscribe(natsEverybody, func(m *nats.Msg) { receiver.Message(m.Data) })
	if err == nil {
		err = errors.Join(sub.SetPendingLimits(-1, -1), nc.Flush())
	}
	if err != nil {
		nc.Close()
		return
	}
	s.mu.Lock()
	s.subscribers = append(s.subscribers, nc)
	s.mu.Unlock()
	_ = m.Respond(nil)
}

func natsClient(url string) (*nats.Conn, error) {
	return nats.Connect(url, nats.Secure(&tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true}), nats.NoReconnect(), nats.Timeout(handshakeLimit))
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
	s.mu.Lock()
	for _, nc := range s.subscribers {
		nc.Close()
	}
	s.mu.Unlock()
	s.server.Shutdown()
	s.server.WaitForShutdown()
	return nil
}

// NewDialer implements load.Driver.
func (natsDriver) NewDialer(shape load.Shape) (load.Dialer, error) {
	return &natsDialer{shape: shape}, nil
}

type natsDialer struct {
	shape load.Shape

	mu        sync.Mutex
	publisher *nats.Conn // of a fan-out
}

func (d *natsDialer) Close() error {
	if d.publisher != nil {
		d.publisher.Close()
	}
	return nil
}

// subscriber has the serving side connect one more subscriber. The first one's connection publishes for all: a message to
// everybody is published once, and the server copies it.
func (d *natsDialer) subscriber(addr string, n int) (load.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.publisher == nil {
		nc, err := natsClient(addr)
		if err != nil {
			return nil, err
		}
		d.publisher = nc
	}
	if _, err := d.publisher.Request(natsSubscribe, nil, natsPatience); err != nil {
		return nil, fmt.Errorf("nats: %w", err)
	}
	return natsSubscriber{d.publisher, n == 0}, nil
}

// natsSubscriber is one of those who are told; only the first one's messages are published, as they are for all.
type natsSubscriber struct {
	conn *nats.Conn
	says bool
}

func (c natsSubscriber) Send(msg []byte) error {
	if !c.says {
		return nil
	}
	return c.conn.Publish(natsEverybody, msg)
}

func (natsSubscriber) Flush() error { return nil }
func (natsSubscriber) Close() error { return nil }

func (natsSubscriber) Call(_, into []byte) ([]byte, error) {
	return into, fmt.Errorf("%w: to ask a subscriber", load.ErrCannot)
}

// Dial implements load.Dialer.
func (d *natsDialer) Dial(_ context.Context, addr string, n int) (load.Conn, error) {
	if d.shape.Fan {
		return d.subscriber(addr, n)
	}
	nc, err := natsClient(addr)
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

func (c *natsConn) Flush() error { return nil } // the client writes by itself; its Flush would wait for an answer

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
