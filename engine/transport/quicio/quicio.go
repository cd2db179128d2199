package quicio

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/postloop"
)

var (
	// ErrConfig is wrapped by every problem that Config.Validate reports.
	ErrConfig = errors.New("quicio: config")

	// ErrUnsupported is the error of an address that is not a QUIC one.
	ErrUnsupported = errors.New("quicio: not a quic address")

	// ErrLimit is the error of a connection above one of Config's limits.
	ErrLimit = errors.New("quicio: limit reached")

	// ErrKey is returned by Start if nobody has called Prove.
	ErrKey = errors.New("quicio: no key to prove")
)

// A Config says how large a Transport may be. The zero Config is the written defaults.
type Config struct {
	Loops           int   // event loops; 0 means GOMAXPROCS
	LinkLimit       int   // links, accepted and dialled; 0 means 4096
	Handshakes      int   // inbound connections without a stream yet; 0 means 512
	HandshakesPerIP int   // of them, from one address; 0 means 64. Loopback addresses are exempt
	DialLimit       int   // dials under way; more wait. 0 means 256
	WindowMemory    int64 // what the receive windows of all links may grow by, in bytes; 0 means 256 MiB

	// Logger receives the few things worth a line. nil is silent.
	Logger *slog.Logger
}

// Validate reports every problem of c at once, each wrapping ErrConfig.
func (c Config) Validate() error {
	var problems []error
	for _, f := range []struct {
		name    string
		v, most int64
	}{
		{"Loops", int64(c.Loops), loopLimit}, {"LinkLimit", int64(c.LinkLimit), 1 << 20}, {"Handshakes", int64(c.Handshakes), 1 << 20},
		{"HandshakesPerIP", int64(c.HandshakesPerIP), 1 << 20}, {"DialLimit", int64(c.DialLimit), 1 << 16},
		{"WindowMemory", c.WindowMemory, 1 << 50},
	} {
		if f.v < 0 || f.v > f.most {
			problems = append(problems, fmt.Errorf("%w: %s is %d, must be 0 to %d", ErrConfig, f.name, f.v, f.most))
		}
	}
	return errors.Join(problems...)
}

func (c Config) withDefaults() Config {
	for _, f := range []struct {
		v   *int
		def int
	}{
		{&c.Loops, min(max(runtime.GOMAXPROCS(0), 1), loopLimit)}, {&c.LinkLimit, defaultLinks}, {&c.Handshakes, defaultHandshakes},
		{&c.HandshakesPerIP, defaultHandshakesPerIP}, {&c.DialLimit, defaultDials},
	} {
		if *f.v == 0 {
			*f.v = f.def
		}
	}
	if c.WindowMemory == 0 {
		c.WindowMemory = defaultWindowMemory
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// A Transport is the QUIC transport. Make it with New; the zero value does not work. See transport.Transport for what its
// methods promise.
type Transport struct {
	cfg Config
	key crypto.Signer    // set by Prove
	mem transport.Memory // lends what links read into and what waits to be sent; set by Borrow

	// Fixed by Start.
	sink       transport.Sink
	unreliable transport.UnreliableSink // nil: the sink takes none
	epoch      time.Time
	loops      []*postloop.Loop
	tls        *tls.Config
	quic       *quic.Config
	ctx        context.Context // ends dials and openings
	cancel     context.CancelFunc
	dialSlots  chan struct{}

	links    atomic.Int64 // open, closing, being opened
	nextLoop atomic.Uint32
	windows  windows
	visits   visits
	running  sync.WaitGroup // every goroutine of ours but the loops; added to under mu while running

	mu      sync.Mutex // guards what follows
	phase   phase
	sockets []*socket
	open    map[*link]struct{}

	life sync.Mutex // held by Start and Stop from end to end
}

type phase uint8

const (
	fresh phase = iota
	running
	stopped
)

var (
	_ transport.Transport = (*Transport)(nil)
	_ transport.Prover    = (*Transport)(nil)
	_ transport.Borrower  = (*Transport)(nil)
)

// New makes a Transport that is not started. What is wrong with cfg is reported by Start.
func New(cfg Config) *Transport {
	t := &Transport{cfg: cfg, mem: unbounded{}, open: map[*link]struct{}{}}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t
}

// Protos says that this transport serves QUIC.
func (t *Transport) Protos() []transport.Proto { return []transport.Proto{transport.QUIC} }

// Prove sets the key that links prove; see transport.Prover. The engine calls it.
func (t *Transport) Prove(key crypto.Signer) { t.key = key }

// Borrow sets where the memory comes from that links read into, and that holds what waits to be sent; see transport.Borrower. The
// engine calls it. Without it there is no bound but those of each link.
func (t *Transport) Borrow(m transport.Memory) { t.mem = m }

// Loops returns the event loops. It is empty before Start.
func (t *Transport) Loops() []transport.Loop {
	all := make([]transport.Loop, len(t.loops))
	for i, l := range t.loops {
		all[i] = l
	}
	return all
}

// Start implements transport.Transport.
func (t *Transport) Start(sink transport.Sink, listen []transport.Addr) (bound []transport.Addr, err error) {
	t.life.Lock()
	defer t.life.Unlock()
	if err := t.mayStart(); err != nil {
		return nil, err
	}
	t.sink, t.epoch = sink, time.Now()
	t.unreliable, _ = sink.(transport.UnreliableSink)
	for _, a := range listen {
		s, err := t.bind(a)
		if err != nil {
			t.abandon()
			return nil, fmt.Errorf("quicio: listen on %v: %w", a, err)
		}
		t.sockets = append(t.sockets, s)
		bound = append(bound, s.addr)
	}
	for i := range t.cfg.Loops {
		t.loops = append(t.loops, postloop.Start(i, t.epoch, sink.Turn))
	}
	t.mu.Lock()
	t.phase = running
	t.mu.Unlock()
	for _, s := range t.sockets {
		t.running.Go(func() { t.accept(s) })
	}
	return bound, nil
}

// mayStart prepares what depends on nothing but the Config and the key.
func (t *Transport) mayStart() error {
	if t.phase != fresh {
		return transport.ErrClosed
	}
	if err := t.cfg.Validate(); err != nil {
		return err
	}
	if t.key == nil {
		return ErrKey
	}
	own, err := newCertificate(t.key)
	if err != nil {
		return err
	}
	t.cfg = t.cfg.withDefaults()
	t.tls = newTLS(own)
	t.windows.limit = t.cfg.WindowMemory
	t.visits.init(t.cfg.Handshakes, t.cfg.HandshakesPerIP)
	t.dialSlots = make(chan struct{}, t.cfg.DialLimit)
	t.quic = &quic.Config{
		Versions:                       []quic.Version{quic.Version1},
		HandshakeIdleTimeout:           handshakeTimeout,
		MaxIdleTimeout:                 idleTimeout,
		KeepAlivePeriod:                keepAlive,
		InitialStreamReceiveWindow:     windowFirst,
		InitialConnectionReceiveWindow: windowFirst,
		MaxStreamReceiveWindow:         windowLast,
		MaxConnectionReceiveWindow:     windowLast,
		AllowConnectionWindowIncrease:  t.windows.grow,
		MaxIncomingUniStreams:          -1,
		RequireStreamCreditRelease:     true, // which never comes: one stream for ever
		EnableDatagrams:                true,
	}
	return nil
}

// abandon undoes a Start that has failed.
func (t *Transport) abandon() {
	for _, s := range t.sockets {
		s.close()
	}
	t.sockets = nil
	t.mu.Lock()
	t.phase = stopped
	t.mu.Unlock()
	t.cancel()
}

// Stop implements transport.Transport. What links have taken is still delivered, for two seconds at most.
func (t *Transport) Stop() error {
	t.life.Lock()
	defer t.life.Unlock()
	t.mu.Lock()
	was := t.phase
	t.phase = stopped
	var open []*link
	for l := range t.open {
		open = append(open, l)
	}
	t.mu.Unlock()
	t.cancel()
	if was != running {
		return nil
	}
	for _, s := range t.sockets {
		s.refuse()
	}
	for _, l := range open {
		l.Close()
	}
	t.running.Wait()
	for _, s := range t.sockets {
		s.close()
	}
	for _, l := range t.loops {
		l.Stop()
	}
	return nil
}

// begin counts a goroutine in, unless Stop has begun.
func (t *Transport) begin() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.phase != running {
		return false
	}
	t.running.Add(1)
	return true
}

// loopFor deals links to the loops in turn.
func (t *Transport) loopFor() *postloop.Loop {
	return t.loops[int(t.nextLoop.Add(1))%len(t.loops)]
}

// takeSlot counts a link in, if there is room for it.
func (t *Transport) takeSlot() bool {
	if t.links.Add(1) > int64(t.cfg.LinkLimit) {
		t.links.Add(-1)
		return false
	}
	return true
}

func (t *Transport) freeSlot() { t.links.Add(-1) }

// windows bounds what the receive windows of all connections have grown by. Any goroutine.
type windows struct {
	limit int64
	mu    sync.Mutex
	grown map[*quic.Conn]int64
	total int64
}

// grow is asked by quic-go before it enlarges a window.
func (w *windows) grow(c *quic.Conn, delta uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.total+int64(delta) > w.limit {
		return false
	}
	if w.grown == nil {
		w.grown = map[*quic.Conn]int64{}
	}
	if _, known := w.grown[c]; !known {
		context.AfterFunc(c.Context(), func() { w.drop(c) })
	}
	w.grown[c] += int64(delta)
	w.total += int64(delta)
	return true
}

func (w *windows) drop(c *quic.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.total -= w.grown[c]
	delete(w.grown, c)
}

// addrOf turns what the net package says into an Addr.
func addrOf(a net.Addr) transport.Addr {
	u, ok := a.(*net.UDPAddr)
	if !ok {
		return transport.Addr{Proto: transport.QUIC}
	}
	ap := u.AddrPort()
	return transport.Addr{Proto: transport.QUIC, AddrPort: netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())}
}
