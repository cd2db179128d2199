package driver

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/carrier-p2p/carrier/bench/load"
)

// QUIC is the baseline over quic-go: a goroutine for each connection, which has one stream of buffered frames. Certificates
// and key exchange are those of TLS.
func QUIC() load.Driver {
	return streamDriver{name: "quic", exchange: tls.X25519, listen: listenQUIC, dial: dialQUIC}
}

// quicConfig gives connections the windows that carrier's have.
func quicConfig() *quic.Config {
	return &quic.Config{
		Versions: []quic.Version{quic.Version1}, MaxIdleTimeout: time.Minute, KeepAlivePeriod: 20 * time.Second,
		HandshakeIdleTimeout:       carrierPatience, // instead of 5 s, as for carrier
		InitialStreamReceiveWindow: 128 << 10, InitialConnectionReceiveWindow: 128 << 10,
		MaxStreamReceiveWindow: 4 << 20, MaxConnectionReceiveWindow: 4 << 20,
	}
}

func forQUIC(config *tls.Config) *tls.Config {
	config = config.Clone()
	config.NextProtos = []string{"bench"}
	return config
}

func listenQUIC(addr string, config *tls.Config) (net.Listener, error) {
	listener, err := quic.ListenAddr(addr, forQUIC(config), quicConfig())
	if err != nil {
		return nil, err
	}
	return quicListener{listener}, nil
}

// A quicListener is a net.Listener of connections with one stream.
type quicListener struct{ *quic.Listener }

func (l quicListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept(context.Background())
	if errors.Is(err, quic.ErrServerClosed) {
		err = net.ErrClosed
	}
	if err != nil {
		return nil, err
	}
	return &quicConn{conn: conn}, nil
}

func dialQUIC(ctx context.Context, addr string, config *tls.Config) (net.Conn, error) {
	conn, err := quic.DialAddr(ctx, addr, forQUIC(config), quicConfig())
	if err != nil {
		return nil, err
	}
	c := &quicConn{conn: conn}
	if c.stream, err = conn.OpenStreamSync(ctx); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// A quicConn is a connection and its stream. The accepting end knows its stream when the first bytes come.
type quicConn struct {
	conn   *quic.Conn
	stream *quic.Stream
	once   sync.Once
	err    error
}

// open waits for the stream where it is the other side that opens it.
func (c *quicConn) open() error {
	c.once.Do(func() {
		if c.stream == nil {
			c.stream, c.err = c.conn.AcceptStream(context.Background())
		}
	})
	return c.err
}

func (c *quicConn) Read(b []byte) (int, error) {
	if err := c.open(); err != nil {
		return 0, err
	}
	return c.stream.Read(b)
}

func (c *quicConn) Write(b []byte) (int, error) {
	if err := c.open(); err != nil {
		return 0, err
	}
	return c.stream.Write(b)
}

func (c *quicConn) Close() error { return c.conn.CloseWithError(0, "") }

func (c *quicConn) LocalAddr() net.Addr                { return c.conn.LocalAddr() }
func (c *quicConn) RemoteAddr() net.Addr               { return c.conn.RemoteAddr() }
func (c *quicConn) SetDeadline(t time.Time) error      { return c.stream.SetDeadline(t) }
func (c *quicConn) SetReadDeadline(t time.Time) error  { return c.stream.SetReadDeadline(t) }
func (c *quicConn) SetWriteDeadline(t time.Time) error { return c.stream.SetWriteDeadline(t) }
