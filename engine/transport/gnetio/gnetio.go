// Package gnetio carries bytes over TCP: the transport.Transport on the gnet reactor.
//
// One reactor serves both directions. Each of its loops is one epoll (or kqueue) with its own listening sockets, its
// own links and its own anchor, a descriptor through which the rest of the world asks for the loop's attention:
//
//	accept ──▶ ┌──────────────── loop ────────────────┐
//	dial ────▶ │ epoll: listeners, links, anchor      │ ── Opened Bytes Writable Closed Turn ──▶ Sink
//	           └──────▲───────────────────────────────┘
//	Wake, Close ──────┤ anchor                                Write ──▶ write(2) under the link's lock
//	alarm timer ──────┤                                         │ socket full
//	watcher ──────────┘◀── EPOLLOUT, one shot ── own epoll ◀────┘
//
// What gnet does here: it waits, accepts, reads and closes. What it does not do: write, dial, log, keep bytes. Writing
// past gnet, and what that takes to be safe, is told in docs/decisions/0003-writing-past-gnet.md.
//
// State. A link's reading side, its owner and its end belong to its loop. Its writing side belongs to whoever holds its
// lock. A loop's posts are handed over under the loop's lock. Everything else is fixed after Start or atomic.
//
// Errors. What a dial failed of goes to Sink.DialFailed and keeps its cause (errors.Is finds context.Canceled,
// context.DeadlineExceeded, syscall.ECONNREFUSED, ErrLinkLimit, transport.ErrClosed). What a link ended of goes to
// Sink.Closed. A reactor that ends although nobody stopped it closes every link with ErrReactor and is reported to
// Sink.Failed.
//
// A panic in a Sink call is not recovered here: it would leave the loop in an unknown state and ends the process. The
// Sink guards what it does not trust.
package gnetio

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"

	"github.com/carrier-p2p/carrier/engine/transport"
)

var (
	// ErrConfig is wrapped by every error of Config.Validate.
	ErrConfig = errors.New("gnetio: bad configuration")

	// ErrStarted is returned by a second Start.
	ErrStarted = errors.New("gnetio: started before")

	// ErrLinkLimit is what a connection above Config.LinkLimit is refused with, and a dial fails of.
	ErrLinkLimit = errors.New("gnetio: link limit reached")

	// ErrReactor closes every link and is wrapped in Sink.Failed when the reactor has ended by itself.
	ErrReactor = errors.New("gnetio: the reactor has ended")

	// ErrUnsupported is returned for addresses that are not TCP addresses with an IP.
	ErrUnsupported = errors.New("gnetio: not a TCP address")
)

// A Config says how large a Transport may be. The zero Config is the written defaults.
type Config struct {
	// Loops is the number of event loops. 0 means GOMAXPROCS. At most 256, which is what the reactor can number.
	Loops int

	// ReadBuffer is the size in bytes of each loop's read buffer, the most that one Sink.Bytes hands over, rounded up
	// to a power of two. It is per loop, not per link. 0 means 128 KiB.
	ReadBuffer int

	// FDReserve is the number of file descriptors left to the rest of the process and to what a dial needs for a
	// moment. 0 means 512, or a quarter of the process's limit if that is less.
	FDReserve int

	// LinkLimit is the number of links, accepted, open or being dialled, above which connections are refused and
	// dials fail. 0 means as many as the process may open descriptors, less the reserve; no larger value counts.
	LinkLimit int

	// DialLimit is the number of dials under way at one moment; more wait in order, without a goroutine each. 0 means 256.
	DialLimit int

	// Logger receives the few things worth a line: at the edges, never per packet. nil is silent.
	Logger *slog.Logger
}

// Validate reports every problem of c at once, each wrapping ErrConfig.
func (c Config) Validate() error {
	var problems []error
	bound := func(name string, v, most int) {
		if v < 0 || v > most {
			problems = append(problems, fmt.Errorf("%w: %s is %d, must be 0 to %d", ErrConfig, name, v, most))
		}
	}
	bound("Loops", c.Loops, loopLimit)
	bound("ReadBuffer", c.ReadBuffer, readBufferLimit)
	bound("FDReserve", c.FDReserve, descriptorLimit)
	bound("LinkLimit", c.LinkLimit, descriptorLimit)
	bound("DialLimit", c.DialLimit, dialLimit)
	return errors.Join(problems...)
}

// withDefaults fills in every zero but LinkLimit, which also depends on the addresses: see setLimit.
func (c Config) withDefaults(descriptors int) Config {
	if c.Loops == 0 {
		c.Loops = min(max(runtime.GOMAXPROCS(0), 1), loopLimit)
	}
	if c.ReadBuffer == 0 {
		c.ReadBuffer = defaultReadBuffer
	}
	if c.FDReserve == 0 {
		c.FDReserve = min(defaultReserve, descriptors/4)
	}
	if c.DialLimit == 0 {
		c.DialLimit = defaultDials
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// A Transport is the TCP transport. Make it with New; the zero value does not work. See transport.Transport for what
// its methods promise.
type Transport struct {
	cfg Config

	// Fixed by Start, before the reactor runs.
	sink      transport.Sink
	startedAt time.Time
	engine    gnet.Engine // set by OnBoot
	watcher   *watcher
	hidden    bool          // nobody asked to listen: what connects is closed
	ready     chan struct{} // closed by the first OnTick: the reactor's loops exist
	anchored  chan struct{} // closed when every loop has its anchor: connections can be handed over
	over      chan struct{} // closed when the reactor has ended; runErr is set
	runErr    error
	log       reactorLog

	links    atomic.Int64 // accepted, open, being dialled
	limit    int64
	stopping atomic.Bool // Stop was called: an end without a reason is ours

	life  sync.Mutex // held by Start and Stop from end to end
	phase phase      // guarded by life

	loops loopTable
	dials dialQueue
}

// phase is where a Transport is in its life: fresh ──Start──▶ running ──Stop──▶ stopped, or fresh ──Stop──▶ stopped. A
// failed Start leads to stopped.
type phase uint8

const (
	fresh phase = iota
	running
	stopped
)

// New makes a Transport that is not started. What is wrong with cfg is reported by Start.
func New(cfg Config) *Transport {
	t := &Transport{
		cfg:      cfg,
		ready:    make(chan struct{}),
		anchored: make(chan struct{}),
		over:     make(chan struct{}),
	}
	t.loops.byReactor = make(map[gnet.EventLoop]*loop)
	t.dials.t = t
	t.dials.more = make(chan *dial, idleDials)
	t.dials.ctx, t.dials.cancel = context.WithCancel(context.Background())
	return t
}

// Protos says that this transport serves TCP.
func (t *Transport) Protos() []transport.Proto { return []transport.Proto{transport.TCP} }

// Loops returns the event loops, in the order of their Index. It is empty before Start.
func (t *Transport) Loops() []transport.Loop { return t.loops.list() }

// LinkLimit returns the number of links that this Transport really takes, which may be less than configured: the
// process's limit on file descriptors counts too. It is 0 before Start.
func (t *Transport) LinkLimit() int { return int(t.limit) }

// Dial connects to a TCP address; see transport.Transport. KeepAlive probes are off, Nagle's algorithm too.
func (t *Transport) Dial(ctx context.Context, to transport.Addr, tag any) { t.dials.add(ctx, to, tag) }

// now is the engine time.
func (t *Transport) now() time.Duration { return time.Since(t.startedAt) }

// takeSlot counts a link in, if there is room for it.
func (t *Transport) takeSlot() bool {
	if t.links.Add(1) > t.limit {
		t.links.Add(-1)
		return false
	}
	return true
}

// freeSlot counts a link out.
func (t *Transport) freeSlot() { t.links.Add(-1) }
