package load

import (
	"context"
	"errors"
	"io"
	"net"
)

// ErrCannot is wrapped by what a driver returns, from Dial, Send, Call or DialStopped, for something that its library has no way
// to do. The run then has no figures instead of wrong ones.
var ErrCannot = errors.New("load: this driver has no way")

// A Driver is a contestant: a way to serve and to dial.
type Driver interface {
	// Name is what people type: "tls", "gnet".
	Name() string

	// Serve listens on addr ("127.0.0.1:0": any port) and reports to sink until the server is closed.
	Serve(addr string, shape Shape, sink *Sink) (Server, error)

	// NewDialer prepares the dialling side. It opens nothing.
	NewDialer(shape Shape) (Dialer, error)
}

// A Shape tells a driver what is going to happen, as a program's author would know it. The zero Shape is fine.
type Shape struct {
	Conns int  // connections that will be open at once; 0: unknown
	Idle  bool // connections will mostly be silent, and their memory is the question: choose small buffers
	Churn bool // connections will come and go, each a stranger to the server
	Fan   bool // every connection will be told the same, by one goroutine: what has a way of its own for that may use it
	Storm bool // strangers will shake hands as fast as they can: the server may prepare for that
}

// A Server is the serving side of a driver.
type Server interface {
	// Addr is what Dial of the same driver reads.
	Addr() string

	// Close ends every connection and returns when nothing of the server runs any more.
	Close() error
}

// A Dialer makes connections to one kind of server. Any goroutine.
type Dialer interface {
	// Dial connects and returns when this side is sure who the other is. n numbers the connections of a run from 0; to the
	// server each is a peer of its own.
	Dial(ctx context.Context, addr string, n int) (Conn, error)

	// Close ends what Dial left open and what the connections share.
	Close() error
}

// A Conn is the dialling end of one connection. Any goroutine may call Call and Close; Send and Flush belong to one
// goroutine at a time, beside any number of Calls.
type Conn interface {
	// Send hands over a one-way message of at most SizeLimit bytes and keeps nothing of it. It waits while the driver's own
	// bound on unsent bytes is reached; it need not put anything on the wire before Flush.
	Send(msg []byte) error

	// Flush sees to it that everything given to Send leaves without further calls.
	Flush() error

	// Call sends req and returns the answer in the memory of into, grown if need be. It returns an error when the connection
	// ends; without an answer it may wait until then.
	Call(req, into []byte) ([]byte, error)

	// Close ends the connection; calls that wait return an error.
	Close() error
}

// A Stopper is a Dialer that can also play a peer who stops reading. For others the slow scenario is n/a.
type Stopper interface {
	// DialStopped connects, proves itself as Dial does, and then sends requests of size bytes as fast as they are
	// taken while it reads nothing, until closed.
	DialStopped(ctx context.Context, addr string, n, size int) (net.Conn, error)
}

// A Versioned is a Driver that says what it drives, for whoever reads its figures.
type Versioned interface {
	// Version names a library and its version: "go-libp2p v0.51.0".
	Version() string
}

// A Spoofer is a Dialer that can begin handshakes from addresses that are not its own. For others a storm of them is n/a.
type Spoofer interface {
	// Spoof begins handshakes with the server, each from another address: as many as due says, which waits until there are
	// some, again and again until it says 0. It tells what came of them so far, each time.
	Spoof(addr string, due func() int, tell func(Spoofed)) error

	// Nobody returns an address of this machine where Spoof may go and nothing is read, until closed.
	Nobody() (addr string, nobody io.Closer, err error)
}

// Spoofed is what came of handshakes from made-up addresses.
type Spoofed struct {
	Begun    uint64
	Sent     uint64 // bytes, without the headers of IP and UDP
	Answered uint64 // bytes that came back
}

// A Sparing is a Dialer that may need no file descriptor for each connection.
type Sparing interface {
	// Sparing reports whether that is so, at both ends.
	Sparing() bool
}
