package proxy

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// keeper keeps this node's reservations. Its machine lives on the home loop; what others read is under mu.
//
//	resting ──turn──▶ dialling ──connected──▶ asking ──granted──▶ held ──half its time──▶ asking
//	   ▲                 │                      │                   │
//	   └──── backoff ────┴──────── refused ─────┴── relay gone ─────┘
type keeper struct {
	c      *Component
	wanted int
	tries  []*try // owned by the home loop
	ended  bool   // owned by the home loop

	mu    sync.RWMutex
	peers map[*engine.PeerClient]*try // asked, or granted
	addrs []transport.Addr            // where this node can be reached
}

// A try is what has become of one of Config.Relays. Owned by the home loop.
type try struct {
	target engine.Target
	busy   bool               // dialling, asking, or held
	peer   *engine.PeerClient // asking or held
	held   bool
	round  int           // of answers: older ones are dropped
	failed int           // in a row
	at     time.Duration // of the next try, if it rests
	timer  *engine.Timer
}

func (k *keeper) init(c *Component) {
	k.c, k.peers = c, map[*engine.PeerClient]*try{}
	k.wanted = min(max(1, c.cfg.Reservations), len(c.cfg.Relays))
	for _, t := range c.cfg.Relays {
		k.tries = append(k.tries, &try{target: t})
	}
}

func (k *keeper) startup() {
	if k.wanted > 0 {
		k.home().Post(k.turn)
	}
}

func (k *keeper) home() engine.Loop { return k.c.net.HomeLoop() }

func (k *keeper) cleanup() {
	k.home().Post(func() {
		k.ended = true
		for _, t := range k.tries {
			if t.timer != nil {
				t.timer.Stop()
			}
		}
	})
}

// trusts reports whether this node has asked p for a reservation.
func (k *keeper) trusts(p *engine.PeerClient) bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.peers[p] != nil
}

// turn starts as many tries as are missing, the first in the list first.
func (k *keeper) turn() {
	if k.ended {
		return
	}
	now, busy := k.c.net.Now(), 0
	for _, t := range k.tries {
		if t.busy {
			busy++
		}
	}
	for _, t := range k.tries {
		if busy < k.wanted && !t.busy && t.at <= now {
			busy++
			k.dial(t)
		}
	}
}

func (k *keeper) dial(t *try) {
	t.busy = true
	t.round++
	round := t.round
	err := k.c.net.DialAsync(t.target, func(p *engine.PeerClient, err error) {
		k.home().Post(func() {
			if t.round == round && !k.ended {
				k.connected(t, p, err)
			}
		})
	})
	if err != nil {
		k.fail(t, err)
	}
}

func (k *keeper) connected(t *try, p *engine.PeerClient, err error) {
	switch {
	case err != nil:
	case p.Relayed():
		err = &RefusedError{Loop}
	case !p.Reliable():
		err = &RefusedError{Lossy}
	}
	if err != nil {
		k.fail(t, err)
		return
	}
	t.peer = p
	k.mu.Lock()
	k.peers[p] = t
	k.mu.Unlock()
	k.ask(t)
}

// ask asks for the reservation, or for more time.
func (k *keeper) ask(t *try) {
	t.round++
	round, p := t.round, t.peer
	r := request{kind: kindReserve, number: uint32(reserveFor / time.Second)}
	err := p.RequestRawAsync(opcode.ProxyRequestCode, r.append(nil), askTimeout, func(answer *engine.ComponentContext, err error) {
		var a response
		if err == nil {
			a, err = parseResponse(answer.Payload())
		}
		if err == nil && a.reason != None {
			err = &RefusedError{a.reason}
		}
		if err == nil && a.number == 0 {
			err = fmt.Errorf("%w: a reservation for no time", ErrMessage)
		}
		k.home().Post(func() {
			if t.round == round && !k.ended {
				k.answered(t, a, err)
			}
		})
	})
	if err != nil {
		k.fail(t, err)
	}
}

func (k *keeper) answered(t *try, a response, err error) {
	if err != nil {
		k.fail(t, err)
		return
	}
	first := !t.held
	t.held, t.failed = true, 0
	k.c.net.ConnMgr().Protect(t.peer.ID(), protection)
	t.timer = k.home().After(time.Duration(a.number)*time.Second/2, func() {
		if t.held && !k.ended {
			k.ask(t)
		}
	})
	if first {
		k.tell()
		k.c.net.Publish(engine.Event{Kind: engine.Reachability, Addr: relayedAt(t), Text: "reachable through a relay"})
	}
}

// fail gives up a try for a while; the next relay takes its place.
func (k *keeper) fail(t *try, err error) {
	t.round++
	if t.peer != nil {
		k.mu.Lock()
		delete(k.peers, t.peer)
		k.mu.Unlock()
		k.c.net.ConnMgr().Unprotect(t.peer.ID(), protection)
	}
	if t.timer != nil {
		t.timer.Stop()
	}
	wait := min(retryFirst<<min(t.failed, 16), retryAway)
	if refused := new(RefusedError); errors.As(err, &refused) {
		wait = min(retryFirst<<min(t.failed, 16), retryLast)
	}
	lost, at := t.held, relayedAt(t)
	t.busy, t.held, t.peer = false, false, nil
	t.failed++
	t.at = k.c.net.Now() + wait
	k.home().After(wait, k.turn)
	if lost {
		k.tell()
		k.c.net.Publish(engine.Event{Kind: engine.Reachability, Addr: at, Text: "no longer reachable through a relay", Err: err})
	}
	k.turn()
}

// peerGone: a relay may have gone. Any loop.
func (k *keeper) peerGone(p *engine.PeerClient) {
	k.mu.RLock()
	t := k.peers[p]
	k.mu.RUnlock()
	if t == nil {
		return
	}
	k.home().Post(func() {
		if t.peer == p && !k.ended {
			k.fail(t, fmt.Errorf("proxy: the relay is gone: %w", p.CloseReason()))
		}
	})
}

// tell publishes where this node can be reached.
func (k *keeper) tell() {
	var addrs []transport.Addr
	for _, t := range k.tries {
		if a := relayedAt(t); t.held && !slices.Contains(addrs, a) {
			addrs = append(addrs, a)
		}
	}
	k.mu.Lock()
	k.addrs = addrs
	k.mu.Unlock()
	k.c.advertise()
}

// relayedAt is the address of this node through a relay.
func relayedAt(t *try) transport.Addr {
	if t.peer == nil {
		return transport.Addr{}
	}
	return relayed(t.peer.RemoteAddr())
}

// protection is the tag under which relays are kept from being evicted.
const protection = "relay"

// Addrs are the addresses at which this node can be reached through relays, with its ID: "relay://<id>@…". Any goroutine.
func (c *Component) Addrs() []transport.Addr {
	c.keep.mu.RLock()
	defer c.keep.mu.RUnlock()
	return slices.Clone(c.keep.addrs)
}

// advertise puts the relayed addresses, and what this node is, into its record, beside the addresses that are there.
func (c *Component) advertise() {
	// What the record has held it can hold.
	_ = c.net.Readvertise(func(have *identity.Record) (addrs []transport.Addr, flags identity.Flags) {
		for _, a := range have.Addrs {
			if a.Proto != transport.Relay {
				addrs = append(addrs, a)
			}
		}
		addrs = append(addrs, c.Addrs()...)
		flags = have.Flags
		if c.cfg.Serve {
			flags |= identity.FlagRelay
		}
		if len(addrs) > identity.AddrLimit { // a relayed address is of use where the others are not
			addrs = append(addrs[:identity.AddrLimit-1:identity.AddrLimit-1], addrs[len(addrs)-1])
		}
		return addrs, flags
	})
}
