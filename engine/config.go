package engine

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// A Config says what a Network is to be. The zero value of a field means the default written beside it; Transport and
// Identity have none.
type Config struct {
	Transport transport.Transport // carries the bytes; used by one Network only
	Identity  *identity.Identity  // who this node is

	// MoreTransports carry bytes beside Transport, each for protocols that no other serves. An address in Listen goes to the
	// transport that serves its protocol, and so does an address that is dialled.
	MoreTransports []transport.Transport

	Listen    []transport.Addr // none: this node only dials
	Advertise []transport.Addr // addresses for the node record; none: the bound ones that others can use
	RecordSeq uint64           // number of the first node record, above those of earlier runs; 0 means the nanoseconds since 1970
	NetworkID string           // nodes of different networks refuse each other; "" means "carrier"
	Agent     string           // name of the software, shown to peers; "" means "carrier"

	// Puzzle is the proof of work every node of the network must show; nil means identity.DefaultPuzzle. Less than that
	// protects nothing and is refused unless WeakPuzzle says so out loud: for tests, benchmarks and closed networks.
	Puzzle     *identity.Puzzle
	WeakPuzzle bool

	ConnMgr ConnMgr // nil: NewConnMgr(Peers)
	Peers   PeerLimits

	SendBuffer       int   // bytes queued for one peer; SendBufferDefault
	ReceiveWindow    int   // bytes of credit a peer starts with; ReceiveWindowDefault
	ReceiveWindowMax int   // bytes of credit it may grow to; ReceiveWindowMaxDefault
	Memory           int64 // bytes of all buffers together; MemoryDefault
	Requests         int   // unanswered requests of one peer; RequestsDefault
	Dials            int   // dials in flight; DialsDefault
	HandshakeQueue   int   // handshake steps waiting; HandshakeQueueDefault
	HandshakeWorkers int   // threads that compute handshakes; 0 means as many as cores

	DialTimeout      time.Duration // DialTimeoutDefault
	HandshakeTimeout time.Duration // HandshakeTimeoutDefault
	RequestTimeout   time.Duration // RequestTimeoutDefault
	RecordTimeout    time.Duration // RecordTimeoutDefault
	SendTimeout      time.Duration // SendTimeoutDefault
	GateTimeout      time.Duration // GateTimeoutDefault
	LingerTimeout    time.Duration // LingerTimeoutDefault
	ProbeTimeout     time.Duration // ProbeTimeoutDefault

	// TaskWork also measures the processor time of each run of a Task, for TaskStats.Worked: two system calls
	// a run, for those who want to know whether a run was long or the machine busy.
	TaskWork bool

	Logger *slog.Logger // nil: silent. Nothing per message above debug, never a key
	Rand   io.Reader    // nil: crypto/rand. Read by several goroutines unless the transport is an Offloader
}

// PeerLimits bound how many peers there are.
type PeerLimits struct {
	All           int // PeersDefault
	Inbound       int // 0 means All
	PerIP         int // inbound peers of one address; PerIPDefault
	PerSubnet     int // inbound peers of one /24, IPv6 /48; PerSubnetDefault
	HalfOpen      int // connections in the handshake, or refused and not gone yet; HalfOpenDefault
	HalfOpenPerIP int // of one address; HalfOpenPerIPDefault

	// LoopbackToo applies the limits per address and subnet to loopback addresses, which are exempt otherwise.
	LoopbackToo bool

	// Score says how valuable a peer is; when the node is full the least valuable one that nobody protects makes room. It is
	// called on any goroutine, under the lock of the ConnMgr, so it must not call that. nil: the one that was heard last is worth
	// most.
	Score func(*PeerClient) float64

	// NoEviction refuses newcomers to a full node instead of making room.
	NoEviction bool
}

func (l PeerLimits) withDefaults() PeerLimits {
	orInt(&l.All, PeersDefault)
	orInt(&l.Inbound, l.All)
	orInt(&l.PerIP, PerIPDefault)
	orInt(&l.PerSubnet, PerSubnetDefault)
	orInt(&l.HalfOpen, HalfOpenDefault)
	orInt(&l.HalfOpenPerIP, HalfOpenPerIPDefault)
	return l
}

// withDefaults fills in every default and reports every problem at once.
func (c Config) withDefaults() (Config, error) {
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }

	if c.Transport == nil {
		bad("Transport is missing")
	}
	if c.Identity == nil {
		bad("Identity is missing")
	}
	if c.NetworkID == "" {
		c.NetworkID = "carrier"
	}
	if c.Agent == "" {
		c.Agent = "carrier"
	}
	if len(c.NetworkID) > handshake.NetworkIDLimit {
		bad("NetworkID is %d bytes long: at most %d", len(c.NetworkID), handshake.NetworkIDLimit)
	}
	if err := (&handshake.Params{Agent: c.Agent}).Validate(); err != nil {
		bad("Agent: %w", err)
	}
	if c.Puzzle == nil {
		c.Puzzle = &identity.Puzzle{StaticBits: identity.DefaultPuzzle.StaticBits, DynamicBits: identity.DefaultPuzzle.DynamicBits}
	}
	if weaker(*c.Puzzle, identity.DefaultPuzzle) && !c.WeakPuzzle {
		bad("Puzzle %+v is weaker than %+v: set WeakPuzzle if that is meant", *c.Puzzle, identity.DefaultPuzzle)
	}
	if c.Identity != nil {
		if err := c.Puzzle.Check(c.Identity.PublicKey(), c.Identity.Solution()); err != nil {
			bad("Identity does not solve Puzzle: %w", err)
		}
	}
	c.checkTransports(bad)
	if c.RecordSeq == 0 {
		c.RecordSeq = uint64(max(1, time.Now().UnixNano()))
	}
	for _, a := range append(append([]transport.Addr{}, c.Listen...), c.Advertise...) {
		if !a.IsValid() {
			bad("address %v is not valid", a)
		}
	}
	c.fillSizes(bad)
	c.fillTimes(bad)
	c.fillPeers(bad)
	if c.ConnMgr == nil {
		c.ConnMgr = NewConnMgr(c.Peers)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if len(problems) > 0 {
		return c, fmt.Errorf("engine: bad config: %w", errors.Join(problems...))
	}
	return c, nil
}

// fillSizes, fillTimes and fillPeers write the defaults of numbers and check what is given.
func (c *Config) fillSizes(bad func(format string, args ...any)) {
	for _, f := range []struct {
		name string
		v    *int
		def  int
		min  int
	}{
		{"SendBuffer", &c.SendBuffer, SendBufferDefault, 64 << 10},
		{"ReceiveWindow", &c.ReceiveWindow, ReceiveWindowDefault, 128 << 10},
		{"ReceiveWindowMax", &c.ReceiveWindowMax, max(ReceiveWindowMaxDefault, c.ReceiveWindow), 128 << 10},
		{"Requests", &c.Requests, RequestsDefault, 1},
		{"Dials", &c.Dials, DialsDefault, 1},
		{"HandshakeQueue", &c.HandshakeQueue, HandshakeQueueDefault, 1},
		{"HandshakeWorkers", &c.HandshakeWorkers, runtime.NumCPU(), 1},
	} {
		orInt(f.v, f.def)
		if *f.v < f.min {
			bad("%s is %d: at least %d", f.name, *f.v, f.min)
		}
	}
	if c.ReceiveWindowMax < c.ReceiveWindow {
		bad("ReceiveWindowMax is %d: at least ReceiveWindow, %d", c.ReceiveWindowMax, c.ReceiveWindow)
	}
	if c.ReceiveWindowMax > windowMost {
		bad("ReceiveWindowMax is %d: at most %d", c.ReceiveWindowMax, windowMost)
	}
	if c.Requests > callSlots {
		bad("Requests is %d: at most %d", c.Requests, callSlots)
	}
	if c.Memory == 0 {
		c.Memory = MemoryDefault
	}
	if c.Memory < 1<<20 {
		bad("Memory is %d: at least 1 MiB", c.Memory)
	}
}

func (c *Config) fillTimes(bad func(format string, args ...any)) {
	for _, f := range []struct {
		name string
		v    *time.Duration
		def  time.Duration
	}{
		{"DialTimeout", &c.DialTimeout, DialTimeoutDefault},
		{"HandshakeTimeout", &c.HandshakeTimeout, HandshakeTimeoutDefault},
		{"RequestTimeout", &c.RequestTimeout, RequestTimeoutDefault},
		{"RecordTimeout", &c.RecordTimeout, RecordTimeoutDefault},
		{"SendTimeout", &c.SendTimeout, SendTimeoutDefault},
		{"GateTimeout", &c.GateTimeout, GateTimeoutDefault},
		{"LingerTimeout", &c.LingerTimeout, LingerTimeoutDefault},
		{"ProbeTimeout", &c.ProbeTimeout, ProbeTimeoutDefault},
	} {
		if *f.v == 0 {
			*f.v = f.def
		}
		if *f.v < 0 {
			bad("%s is negative", f.name)
		}
		if *f.v > timeoutMost {
			bad("%s is %v: at most %v", f.name, *f.v, timeoutMost)
		}
	}
}

func (c *Config) fillPeers(bad func(format string, args ...any)) {
	c.Peers = c.Peers.withDefaults()
	for _, f := range []struct {
		name string
		v    int
	}{{"All", c.Peers.All}, {"Inbound", c.Peers.Inbound}, {"PerIP", c.Peers.PerIP}, {"PerSubnet", c.Peers.PerSubnet},
		{"HalfOpen", c.Peers.HalfOpen}, {"HalfOpenPerIP", c.Peers.HalfOpenPerIP}} {
		if f.v < 0 {
			bad("Peers.%s is negative", f.name)
		}
	}
}

func orInt(v *int, def int) {
	if *v == 0 {
		*v = def
	}
}

func weaker(a, b identity.Puzzle) bool {
	return a.StaticBits < b.StaticBits || a.DynamicBits < b.DynamicBits
}
