package driver

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carrier-p2p/carrier/bench/load"
)

const (
	// busyBuffer is each buffer of a connection that is meant to work. 64 KiB, both ways: four TLS records to a write, and
	// the reactor drivers read as much at once.
	busyBuffer = 64 << 10

	// idleBuffer is the same for connections whose memory is the question. 4 KiB is bufio's own default.
	idleBuffer = 4 << 10

	// streamHandshakeLimit bounds TLS handshakes at both ends, as any server would.
	streamHandshakeLimit = 10 * time.Second
)

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

func bufferFor(shape load.Shape) int {
	if shape.Idle {
		return idleBuffer
	}
	return busyBuffer
}

func (d streamDriver) Serve(addr string, shape load.Shape, sink *load.Sink) (load.Server, error) {
	s := &streamServer{sink: sink, buffer: bufferFor(shape), conns: map[net.Conn]struct{}{}}
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
	return s.answer(conn, receiver)
}

// answer reads frames and answers requests; answers leave when no whole frame is left in the buffer.
func (s *streamServer) answer(conn net.Conn, receiver *load.Receiver) error {
	frames := frameReader{r: bufio.NewReaderSize(conn, s.buffer)}
	w := bufio.NewWriterSize(conn, s.buffer)
	var header [frameHeaderSize]byte
	for {
		id, payload, err := frames.next()
		if err != nil {
			return err
		}
		if id == 0 {
			receiver.Message(payload)
			continue
		}
		reply := receiver.Request(payload)
		putFrameHeader(header[:], id, len(reply))
		_, _ = w.Write(header[:]) // a bufio.Writer keeps its error until Flush
		_, _ = w.Write(reply)
		if !frames.more() {
			if err := w.Flush(); err != nil {
				return err
			}
		}
	}
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

// A frameReader reads frames in place while they fit into its buffer, and copies longer ones into memory of its own.
type frameReader struct {
	r    *bufio.Reader
	long []byte
	used int // bytes of the frame handed out last, still in r
}

// next returns a frame; its payload is good until the call after.
func (f *frameReader) next() (id uint32, payload []byte, err error) {
	if _, err := f.r.Discard(f.used); err != nil {
		return 0, nil, err
	}
	f.used = 0
	header, err := f.r.Peek(frameHeaderSize)
	if err != nil {
		return 0, nil, err
	}
	id, size, err := parseFrameHeader(header)
	if err != nil {
		return 0, nil, err
	}
	if whole := frameHeaderSize + size; whole <= f.r.Size() {
		frame, err := f.r.Peek(whole)
		f.used = len(frame)
		if err != nil {
			return 0, nil, err
		}
		return id, frame[frameHeaderSize:], nil
	}
	if cap(f.long) < size {
		f.long = make([]byte, size)
	}
	_, _ = f.r.Discard(frameHeaderSize) // what was peeked is there
	_, err = io.ReadFull(f.r, f.long[:size])
	return id, f.long[:size], err
}

// more reports whether another whole frame has been read already.
func (f *frameReader) more() bool {
	buffered, _ := f.r.Peek(f.r.Buffered()) // what is buffered can be peeked
	_, _, n, err := nextFrame(buffered[f.used:])
	return n > 0 || err != nil
}

func (d streamDriver) NewDialer(shape load.Shape) (load.Dialer, error) {
	s := &streamDialer{buffer: bufferFor(shape), dial: d.dial}
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
	c := &streamConn{conn: conn, w: bufio.NewWriterSize(conn, d.buffer)}
	c.running.Go(func() { c.read(d.buffer) })
	return c, nil
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

// streamConn is the dialling end. Writers share one buffer; of those that wait for it, the last one flushes.
type streamConn struct {
	conn    net.Conn
	calls   calls
	running sync.WaitGroup
	waiting atomic.Int32 // writers that want the buffer, the one that has it included

	mu sync.Mutex
	w  *bufio.Writer
}

func (c *streamConn) Send(msg []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.write(0, msg)
}

func (c *streamConn) Flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.w.Flush()
}

func (c *streamConn) Call(req, into []byte) ([]byte, error) {
	slot, err := c.calls.begin(into)
	if err != nil {
		return into, err
	}
	c.waiting.Add(1)
	c.mu.Lock()
	err = c.write(slot.id, req)
	if c.waiting.Add(-1) == 0 && err == nil {
		err = c.w.Flush()
	}
	c.mu.Unlock()
	if err != nil {
		c.calls.fail(err) // the stream is broken for everybody
	}
	return c.calls.wait(slot)
}

func (c *streamConn) write(id uint32, payload []byte) error {
	if c.w.Available() < frameHeaderSize {
		if err := c.w.Flush(); err != nil {
			return err
		}
	}
	header := c.w.AvailableBuffer()[:frameHeaderSize]
	putFrameHeader(header, id, len(payload))
	_, _ = c.w.Write(header) // a bufio.Writer keeps its error for the next Write
	_, err := c.w.Write(payload)
	return err
}

func (c *streamConn) read(buffer int) {
	frames := frameReader{r: bufio.NewReaderSize(c.conn, buffer)}
	for {
		id, payload, err := frames.next()
		if err != nil {
			c.calls.fail(errors.Join(errClosed, err))
			return
		}
		if !c.calls.answer(id, payload) {
			c.calls.fail(fmt.Errorf("driver: answer %d to no request", id))
			_ = c.conn.Close()
			return
		}
	}
}

func (c *streamConn) Close() error {
	err := c.conn.Close()
	c.running.Wait()
	return err
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
	frame := appendFrame(nil, 1, make([]byte, size))
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
