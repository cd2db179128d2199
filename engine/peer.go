package engine

import (
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carrier-p2p/carrier/engine/internal/session"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/internal/invariant"
)

// The life of a peer. One function moves it: PeerClient.move.
//
//	accepted or dialled
//	      │
//	      ▼            proven               confirmed            goodbye              gone
//	  handshaking ───────────────▶ confirming ────────▶ open ──────────────▶ draining ─────▶ closed
//	      │  (the responder decides at once: handshaking ─▶ open)  │                            ▲
//	      └────────────────────────────┴───────── fault, reset ────┴────────────────────────────┘
//
// Only an open peer is known to components and to the ConnMgr. A draining one has been taken leave of (PeerDisconnect has
// been called); its last bytes are on the way.
type state uint32

const (
	stateHandshaking state = iota
	stateConfirming
	stateOpen
	stateDraining
	stateClosed
)

func (s state) String() string {
	return [...]string{"handshaking", "confirming", "open", "draining", "closed"}[s]
}

var moves = [...][5]bool{
	stateHandshaking: {stateConfirming: true, stateOpen: true, stateDraining: true, stateClosed: true},
	stateConfirming:  {stateOpen: true, stateDraining: true, stateClosed: true},
	stateOpen:        {stateDraining: true, stateClosed: true},
	stateDraining:    {stateClosed: true},
	stateClosed:      {},
}

// A PeerClient is one connection to a proven peer: what messages are sent to and received from.
//
// Its methods may be called from any goroutine unless they say otherwise. It is made by the Network; after the connection
// has ended it stays valid and every call fails with the reason. It belongs to one event loop for its whole life.
type PeerClient struct {
	// The fields are in the order in which a message needs them, and not in that of their owners: with very many peers each
	// cache line is one that has to be fetched. What a request needs is in the first three, its reply in the next two.

	net      *Network       // fixed before anybody else sees the peer, as are loop and link
	loop     *loop          //
	link     transport.Link //
	dg       *datagrams     // nil: the connection is a stream; fixed
	life     atomic.Uint32  // state; written by the loop, read by anybody
	dialled  bool           // by this node; fixed
	rides    bool           // on the connections of other peers: relayed; fixed
	inflates bool           // the peer takes compressed messages; fixed before messages are sent
	opened   bool           // PeerConnect has been called, PeerDisconnect not; the loop's
	speaks   bool           // the other side can open what we seal; the loop's
	probing  bool           // a Ping is under way to see whether the peer lives; the loop's
	mu       sync.Mutex
	asked    atomic.Uint32 // when a request last went either way, engine time in ms; any goroutine; see interactive
	send     sending       // under mu, except what sending says
	heardAt  atomic.Int64  // when bytes last came, engine time; written by the loop, read by anybody

	// Owned by the loop.
	usedAt   time.Duration // when ciphers or buffers were last used, to within touchEvery
	receipt  receipt
	in       *inbound    // while messages are gathered, gated or awaited
	warmNext *PeerClient // in loop.warm
	warmPrev *PeerClient
	recv     session.Receiver
	greet    *greeting // until open
	parting  *parting  // after our goodbye
	index    int32     // in loop.peers; -1: not there
	place    int32     // in the list of the ConnMgr, and under its lock

	// Written by the loop, read by anybody.
	why      atomic.Pointer[CloseError] // how the connection ended
	openedAt atomic.Int64               // engine time; 0: not open yet
	rtt      atomic.Int64               // smoothed, nanoseconds; 0: not measured; written by anybody

	// Fixed before anybody else sees the peer.
	id       identity.ID
	key      identity.PublicKey
	instance uint64 // of the peer's process: a new one means that it has restarted
}

// state is the current state. Any goroutine.
func (p *PeerClient) state() state { return state(p.life.Load()) }

// move changes the state; on the loop only.
func (p *PeerClient) move(to state) {
	if from := p.state(); !moves[from][to] {
		invariant.Bug("engine: bug: peer moves from %v to %v", from, to)
	}
	p.life.Store(uint32(to))
}

// ID is who the peer is: proven by the handshake.
func (p *PeerClient) ID() identity.ID { return p.id }

// PublicKey is the peer's Ed25519 key, proven by the handshake.
func (p *PeerClient) PublicKey() identity.PublicKey { return p.key }

// Instance is a number that the peer's process drew when it began: another one means that the peer has restarted and knows
// nothing of what was before.
func (p *PeerClient) Instance() uint64 { return p.instance }

// Network is the node this connection belongs to.
func (p *PeerClient) Network() *Network { return p.net }

// Dialled reports whether this node made the connection.
func (p *PeerClient) Dialled() bool { return p.dialled }

// Relayed reports whether the connection goes through another node.
func (p *PeerClient) Relayed() bool { return p.rides }

// RemoteAddr is where the peer's bytes come from; for an inbound peer that is not where it can be dialled. Over datagrams a
// peer may move: see Origin.
func (p *PeerClient) RemoteAddr() transport.Addr {
	if p.dg != nil {
		return p.dg.link.Path()
	}
	return p.link.Remote()
}

// Origin is where the connection was opened from, or to. It is RemoteAddr until the peer moves, and stays when it does: what
// counts peers by address counts there, as the limits of ConnMgr do.
func (p *PeerClient) Origin() transport.Addr { return p.link.Remote() }

// LocalAddr is this end of the connection.
func (p *PeerClient) LocalAddr() transport.Addr { return p.link.Local() }

// Record is the peer's signed node record as shown in the handshake, if the node still has it: the most recently seen
// records are kept. In PeerConnect it is always there.
func (p *PeerClient) Record() (*identity.Record, bool) {
	s, ok := p.net.records.Get(p.id)
	return s.record, ok
}

// Observed is the address under which the peer says it sees this node, kept for as long as its Record. On a connection that
// this node has dialled its port is of that connection alone. It is the peer's word: one that lies names any address.
// Zero: it has not said.
func (p *PeerClient) Observed() transport.Addr {
	s, _ := p.net.records.Get(p.id)
	return s.observed
}

// RTT is the smoothed round trip time, 0 while none has been measured.
func (p *PeerClient) RTT() time.Duration { return time.Duration(p.rtt.Load()) }

// ObserveRTT adds a measured round trip to the smoothed one (RFC 6298, alpha 1/8). Components that measure call it. One of less
// than half is believed at once: nothing comes back sooner than the path lets it, so what was believed was of a bad moment, and
// idle peers are measured too seldom to smooth a partition away.
func (p *PeerClient) ObserveRTT(sample time.Duration) {
	if sample <= 0 {
		return
	}
	old := p.rtt.Load()
	if old == 0 || int64(sample) < old/2 {
		p.rtt.CompareAndSwap(old, int64(sample))
		return
	}
	p.rtt.CompareAndSwap(old, old+(int64(sample)-old)/8)
}

// Traffic is how many bytes of frames have come from the peer and gone to it since the connection opened, those that cost no
// credit aside. To be called on the peer's loop.
func (p *PeerClient) Traffic() (in, out uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.receipt.received, p.send.spent
}

// SilentFor is how long nothing has come from the peer.
func (p *PeerClient) SilentFor() time.Duration {
	return p.loop.clock() - time.Duration(p.heardAt.Load())
}

// Connected reports whether messages can be sent at this moment.
func (p *PeerClient) Connected() bool { return p.state() == stateOpen }

// String says who the peer is and where: "79abda6d47858831 at tcp://198.51.100.7:4001".
func (p *PeerClient) String() string { return p.id.Short() + " at " + p.link.Remote().String() }

// Format prints String, whatever the verb: everything else in a PeerClient is a key, or its loop's.
func (p *PeerClient) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, p.String()) }

// LogValue shows the peer in logs.
func (p *PeerClient) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", p.id.Short()), slog.String("addr", p.link.Remote().String()))
}

// touch marks p as in use, so that its ciphers and buffers stay for a moment. On the loop. Within touchEvery of the last time
// it does nothing: moving p in the list writes to its neighbours, which are out of the cache where there are many peers.
func (p *PeerClient) touch() {
	l := p.loop
	if p.warmNext != nil && l.now-p.usedAt < touchEvery {
		return
	}
	first := l.warm.empty()
	p.usedAt = l.now
	l.warm.use(p)
	if first {
		l.sweepCool(p)
	}
}

// cool gives back what only an active peer needs. On the loop. A peer that is in the middle of something stays warm.
func (p *PeerClient) cool() {
	if p.recv.Begun() || p.in.busy() || !p.coolSending() {
		p.touch()
		return
	}
	p.recv.Settle(p.net.bufs)
	p.recv.Cool()
	if p.in != nil && p.in.idle() {
		p.loop.wheel.Stop(&p.in.timer)
		p.in = nil
	}
	p.loop.warm.drop(p)
}
