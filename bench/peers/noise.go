package main

import (
	"context"
	"fmt"
	"net"
	"sync"

	"github.com/perlin-network/noise"

	"github.com/carrier-p2p/carrier/bench/load"
)

// noiseDriver is perlin/noise. A message begins with a byte that says what it is.
type noiseDriver struct{}

const (
	noiseMessage byte = iota
	noiseRequest
	noiseSign // of a window: answered with nothing
)

func (noiseDriver) Name() string { return "noise" }

func (noiseDriver) Version() string {
	return "perlin-network/" + moduleVersion("github.com/perlin-network/noise")
}

// node makes one with room for so many connections. One worker: with more, messages of one connection are handled at the same
// time and in any order.
func noiseNode(conns int) (*noise.Node, error) {
	return noise.NewNode(noise.WithNodeBindHost(net.IPv4(127, 0, 0, 1)), noise.WithNodeNumWorkers(1),
		noise.WithNodeMaxInboundConnections(uint(conns)), noise.WithNodeMaxOutboundConnections(uint(conns)),
		noise.WithNodeMaxRecvMessageSize(load.SizeLimit+1024))
}

// Serve implements load.Driver. noise chooses a port itself.
func (noiseDriver) Serve(_ string, shape load.Shape, sink *load.Sink) (load.Server, error) {
	n, err := noiseNode(max(shape.Conns, 64) + 4096) // and room for those that are still being taken down
	if err != nil {
		return nil, err
	}
	s := &noiseServer{node: n, sink: sink, by: map[noise.PublicKey]*load.Receiver{}}
	n.Bind(noise.Protocol{
		OnPeerConnected: func(c *noise.Client) { s.receiver(c.ID().ID) },
		OnPeerDisconnected: func(c *noise.Client) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if r := s.by[c.ID().ID]; r != nil {
				r.Close()
				delete(s.by, c.ID().ID)
			}
		},
	})
	n.Handle(s.handle)
	if err := n.Listen(); err != nil {
		return nil, err
	}
	return s, nil
}

type noiseServer struct {
	node *noise.Node
	sink *load.Sink
	mu   sync.Mutex
	by   map[noise.PublicKey]*load.Receiver
}

func (s *noiseServer) receiver(key noise.PublicKey) *load.Receiver {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.by[key]
	if r == nil {
		r = s.sink.Open()
		s.by[key] = r
	}
	return r
}

func (s *noiseServer) handle(ctx noise.HandlerContext) error {
	data := ctx.Data()
	if len(data) == 0 {
		return nil
	}
	switch r := s.receiver(ctx.ID().ID); data[0] {
	case noiseMessage:
		r.Message(data[1:])
	case noiseRequest:
		return ctx.Send(r.Request(data[1:]))
	case noiseSign:
		return ctx.Send([]byte{noiseSign})
	}
	return nil
}

func (s *noiseServer) Addr() string { return s.node.Addr() }

func (s *noiseServer) Close() error { return s.node.Close() }

// NewDialer implements load.Driver.
func (noiseDriver) NewDialer(load.Shape) (load.Dialer, error) { return noiseDialer{}, nil }

type noiseDialer struct{}

func (noiseDialer) Close() error { return nil }

// Dial implements load.Dialer, with a node of its own for each connection.
func (noiseDialer) Dial(ctx context.Context, addr string, _ int) (load.Conn, error) {
	n, err := noiseNode(1)
	if err != nil {
		return nil, err
	}
	if err := n.Listen(); err != nil { // without, it has no ID to show
		return nil, err
	}
	if _, err := n.Ping(ctx, addr); err != nil {
		_ = n.Close()
		return nil, fmt.Errorf("noise: %w", err)
	}
	c := &noiseConn{node: n, addr: addr}
	c.window = newWindow(func() error {
		_, err := n.Request(context.Background(), addr, []byte{noiseSign})
		return err
	})
	return c, nil
}

type noiseConn struct {
	node   *noise.Node
	addr   string
	window *window
}

func (c *noiseConn) Send(msg []byte) error {
	if err := c.node.Send(context.Background(), c.addr, append([]byte{noiseMessage}, msg...)); err != nil {
		return err
	}
	return c.window.spent(len(msg))
}

func (c *noiseConn) Flush() error { return nil }

func (c *noiseConn) Call(req, into []byte) ([]byte, error) {
	reply, err := c.node.Request(context.Background(), c.addr, append([]byte{noiseRequest}, req...))
	return append(into[:0], reply...), err
}

// Close ends the connection, which a node's own Close leaves open. That one may wait for ever, if it comes
// before the node's goroutine has noted that it listens, so nobody waits for it.
func (c *noiseConn) Close() error {
	for _, client := range c.node.Outbound() {
		client.Close()
	}
	go func() { _ = c.node.Close() }()
	return nil
}
