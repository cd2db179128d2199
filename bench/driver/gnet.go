package driver

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"github.com/carrier-p2p/carrier/bench/framed"
	"github.com/carrier-p2p/carrier/bench/load"
)

const (
	// gnetWindow is how many one-way bytes a sender may have unacknowledged. The reactor would buffer without end; 1 MiB
	// keeps a megabyte of loopback busy and is what carrier grants a peer.
	gnetWindow = 1 << 20

	// gnetAckEvery is how many bytes the receiver takes before it says so: an eighth of the window, so that its word is back
	// long before the sender must stop.
	gnetAckEvery = gnetWindow / 8
)

// Gnet is the baseline on the reactor: frames without encryption, answers to a whole read in one write.
func Gnet() load.Driver { return gnetDriver{} }

type gnetDriver struct{}

func (gnetDriver) Name() string { return "gnet" }

func (gnetDriver) Serve(addr string, _ load.Shape, sink *load.Sink) (load.Server, error) {
	s := &gnetServer{sink: sink, booted: make(chan error, 1), ended: make(chan struct{})}
	go func() { // ends when gnet does, which Close waits for
		defer close(s.ended)
		err := gnet.Run(s, "tcp://"+addr, gnetOptions()...)
		if err == nil {
			err = framed.ErrClosed
		}
		select {
		case s.booted <- err:
		default:
		}
	}()
	if err := <-s.booted; err != nil {
		return nil, fmt.Errorf("driver: gnet: %w", err)
	}
	return s, nil
}

func gnetOptions() []gnet.Option {
	return []gnet.Option{
		gnet.WithMulticore(true), gnet.WithLoadBalancing(gnet.LeastConnections),
		gnet.WithReuseAddr(true), gnet.WithLogger(silence{}),
	}
}

// silence is gnet's logger: what matters reaches us as errors.
type silence struct{}

func (silence) Debugf(string, ...any) {}
func (silence) Infof(string, ...any)  {}
func (silence) Warnf(string, ...any)  {}
func (silence) Errorf(string, ...any) {}
func (silence) Fatalf(string, ...any) {}

type gnetServer struct {
	gnet.BuiltinEventEngine
	sink   *load.Sink
	engine gnet.Engine
	addr   string
	booted chan error
	ended  chan struct{}
	pool   sync.Pool // *[]byte: the answers to one read
}

// gnetPeer is the serving side's state of one connection; its loop's.
type gnetPeer struct {
	receiver *load.Receiver
	carry    framed.Carry
	unacked  uint64 // one-way bytes taken and not yet acknowledged
}

func (s *gnetServer) Addr() string { return s.addr }

func (s *gnetServer) Close() error {
	err := s.engine.Stop(context.Background())
	<-s.ended
	return err
}

func (s *gnetServer) OnBoot(engine gnet.Engine) gnet.Action {
	s.engine = engine
	addr, err := boundAddr(engine)
	s.addr = addr
	s.booted <- err
	if err != nil {
		return gnet.Shutdown
	}
	return gnet.None
}

// boundAddr asks the listening socket where it is, since gnet does not tell the port it got for port 0.
func boundAddr(engine gnet.Engine) (string, error) {
	fd, err := engine.Dup()
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	name, err := unix.Getsockname(fd)
	if err != nil {
		return "", err
	}
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		return (&net.TCPAddr{IP: a.Addr[:], Port: a.Port}).String(), nil
	case *unix.SockaddrInet6:
		return (&net.TCPAddr{IP: a.Addr[:], Port: a.Port}).String(), nil
	}
	return "", errors.New("driver: listening on something that is not IP")
}

func (s *gnetServer) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	c.SetContext(&gnetPeer{receiver: s.sink.Open()})
	return nil, gnet.None
}

func (s *gnetServer) OnClose(c gnet.Conn, _ error) gnet.Action {
	if p, ok := c.Context().(*gnetPeer); ok {
		p.receiver.Close()
	}
	return gnet.None
}

func (s *gnetServer) OnTraffic(c gnet.Conn) gnet.Action {
	if c.InboundBuffered() == 0 {
		return gnet.None
	}
	p := c.Context().(*gnetPeer)
	in, err := c.Next(-1)
	if err != nil {
		return gnet.Close
	}
	out, ok := s.pool.Get().(*[]byte)
	if !ok {
		out = new([]byte)
	}
	*out = (*out)[:0]
	defer s.pool.Put(out)
	err = p.carry.Feed(in, func(id uint32, payload []byte) bool {
		if id == 0 {
			p.receiver.Message(payload)
			p.unacked += uint64(framed.HeaderSize + len(payload))
			return true
		}
		*out = framed.Append(*out, id, p.receiver.Request(payload))
		return true
	})
	if err != nil {
		return gnet.Close
	}
	if p.unacked >= gnetAckEvery {
		var taken [8]byte
		binary.LittleEndian.PutUint64(taken[:], p.unacked)
		*out = framed.Append(*out, 0, taken[:])
		p.unacked = 0
	}
	if len(*out) == 0 {
		return gnet.None
	}
	if _, err := c.Write(*out); err != nil {
		return gnet.Close
	}
	return gnet.None
}

func (gnetDriver) NewDialer(load.Shape) (load.Dialer, error) {
	d := &gnetDialer{}
	client, err := gnet.NewClient(d, gnetOptions()...)
	if err != nil {
		return nil, fmt.Errorf("driver: gnet: %w", err)
	}
	if err := client.Start(); err != nil {
		return nil, fmt.Errorf("driver: gnet: %w", err)
	}
	d.client = client
	return d, nil
}

type gnetDialer struct {
	gnet.BuiltinEventEngine
	client *gnet.Client
}

func (d *gnetDialer) Close() error { return d.client.Stop() }

func (d *gnetDialer) Dial(ctx context.Context, addr string, _ int) (load.Conn, error) {
	var dialer net.Dialer
	raw, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &gnetConn{}
	c.room.L = &c.mu
	if c.conn, err = d.client.EnrollContext(raw, c); err != nil {
		return nil, err
	}
	return c, nil
}

// DialStopped implements load.Stopper.
func (d *gnetDialer) DialStopped(ctx context.Context, addr string, _, size int) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return startStopped(conn, size), nil
}

// gnetConn is the dialling end. Senders append to one buffer; the loop takes all of it at once.
type gnetConn struct {
	conn  gnet.Conn
	calls framed.Calls
	carry framed.Carry // the loop's
	spare []byte       // the loop's: what was written last, for the next turn

	mu        sync.Mutex
	room      sync.Cond
	out       []byte
	scheduled bool
	closed    bool
	unacked   int // one-way bytes
}

func (c *gnetConn) Send(msg []byte) error {
	size := framed.HeaderSize + len(msg)
	c.mu.Lock()
	for c.unacked > 0 && c.unacked+size > gnetWindow && !c.closed {
		c.room.Wait()
	}
	c.unacked += size
	return c.append(0, msg)
}

func (c *gnetConn) Flush() error { return nil }

func (c *gnetConn) Call(req, into []byte) ([]byte, error) {
	slot, err := c.calls.Begin(into)
	if err != nil {
		return into, err
	}
	c.mu.Lock()
	if err := c.append(slot.ID, req); err != nil {
		c.calls.Fail(err)
	}
	return c.calls.Wait(slot)
}

// append adds a frame and sees to it that the loop will take it. It is called with the lock held and gives it up.
func (c *gnetConn) append(id uint32, payload []byte) error {
	if c.closed {
		c.mu.Unlock()
		return framed.ErrClosed
	}
	c.out = framed.Append(c.out, id, payload)
	wake := !c.scheduled
	c.scheduled = true
	c.mu.Unlock()
	if wake {
		return c.conn.Wake(nil)
	}
	return nil
}

func (c *gnetConn) Close() error { return c.conn.Close() } // the loop closes it soon

func (d *gnetDialer) OnTraffic(conn gnet.Conn) gnet.Action {
	c := conn.Context().(*gnetConn)
	if conn.InboundBuffered() > 0 {
		in, err := conn.Next(-1)
		if err != nil || c.carry.Feed(in, c.receive) != nil {
			return gnet.Close
		}
	}
	c.mu.Lock()
	out := c.out
	c.out, c.scheduled = c.spare[:0], false
	c.mu.Unlock()
	c.spare = out
	if len(out) == 0 {
		return gnet.None
	}
	if _, err := conn.Write(out); err != nil {
		return gnet.Close
	}
	return gnet.None
}

// receive takes an answer or an acknowledgement.
func (c *gnetConn) receive(id uint32, payload []byte) bool {
	if id != 0 {
		return c.calls.Answer(id, payload)
	}
	if len(payload) != 8 {
		return false
	}
	taken := binary.LittleEndian.Uint64(payload)
	c.mu.Lock()
	defer c.mu.Unlock()
	if taken > uint64(c.unacked) {
		return false
	}
	c.unacked -= int(taken)
	c.room.Broadcast()
	return true
}

func (d *gnetDialer) OnClose(conn gnet.Conn, err error) gnet.Action {
	c := conn.Context().(*gnetConn)
	c.mu.Lock()
	c.closed = true
	c.room.Broadcast()
	c.mu.Unlock()
	c.calls.Fail(errors.Join(framed.ErrClosed, err))
	return gnet.None
}
