// Package backoff dials lost peers again: after a second, and then ever more seldom, until they are back or given up.
//
//	r, err := backoff.New(backoff.Config{})
//	err = net.AddComponent(r)
//	r.Enable(target)   // keep this peer connected, whatever happens
//	r.Disable(id)      // never dial this one again
//
// What happens to a peer that this node had dialled depends on how the connection ended:
//
//	how it ended                                              a peer    one that is enabled
//	  broken, timed out, ended without a word                 dialled   dialled
//	  the peer said why: full, evicted, timeout, internal     dialled   dialled
//	  the peer said goodbye: shutdown, its application's code forgotten dialled
//	  this node hung up; either side broke the protocol       forgotten dialled
//	  replaced or duplicate: there is another connection      nothing   dialled if that is not open after the wait
//
// Peers that had dialled this node come back by themselves; they are only dialled if they are enabled. A peer that is
// disabled is never dialled.
//
// # When
//
// The wait doubles from First to Max, of which a random half is left out. It begins anew only when a connection has lasted
// for Stable. A change of the machine's own addresses has everybody tried at once (Wake does the same), at most Dials at a
// time.
//
// # Who owns what
//
// The list of peers has a lock. One task on the home loop starts dials and is the only timer; there is no goroutine, except
// for the moment in which the machine's addresses are read.
package backoff

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/internal/timer"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// ErrFull: as many peers are waited for as Config.Peers allows.
var ErrFull = errors.New("backoff: too many peers are waited for")

// A Config says when lost peers are dialled. The zero value means the defaults.
type Config struct {
	First    time.Duration // first wait; FirstDefault
	Max      time.Duration // longest wait; MaxDefault
	Jitter   float64       // part of each wait that is left to chance, 0 to 1; 0 means JitterDefault
	Attempts int           // failures after which a peer that is not enabled is given up; AttemptsDefault
	Stable   time.Duration // how long a connection has to last to count as one; StableDefault
	Dials    int           // dials under way; DialsDefault
	Peers    int           // peers waited for; PeersDefault

	// OnlyEnabled leaves alone all peers but those that are enabled.
	OnlyEnabled bool

	// Watch is how often the machine's addresses are looked at; WatchDefault. Negative: never.
	Watch time.Duration

	// LocalAddrs tells the machine's addresses, in any form that changes when they do. It is called on a goroutine of its own.
	// nil: those of its network interfaces.
	LocalAddrs func() string
}

// Validate reports every problem at once.
func (c Config) Validate() error {
	var errs []error
	for _, f := range []struct {
		name string
		v    int64
	}{{"First", int64(c.First)}, {"Max", int64(c.Max)}, {"Attempts", int64(c.Attempts)}, {"Stable", int64(c.Stable)},
		{"Dials", int64(c.Dials)}, {"Peers", int64(c.Peers)}} {
		if f.v < 0 {
			errs = append(errs, fmt.Errorf("backoff: %s is negative", f.name))
		}
	}
	if !(c.Jitter >= 0 && c.Jitter <= 1) {
		errs = append(errs, fmt.Errorf("backoff: Jitter is %v, want 0 to 1", c.Jitter))
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	or(&c.First, FirstDefault)
	or(&c.Max, max(MaxDefault, c.First))
	or(&c.Jitter, JitterDefault)
	or(&c.Attempts, AttemptsDefault)
	or(&c.Stable, StableDefault)
	or(&c.Dials, DialsDefault)
	or(&c.Peers, PeersDefault)
	or(&c.Watch, WatchDefault)
	if c.LocalAddrs == nil {
		c.LocalAddrs = interfaceAddrs
	}
	return c
}

func or[T int | float64 | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

// A Component dials the lost peers of one Network. Its methods may be called from any goroutine.
type Component struct {
	engine.Component
	cfg  Config
	wait timer.Backoff

	// Fixed by Startup.
	net  *engine.Network
	task *engine.Task

	mu       sync.Mutex
	peers    map[identity.ID]*lost
	order    []*lost // the same, in the order in which they came
	dialling int
	stopped  bool
	dice     uint64
	stats    Stats
	watch    watch
}

var _ engine.Subscriber = (*Component)(nil)

// A lost is what is known of a peer that is to be dialled, or not to be.
type lost struct {
	id       identity.ID
	addrs    []transport.Addr
	enabled  bool
	disabled bool
	failures int // since a connection has lasted
	dialAt   time.Duration
	dialling bool
	openedAt time.Duration // while connected
	open     *engine.PeerClient
	err      error // of the last dial, or how the connection ended
}

// New makes the component. A Config that does not validate is an error.
func New(cfg Config) (*Component, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	return &Component{cfg: cfg, wait: timer.Backoff{First: cfg.First, Max: cfg.Max, Jitter: cfg.Jitter}, peers: map[identity.ID]*lost{}}, nil
}

// Opcodes: none.
func (c *Component) Opcodes() []opcode.Opcode { return []opcode.Opcode{} }

// Startup begins to dial those that are enabled.
func (c *Component) Startup(n *engine.Network) {
	var seed [8]byte
	_, _ = io.ReadFull(n.Rand(), seed[:]) // without chance all waits are as long as they can be
	task := n.HomeLoop().NewTask("backoff", c.turn)
	c.mu.Lock()
	c.net, c.task, c.stopped = n, task, false
	c.dice = binary.LittleEndian.Uint64(seed[:])
	c.mu.Unlock()
	task.Wake()
}

// Cleanup dials nobody any more.
func (c *Component) Cleanup(n *engine.Network) {
	c.mu.Lock()
	task := c.task
	c.stopped, c.task = true, nil
	c.mu.Unlock()
	if task != nil {
		n.HomeLoop().Post(task.Stop)
	}
}

// Enable has a peer dialled, now and whenever it is lost, until Disable. ErrFull if too many are waited for.
func (c *Component) Enable(t engine.Target) error {
	if t.ID.IsZero() || !t.Addr.IsValid() {
		return fmt.Errorf("backoff: %v names nobody: a target needs an ID and an address", t)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	l, err := c.knownLocked(t.ID)
	if err != nil {
		return err
	}
	l.enabled, l.disabled = true, false
	l.learn(t.Addr)
	l.failures, l.dialAt = 0, 0
	c.wakeLocked()
	return nil
}

// Disable has a peer never dialled again, until Enable. It does not hang up. ErrFull if too many are known.
func (c *Component) Disable(id identity.ID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	l, err := c.knownLocked(id)
	if err == nil {
		l.enabled, l.disabled, l.addrs = false, true, nil
	}
	return err
}

// Forget takes back Enable and Disable, and waits for the peer no longer.
func (c *Component) Forget(id identity.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.peers[id]; l != nil {
		c.dropLocked(l)
	}
}

// Wake has everybody who is waited for dialled at once, as after a change of the network.
func (c *Component) Wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wakeAllLocked()
}

func (c *Component) wakeAllLocked() {
	for _, l := range c.order {
		l.dialAt, l.failures = 0, 0
	}
	c.stats.Woken++
	c.wakeLocked()
}

func (c *Component) wakeLocked() {
	if c.task != nil {
		c.task.Wake()
	}
}
