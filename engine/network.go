package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/carrier-p2p/carrier/engine/internal/session"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/opcode/codec"
)

// A Network is one node: an identity, its listening addresses, its peers. Its methods may be called from any goroutine
// unless they say otherwise. Two Networks in one process know nothing of each other.
type Network struct {
	// What every message needs comes first, so that it is together in the cache.
	table atomic.Pointer[table]
	bufs  *session.Buffers
	loops []*loop // those of all transports, one transport after the other; fixed by Start
	phase atomic.Uint32

	cfg      Config
	log      *slog.Logger
	id       identity.ID
	instance uint64
	registry *opcode.Registry
	connMgr  ConnMgr
	checked  *identity.Cache // records whose signature has been verified
	records  *lru.Cache[identity.ID, shown]
	worked   *lru.Cache[identity.ID, transport.Addr] // where nodes were reached
	workers  *workers
	scratch  sync.Pool // *[]byte, for encoding messages
	calls    sync.Pool // *call
	timers   sync.Pool // *time.Timer, stopped

	littleEndian opcode.Codec // what messages are encoded with unless they say otherwise
	callbacks    *slot        // stands for functions of the application that are no component's

	sinks []*sink // one for each transport; fixed by New
	bound []transport.Addr

	compose   sync.Mutex // serialises changes of the components
	slots     []*slot    // under compose, in the order of priority
	starting  []*slot    // under compose: Startup is being called
	slotOrder int

	compressed map[opcode.Opcode]bool // under compose: registered WithCompression; nil: none is

	record   sync.Mutex // serialises changes of the own record
	own      atomic.Pointer[identity.Record]
	ownRaw   atomic.Pointer[handshake.Config]
	lifetime chan struct{} // whose one place is taken by Start, and by Shutdown while it looks what there is to end
	ending   *ending       // under lifetime: the Shutdown under way; nil: none

	pairs   pairs
	door    door
	dials   dials
	tasks   tasks
	counts  counts
	opcodes opcodeCounts
	events  events
	visits  visits
	relief  relief
	empty   chan struct{} // closed when shutting down and no peer is left
}

type phase = uint32

const (
	phaseNew phase = iota
	phaseRunning
	phaseStopping
	phaseStopped
)

// New checks cfg and makes a Network. Nothing runs and no port is bound before Start. All problems of cfg are reported at
// once.
func New(cfg Config) (*Network, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	n := &Network{
		cfg:      cfg,
		log:      cfg.Logger,
		id:       cfg.Identity.ID(),
		registry: opcode.NewRegistry(),
		bufs:     session.NewBuffers(cfg.Memory),
		connMgr:  cfg.ConnMgr,
		checked:  identity.NewCache(recordCacheSize),
		empty:    make(chan struct{}),
		lifetime: make(chan struct{}, 1),

		littleEndian: codec.LittleEndian(),
		callbacks:    &slot{name: "callback"},
	}
	n.records, err = lru.New[identity.ID, shown](recordCacheSize)
	if err != nil {
		return nil, err
	}
	n.worked, err = lru.New[identity.ID, transport.Addr](workedLimit)
	if err != nil {
		return nil, err
	}
	var instance [8]byte
	if _, err := io.ReadFull(cfg.Rand, instance[:]); err != nil {
		return nil, fmt.Errorf("engine: randomness: %w", err)
	}
	n.instance = binary.LittleEndian.Uint64(instance[:])
	for _, t := range cfg.transports() {
		n.sinks = append(n.sinks, &sink{net: n, under: t, serves: t.Protos(), over: make(chan struct{})})
	}
	n.pairs.init(n)
	n.door.init(cfg.Peers)
	n.dials.init(n)
	n.table.Store(newTable(n.registry, nil, &n.opcodes, nil))
	if err := n.Advertise(cfg.Advertise, 0); err != nil {
		return nil, err
	}
	return n, nil
}

// recordCacheSize is how many peers' records are kept, at about 400 bytes each: those of the last seconds of a busy node, so
// that PeerConnect finds its peer's, and a peer that reconnects at once is not checked anew.
const recordCacheSize = 256

// Start binds the listening addresses, starts the event loops and calls Startup of every component. If it fails nothing is left
// behind, and the network cannot be started again, unless ctx had ended before the call: then nothing has happened. ctx is asked
// no more than that; it does not bound the network's life.
func (n *Network) Start(ctx context.Context) error {
	n.lifetime <- struct{}{}
	defer func() { <-n.lifetime }()
	if n.phase.Load() != phaseNew {
		return ErrStarted
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	n.startWorkers()
	n.door.shut(true) // until the loops are ours
	bound, err := n.startTransports()
	if err == nil {
		err = n.advertiseBound(bound)
	}
	if err != nil {
		n.workers.stop()
		n.phase.Store(phaseStopped)
		n.events.stop()
		return fmt.Errorf("engine: start: %w", err)
	}
	n.bound = bound
	n.compose.Lock()
	n.gatherLoops()
	n.phase.Store(phaseRunning)
	slots := append([]*slot(nil), n.slots...)
	n.compose.Unlock()
	for _, l := range n.loops {
		l.post(func() { l.goid.Store(goroutineID()) })
	}
	for _, s := range slots {
		if n.startable(s) {
			n.guard(s, func() { s.component.Startup(n) })
		}
	}
	n.door.shut(false)
	n.log.Info("network started", "id", n.id.Short(), "listen", bound, "loops", len(n.loops))
	return nil
}

// startable reports whether the component of a slot is still to be started: another one's Startup may have removed it.
func (n *Network) startable(s *slot) bool {
	n.compose.Lock()
	defer n.compose.Unlock()
	s.started = slices.Contains(n.slots, s)
	return s.started
}

// advertiseBound puts the bound addresses into the node record, unless the configuration or a component has named others. If it
// cannot, the transports are stopped.
func (n *Network) advertiseBound(bound []transport.Addr) error {
	if len(n.cfg.Advertise) > 0 || n.own.Load().Seq != n.cfg.RecordSeq {
		return nil
	}
	if err := n.Advertise(usable(bound), 0); err != nil {
		return errors.Join(err, n.stopTransports())
	}
	return nil
}

// usable returns the bound addresses that another node could dial, each once.
func usable(bound []transport.Addr) []transport.Addr {
	var out []transport.Addr
	for _, a := range bound {
		a.AddrPort = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
		if identity.CheckAddr(a) == nil && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out[:min(len(out), identity.AddrLimit)]
}

func (n *Network) running() bool { return n.phase.Load() == phaseRunning }

// String is the beginning of the node's ID, as it stands in logs.
func (n *Network) String() string { return n.id.Short() }

// Format prints String, whatever the verb: everything else in a Network changes while it runs.
func (n *Network) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, n.String()) }

// ID is this node's identity.
func (n *Network) ID() identity.ID { return n.id }

// NetworkID is the name of the network, which is in every handshake.
func (n *Network) NetworkID() string { return n.cfg.NetworkID }

// Puzzle is the proof of work that every node of the network shows.
func (n *Network) Puzzle() identity.Puzzle { return *n.cfg.Puzzle }

// Sign signs msg with the node's key, under a domain that says what for: "carrier/1 broadcast". Whoever checks it uses
// identity.PublicKey.Verify with the same domain.
func (n *Network) Sign(domain string, msg []byte) [64]byte { return n.cfg.Identity.Sign(domain, msg) }

// Rand is the node's source of randomness: the system's, or in a simulation that of its seed.
func (n *Network) Rand() io.Reader { return n.cfg.Rand }

// Addrs are the addresses the node listens on, ports filled in. Empty before Start.
func (n *Network) Addrs() []transport.Addr {
	if n.phase.Load() == phaseNew {
		return nil
	}
	return append([]transport.Addr(nil), n.bound...)
}

// Registry pairs opcodes with message types. Use Register or Handle, which keep the dispatch table in step.
func (n *Network) Registry() *opcode.Registry { return n.registry }

// PeerLimits are the limits of Config.Peers, defaults filled in. A ConnMgr of the application's own may have others.
func (n *Network) PeerLimits() PeerLimits { return n.cfg.Peers }

// ConnMgr knows the open peers.
func (n *Network) ConnMgr() ConnMgr { return n.connMgr }

// Record is this node's own signed node record.
func (n *Network) Record() *identity.Record { return n.own.Load() }

// Advertise replaces the addresses and flags in this node's record, which is signed anew with a higher sequence number
// and shown in every handshake from now on.
func (n *Network) Advertise(addrs []transport.Addr, flags identity.Flags) error {
	return n.Readvertise(func(*identity.Record) ([]transport.Addr, identity.Flags) { return addrs, flags })
}

// Readvertise is Advertise for those who change a part of what the record says: change is given the record as it is, nil if
// there is none, and returns what the next one is to say. No other change comes between. change must not call the Network.
// Any goroutine.
func (n *Network) Readvertise(change func(have *identity.Record) ([]transport.Addr, identity.Flags)) error {
	n.record.Lock()
	defer n.record.Unlock()
	addrs, flags := change(n.own.Load())
	seq := n.cfg.RecordSeq // a node that runs again has something newer to say
	if old := n.own.Load(); old != nil {
		seq = old.Seq + 1
	}
	rec, err := n.cfg.Identity.NewRecord(addrs, seq, flags)
	if err != nil {
		return fmt.Errorf("engine: advertise: %w", err)
	}
	params := handshake.Params{Instance: n.instance, Agent: n.cfg.Agent}
	if old := n.ownRaw.Load(); old != nil {
		params = old.Params
	}
	n.own.Store(rec)
	n.ownRaw.Store(&handshake.Config{
		Identity: n.cfg.Identity, Record: rec.Append(nil), NetworkID: n.cfg.NetworkID, Puzzle: *n.cfg.Puzzle,
		Params: params, Rand: n.cfg.Rand, Cache: n.checked,
		Timeout: timeoutMost, // how long it may take is greeting.timer's to judge, which knows when nothing could be heard
	})
	return nil
}

// shown is what a peer has said in its last handshake: of itself, proven, and of us, its word alone.
type shown struct {
	record   *identity.Record
	observed transport.Addr
}

// Now is the engine time: the span since the transport started.
func (n *Network) Now() time.Duration {
	if n.phase.Load() == phaseNew || len(n.loops) == 0 {
		return 0
	}
	return n.loops[0].clock()
}

// panicked counts and reports a component's panic. The node lives.
func (n *Network) panicked(s *slot, reason any) {
	s.counts.panics.Add(1)
	n.counts.panics.Add(1)
	n.log.Error("component panicked", "component", s.name, "panic", reason, "stack", string(debug.Stack()))
	n.events.publish(Event{Kind: ComponentPanicked, Text: fmt.Sprintf("%s: %v", s.name, reason)})
}

// slowTurn reports that a loop was held for longer than its peers should notice.
func (n *Network) slowTurn(l *loop, took time.Duration) {
	n.counts.slowTurns.Add(1)
	name := "engine"
	if l.handler != nil {
		name = l.handler.name
		l.handler.counts.slow.Add(1)
	}
	n.log.Debug("a loop was held", "loop", l.index, "for", took, "last", name)
	n.events.publish(Event{Kind: LoopHeld, Text: name, Duration: took})
}
