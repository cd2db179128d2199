// Package ack sends messages until their receiver says that it has taken them: at least once, and to the application once.
//
//	acks, _ := engine.ComponentOf[*ack.Component](net)
//	err := acks.SendAck(ctx, peer.ID(), &Order{…})                      // waits until it has been taken
//	err = acks.SendAckAsync(peer.ID(), &Order{…}, func(err error) { … }) // or tells later
//
// A message goes to an identity and not to a connection. If the connection breaks it is sent again over the next one; who
// makes that is not this package's business (component/backoff does). It is the application's own message, of its own opcode,
// with the wants-ack flag in its frame and a number in the frame's id. Both nodes need the component.
//
//	sender                                       receiver
//	  Begin(epoch, first)  ──────────────────────▶  a window for this sender's numbers
//	  message, wants-ack 1 ──────────────────────▶  Receive of its component: nil or ErrIntercepted
//	  message, wants-ack 2 ──────────────────────▶  Receive: another error
//	  ◀────────────────── Refused(epoch, 2)          once for each that is refused
//	  ◀────────────────── Taken(epoch, below 2)      once for all that came together
//	  message, wants-ack 2 ──────────────────────▶  again after a while, until it is taken or given up
//
// # What is promised
//
// nil means that a component of the receiver has taken the message: its Receive returned nil or ErrIntercepted, or somebody
// waited for it with PeerClient.Receive. A component behind engine.Offload has taken it when it is queued. Any error means
// that this is not known: the message may have been taken, and the news been lost.
//
// The receiver hands a message over once, however often it comes, as long as it remembers its sender: while they are
// connected, and for Config.Remember after that. A receiver that has restarted remembers nobody. What it refused, by returning
// an error, it is handed again. Messages are not put in order: one that was refused, or sent again, comes later.
//
// # Numbers
//
// A sender numbers the messages to one peer from 0 on, in an epoch, and never has more than WindowLimit numbers between the
// oldest that waits and the newest. So a receiver needs a bit for each of the last WindowLimit numbers, and knows that whatever
// lies below has been settled. An epoch ends when the peer is gone and nothing waits for it; it also ends with the process,
// which the peer's instance tells.
//
// # Who owns what
//
// An outbox, what waits for one peer, has a lock: any goroutine may send. An inbox, what is remembered of one sender,
// belongs to the loop of the connection to it, and to the Component while there is none.
//
// A peer that acknowledges what was never sent to it, or sends what does not parse, is at fault and disconnected.
package ack

import (
	"cmp"
	"container/list"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/internal/fair"
	"github.com/carrier-p2p/carrier/engine/internal/timer"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// What can become of a message that is not acknowledged.
var (
	// ErrGivenUp: Config.GiveUp has passed. Whether the message has been taken is not known.
	ErrGivenUp = errors.New("ack: given up: not acknowledged in time")

	// ErrFull: too much waits for this peer, or for all of them. The message has not been sent.
	ErrFull = errors.New("ack: too many messages wait to be acknowledged")

	// ErrStopped: the network has been shut down, or the component removed.
	ErrStopped = errors.New("ack: stopped")
)

// What a peer can do wrong. Each is counted in Stats.Faults and ends the connection.
var (
	ErrUnsent    = errors.New("ack: a message was acknowledged that was never sent")
	ErrMalformed = errors.New("ack: malformed AckResponse")
)

// A Config says how messages are sent again. The zero value means the defaults.
type Config struct {
	Retry    time.Duration // from a refusal to the next try; and first wait for an answer, if four round trips are not longer; RetryDefault
	RetryMax time.Duration // it doubles to this; RetryMaxDefault
	GiveUp   time.Duration // from the first call on; GiveUpDefault
	Remember time.Duration // of a sender that is not connected; RememberDefault

	PeerMemory int   // bytes that wait for one peer; PeerMemoryDefault
	Memory     int64 // bytes that wait for all; MemoryDefault
	Inboxes    int   // senders remembered that are not connected; InboxesDefault
}

// Validate reports every problem at once.
func (c Config) Validate() error {
	var errs []error
	for _, f := range []struct {
		name string
		v    int64
	}{{"Retry", int64(c.Retry)}, {"RetryMax", int64(c.RetryMax)}, {"GiveUp", int64(c.GiveUp)}, {"Remember", int64(c.Remember)},
		{"PeerMemory", int64(c.PeerMemory)}, {"Memory", c.Memory}, {"Inboxes", int64(c.Inboxes)}} {
		if f.v < 0 {
			errs = append(errs, fmt.Errorf("ack: %s is negative", f.name))
		}
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	or(&c.Retry, RetryDefault)
	or(&c.RetryMax, max(RetryMaxDefault, c.Retry))
	or(&c.GiveUp, GiveUpDefault)
	or(&c.Remember, RememberDefault)
	or(&c.PeerMemory, PeerMemoryDefault)
	or(&c.Memory, MemoryDefault)
	or(&c.Inboxes, InboxesDefault)
	return c
}

func or[T int | int64 | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

// A Component sends and takes messages that want to be acknowledged, for one Network. Its methods may be called from any
// goroutine unless they say otherwise.
type Component struct {
	engine.Component
	cfg   Config
	retry timer.Backoff

	// Fixed by Startup.
	net   *engine.Network
	loops []shelf // by Loop.Index; each belongs to its loop
	clock *engine.Task
	dice  uint64 // what outboxes draw their chances from

	counts counters
	memory atomic.Int64 // bytes that wait, of all outboxes

	mu       sync.Mutex // may be held while a ConnMgr is asked; an outbox's lock comes after it
	started  bool
	stopped  bool
	epoch    uint32 // the last one given out
	outboxes map[identity.ID]*outbox
	active   []*outbox // those in which something waits
	inboxes  map[identity.ID]*inbox
	departed list.List                         // of those inboxes whose sender has gone, the oldest first
	shares   fair.Memory[netip.Prefix, *inbox] // the same, by the network they came from
	room     bell                              // memory has become free

	// Owned by the home loop.
	scanned int // where the clock goes on in active
	scratch []*outbox
}

var (
	_ engine.Subscriber   = (*Component)(nil)
	_ engine.Acknowledger = (*Component)(nil)
)

// New makes the component. A Config that does not validate is an error.
func New(cfg Config) (*Component, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	return &Component{
		cfg: cfg, retry: timer.Backoff{First: cfg.Retry, Max: cfg.RetryMax, Jitter: retryJitter},
		outboxes: map[identity.ID]*outbox{}, inboxes: map[identity.ID]*inbox{},
	}, nil
}

// Opcodes are what the component answers.
func (c *Component) Opcodes() []opcode.Opcode { return []opcode.Opcode{opcode.AckResponseCode} }

// Startup begins to watch the clock.
func (c *Component) Startup(n *engine.Network) {
	c.net = n
	var seed [8]byte
	if _, err := io.ReadFull(n.Rand(), seed[:]); err == nil { // else chance is the same each time, which only jitter feels
		c.dice = binary.LittleEndian.Uint64(seed[:])
	}
	loops := n.Loops()
	c.loops = make([]shelf, len(loops))
	for i, l := range loops {
		c.loops[i].init(c, l)
	}
	c.clock = n.HomeLoop().NewTask("ack: resend", c.tick)
	c.mu.Lock()
	c.started, c.stopped = true, false
	c.mu.Unlock()
}

// Cleanup ends everything that waits with ErrStopped.
func (c *Component) Cleanup(*engine.Network) {
	c.mu.Lock()
	c.stopped = true
	all := slices.SortedFunc(maps.Values(c.outboxes), func(a, b *outbox) int { return cmp.Compare(a.epoch, b.epoch) })
	c.active = nil
	c.outboxes, c.inboxes = map[identity.ID]*outbox{}, map[identity.ID]*inbox{}
	c.departed.Init()
	c.shares = fair.Memory[netip.Prefix, *inbox]{}
	c.room.ring()
	c.mu.Unlock()
	var done []outcome
	for _, o := range all {
		done = append(done, o.end(ErrStopped)...)
	}
	if c.clock != nil {
		c.net.HomeLoop().Post(c.clock.Stop)
		for i := range c.loops {
			s := &c.loops[i]
			s.loop.Post(s.task.Stop)
		}
	}
	c.finish(done) // last: a callback may panic
}

// PeerConnect sends again what waits for the peer.
func (c *Component) PeerConnect(p *engine.PeerClient) {
	c.mu.Lock()
	o := c.outboxes[p.ID()]
	c.mu.Unlock()
	if o != nil {
		c.finish(o.connected(p, p.Loop().Now()))
	}
}

// PeerDisconnect keeps what waits for the peer, and what is remembered of it, for the next connection.
func (c *Component) PeerDisconnect(p *engine.PeerClient) {
	s := &c.loops[p.Loop().Index()]
	in := s.forget(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if o := c.outboxes[p.ID()]; o != nil && o.lost(p) {
		delete(c.outboxes, p.ID()) // nothing waits: the epoch ends
	}
	if in != nil {
		c.departLocked(in, p.Loop().Now())
	}
}

// Receive takes a Begin, or what a receiver has to say.
func (c *Component) Receive(ctx *engine.ComponentContext) error {
	m, err := parse(ctx.Payload())
	if err == nil && m.kind == kindBegin {
		c.begin(ctx.Client(), m)
		return engine.ErrIntercepted
	}
	if err == nil {
		err = c.answered(ctx, m)
	}
	if err != nil {
		c.counts.faults.Add(1)
		return &engine.Fault{Whose: engine.Peers, Fate: engine.Close, Code: engine.CodeProtocol, Err: err}
	}
	return engine.ErrIntercepted
}

// answered settles what a peer says it has taken, and sends again, later, what it says it has refused.
func (c *Component) answered(ctx *engine.ComponentContext, m message) error {
	id := ctx.Client().ID()
	c.mu.Lock()
	o, issued := c.outboxes[id], c.epoch
	c.mu.Unlock()
	if o == nil || m.epoch != o.epoch {
		if m.epoch == 0 || m.epoch > issued || o != nil && m.epoch > o.epoch {
			return ErrUnsent
		}
		c.counts.late.Add(1) // of an epoch that has ended
		return nil
	}
	if m.kind == kindRefused {
		return o.refused(m.base, ctx.Now())
	}
	done, err := o.acknowledged(m, ctx.Now())
	c.finish(done)
	return err
}
