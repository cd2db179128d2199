// Package udpio carries datagrams over UDP: one socket per loop and listening address, for any number of peers.
//
//	        ┌──────────────── loop ─────────────────┐
//	recv ──▶│ epoll: sockets, wake                  │──▶ datagram.Mux ── Opened Bytes Writable Closed Turn ──▶ Sink
//	        │  recvmmsg: 32 buffers, each a run of   │        │
//	        │  datagrams of one sender (UDP_GRO)     │        │ Send, also from other goroutines
//	send ◀──│  sendmmsg: 64 entries, each a run of   │◀───────┘
//	        │  datagrams to one link (UDP_SEGMENT)   │   gathered until the turn ends
//	        └───────────────────────────────────────┘
//
// What links are, how they open, move and end is package datagram's; here are sockets. Where there is no epoll the loops
// read through net.UDPConn, one goroutine for each socket, and send one datagram at a time: the same behaviour, slower.
// docs/decisions/0007-udp.md tells why not a second reactor, with the figures.
//
// Each loop has its own sockets on the same ports (SO_REUSEPORT). The kernel chooses among them by the second byte of a
// datagram, the loop's number in the id of the link, so that a peer whose address changes stays on its loop. Where it
// cannot, the loop that got the datagram hands it on.
//
// Errors. ICMP messages are not listened to: anybody can make them up. A dial to where nobody listens ends with its
// context.
package udpio

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/datagram"
)

var (
	// ErrConfig is wrapped by every error of Config.Validate.
	ErrConfig = errors.New("udpio: bad configuration")

	// ErrStarted is returned by a second Start.
	ErrStarted = errors.New("udpio: started before")

	// ErrUnsupported is returned for addresses that are not UDP addresses with an IP.
	ErrUnsupported = datagram.ErrUnsupported
)

// A Config says how large a Transport may be. The zero Config is the written defaults.
type Config struct {
	// Loops is the number of event loops. 0 means GOMAXPROCS. At most 256: the number is one byte of a link's id. A plain
	// transport has one.
	Loops int

	// Path says how large datagrams may be; see datagram.Config.
	Path datagram.Config

	// Buffer is what is asked of the kernel for each socket and direction, in bytes: what arrives while the loop is busy
	// waits there, and what does not fit is lost. 0 means 4 MiB. The kernel may grant less (net.core.rmem_max).
	Buffer int

	// Plain reads and writes through package net, as on systems without epoll.
	Plain bool

	// Rand is where ids, tokens and the secret of the cookies come from; it is read by several goroutines. nil: crypto/rand.
	Rand io.Reader
}

// Validate reports every problem of c at once.
func (c Config) Validate() error {
	_, err := c.withDefaults()
	return err
}

func (c Config) withDefaults() (Config, error) {
	var problems []error
	bound := func(name string, v, most int) {
		if v < 0 || v > most {
			problems = append(problems, fmt.Errorf("%w: %s is %d, must be 0 to %d", ErrConfig, name, v, most))
		}
	}
	bound("Loops", c.Loops, loopLimit)
	bound("Buffer", c.Buffer, bufferLimit)
	if c.Plain = c.Plain || !batched; c.Plain {
		c.Loops = 1
	}
	if c.Loops == 0 {
		c.Loops = min(max(runtime.GOMAXPROCS(0), 1), loopLimit)
	}
	if c.Buffer == 0 {
		c.Buffer = defaultBuffer
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	var err error
	if c.Path, err = c.Path.WithDefaults(); err != nil {
		problems = append(problems, fmt.Errorf("%w: %w", ErrConfig, err))
	}
	return c, errors.Join(problems...)
}

// A Transport is the UDP transport. Make it with New; the zero value does not work. See transport.Transport for what its
// methods promise.
type Transport struct {
	cfg Config

	// Fixed by Start.
	sink   transport.Sink
	start  time.Time
	secret datagram.Secret
	loops  []*loop
	next   atomic.Uint32 // the loop of the next dial

	counts datagram.Counts

	life    sync.Mutex // held by Start and Stop from end to end
	phase   phase      // guarded by life
	running sync.WaitGroup
	stopped atomic.Bool
	failed  sync.Once
}

type phase uint8

const (
	fresh phase = iota
	started
	over
)

var _ transport.Transport = (*Transport)(nil)

// New makes a Transport that is not started. What is wrong with cfg is reported by Start.
func New(cfg Config) *Transport { return &Transport{cfg: cfg} }

// Counts tell what the transport has dropped and done. Any goroutine.
func (t *Transport) Counts() *datagram.Counts { return &t.counts }

// Protos implements transport.Transport.
func (t *Transport) Protos() []transport.Proto { return []transport.Proto{transport.UDP} }

// Loops implements transport.Transport.
func (t *Transport) Loops() []transport.Loop {
	all := make([]transport.Loop, len(t.loops))
	for i, lp := range t.loops {
		all[i] = lp
	}
	return all
}

// newPort makes the sockets of a loop.
func newPort(cfg Config) (port, error) {
	if cfg.Plain {
		return newPlainPort(cfg), nil
	}
	return newBatchPort(cfg)
}

// free finds out that nobody has an address, and which port it gets if any will do.
func free(at netip.AddrPort) (netip.AddrPort, error) {
	c, err := net.ListenUDP(network(at), net.UDPAddrFromAddrPort(at))
	if err != nil {
		return at, err
	}
	got := c.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(at.Addr(), got.Port()), c.Close()
}

// network is the name package net has for sockets of an address's family, and of that alone.
func network(at netip.AddrPort) string {
	if at.Addr().Is4() {
		return "udp4"
	}
	return "udp6"
}

// Start implements transport.Transport.
func (t *Transport) Start(sink transport.Sink, listen []transport.Addr) (bound []transport.Addr, err error) {
	t.life.Lock()
	defer t.life.Unlock()
	if t.phase != fresh {
		return nil, ErrStarted
	}
	t.phase = over
	if t.cfg, err = t.cfg.withDefaults(); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(t.cfg.Rand, t.secret[:]); err != nil {
		return nil, fmt.Errorf("udpio: randomness: %w", err)
	}
	t.sink, t.start = sink, time.Now()
	if bound, err = t.open(listen); err != nil {
		for _, lp := range t.loops {
			lp.port.close()
		}
		t.loops = nil
		return nil, err
	}
	t.phase = started
	for _, lp := range t.loops {
		t.running.Add(1)
		go lp.run()
	}
	return bound, nil
}

// open makes the loops and their sockets.
func (t *Transport) open(listen []transport.Addr) (bound []transport.Addr, err error) {
	for i := range t.cfg.Loops {
		p, err := newPort(t.cfg)
		if err != nil {
			return nil, fmt.Errorf("udpio: loop %d: %w", i, err)
		}
		t.loops = append(t.loops, newLoop(t, i, p))
	}
	for _, a := range listen {
		at, err := t.bind(a)
		if err != nil {
			return nil, fmt.Errorf("udpio: listen on %v: %w", a, err)
		}
		bound = append(bound, at)
	}
	return bound, nil
}

// bind binds one address on every loop. That nobody else has it is found out first, by a socket that does not share: those
// of the loops do, with each other and with any other process of this user.
func (t *Transport) bind(a transport.Addr) (transport.Addr, error) {
	at := a.AddrPort
	if a.Proto != transport.UDP || !at.IsValid() {
		return a, ErrUnsupported
	}
	at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	at, err := free(at)
	if err != nil {
		return a, err
	}
	for _, lp := range t.loops {
		if _, err = lp.port.bind(at, len(t.loops)); err != nil {
			return a, err
		}
	}
	return transport.Addr{Proto: transport.UDP, AddrPort: at}, nil
}

// Dial implements transport.Transport. Whether ctx has ended is looked at every 200 ms.
func (t *Transport) Dial(ctx context.Context, to transport.Addr, tag any) {
	if !t.stopped.Load() {
		lp := t.loops[int(t.next.Add(1))%len(t.loops)]
		if lp.mux.Dial(ctx, to, tag) {
			return
		}
	}
	go t.sink.DialFailed(tag, transport.ErrClosed)
}

// Stop implements transport.Transport.
func (t *Transport) Stop() error {
	t.life.Lock()
	defer t.life.Unlock()
	if t.phase != started {
		t.phase = over
		return nil
	}
	t.phase = over
	t.stopped.Store(true)
	for _, lp := range t.loops {
		lp.port.wake()
	}
	t.running.Wait()
	for _, lp := range t.loops {
		lp.port.close()
	}
	return nil
}
