package backoff

import (
	"cmp"
	"errors"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// Path: PeerDisconnect -> [lose] -> turn, when the wait is over -> DialNodeAsync -> PeerConnect, or [failed] and another wait.

// A manner is how a connection ended.
type manner uint8

const (
	broken manner = iota // by nobody's wish: dial again
	parted               // by somebody's wish, or for a reason that dialling again will not cure
	moved                // there is another connection
)

// mannerOf judges how a connection ended.
func mannerOf(reason error) manner {
	var why *engine.CloseError
	if !errors.As(reason, &why) {
		return broken
	}
	switch why.Code {
	case engine.CodeReplaced, engine.CodeDuplicate:
		return moved
	case engine.CodeTimeout, engine.CodeInternal:
		return broken
	case engine.CodeFull, engine.CodeEvicted:
		if why.Remote { // they had no room; of ours another will make use
			return broken
		}
		return parted
	case engine.CodeNone:
		if why.Err != nil { // the end of the stream, or of the path
			return broken
		}
		return parted
	}
	return parted // shutdown, protocol, limit, refused, the application's
}

// PeerConnect ends the wait for a peer, whoever has dialled.
func (c *Component) PeerConnect(p *engine.PeerClient) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.peers[p.ID()]; l != nil {
		l.open, l.openedAt = p, p.Loop().Now()
		if l.err != nil && !l.disabled {
			c.stats.Reconnected++
		}
		c.wakeLocked() // it may be forgotten when it has lasted
	}
}

// PeerDisconnect begins the wait for a peer that is lost.
func (c *Component) PeerDisconnect(p *engine.PeerClient) {
	reason, now := p.CloseReason(), p.Loop().Now()
	if reason == nil { // it is the component that goes
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.peers[p.ID()]
	if l != nil && l.open == p {
		l.open = nil
		if now-l.openedAt >= c.cfg.Stable {
			l.failures = 0
		}
	}
	how := mannerOf(reason)
	switch {
	case c.stopped, l != nil && l.disabled:
		return
	case how == moved:
		if l != nil && l.enabled { // the other connection may still break before it is open
			l.dialAt = now + c.waitLocked(l)
			c.wakeLocked()
		}
		return
	case l != nil && l.enabled:
	case how == parted:
		if l != nil {
			c.stats.Forgotten++
			c.dropLocked(l)
		}
		return
	case l == nil && (c.cfg.OnlyEnabled || !p.Dialled()):
		return
	}
	if l == nil {
		var err error
		if l, err = c.knownLocked(p.ID()); err != nil {
			return // counted
		}
	}
	if p.Dialled() {
		l.learn(p.RemoteAddr())
	}
	if rec, ok := p.Record(); ok {
		for _, a := range rec.Addrs {
			l.learn(a)
		}
	}
	l.failures++
	l.err = reason
	l.dialAt = now + c.waitLocked(l)
	c.stats.Lost++
	c.wakeLocked()
}

// knownLocked finds or makes the entry of a peer.
func (c *Component) knownLocked(id identity.ID) (*lost, error) {
	if l := c.peers[id]; l != nil {
		return l, nil
	}
	if len(c.peers) >= c.cfg.Peers {
		c.stats.Dropped++
		return nil, ErrFull
	}
	l := &lost{id: id}
	if c.net != nil {
		if p, ok := c.net.ConnMgr().Peer(id); ok {
			l.open, l.openedAt = p, c.net.Now()
		}
	}
	c.peers[id] = l
	c.order = append(c.order, l)
	return l, nil
}

func (c *Component) dropLocked(l *lost) {
	delete(c.peers, l.id)
	c.order = slices.DeleteFunc(c.order, func(have *lost) bool { return have == l })
}

// learn adds an address to those that are tried.
func (l *lost) learn(a transport.Addr) {
	if a.IsValid() && a.Port() != 0 && !slices.Contains(l.addrs, a) && len(l.addrs) < addrLimit {
		l.addrs = append(l.addrs, a)
	}
}

// waitLocked draws the next wait for a peer.
func (c *Component) waitLocked(l *lost) time.Duration {
	c.dice = c.dice*6364136223846793005 + 1442695040888963407
	return c.wait.Wait(l.failures, c.dice>>16)
}

// turn starts the dials whose time has come, those that have waited longest first. On the home loop.
func (c *Component) turn() {
	now := c.net.Now()
	c.mu.Lock()
	if c.stopped {
		c.mu.Unlock()
		return
	}
	next := time.Duration(1<<63 - 1)
	var due []*lost
	waiting := 0
	for _, l := range slices.Clone(c.order) {
		switch {
		case l.open != nil && now-l.openedAt >= c.cfg.Stable && !l.enabled && !l.disabled:
			c.dropLocked(l) // it has lasted
		case l.open != nil && !l.enabled && !l.disabled:
			next = min(next, l.openedAt+c.cfg.Stable)
		case l.open != nil, l.disabled, l.dialling, len(l.addrs) == 0:
		case l.dialAt <= now:
			due = append(due, l)
			waiting++
		default:
			next = min(next, l.dialAt)
			waiting++
		}
	}
	slices.SortStableFunc(due, func(a, b *lost) int { return cmp.Compare(a.dialAt, b.dialAt) })
	due = due[:min(len(due), max(0, c.cfg.Dials-c.dialling))] // the end of a dial wakes the others
	for _, l := range due {
		l.dialling = true
		c.dialling++
		c.stats.Dials++
	}
	if waiting > 0 && c.cfg.Watch > 0 {
		next = min(next, c.watchLocked(now))
	}
	c.task.WakeAt(next)
	c.mu.Unlock()
	for _, l := range due {
		c.dial(l)
	}
}

// dial tries to reach a peer, at whichever of its addresses leads to it.
func (c *Component) dial(l *lost) {
	c.mu.Lock()
	if l.disabled { // since turn has chosen it
		l.dialling = false
		c.dialling--
		c.mu.Unlock()
		return
	}
	addrs := slices.Clone(l.addrs)
	c.mu.Unlock()
	if err := c.net.DialNodeAsync(l.id, addrs, func(_ *engine.PeerClient, err error) { c.dialled(l, err) }); err != nil {
		c.dialled(l, err)
	}
}

// dialled is told how a dial ended.
func (c *Component) dialled(l *lost, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dialling--
	l.dialling = false
	defer c.wakeLocked()
	if c.peers[l.id] != l {
		return
	}
	if err == nil { // and PeerConnect was before it, unless the component is just being added: then it comes, or the peer has gone again
		l.dialAt = max(l.dialAt, c.net.Now()+c.cfg.First)
		return
	}
	var full *engine.LimitError
	if errors.As(err, &full) { // of this node's, and not the peer's doing
		l.dialAt = c.net.Now() + c.cfg.First
		return
	}
	l.err = err
	l.failures++
	c.stats.Failed++
	if l.failures > c.cfg.Attempts && !l.enabled {
		c.stats.GivenUp++
		c.dropLocked(l)
		return
	}
	l.dialAt = c.net.Now() + c.waitLocked(l)
}

// A watch looks for changes of the machine's addresses. It is under the Component's lock.
type watch struct {
	lookAt  time.Duration
	looking bool
	known   bool
	addrs   string
}

// watchLocked looks at the machine's addresses, if it is time, and returns when to look again.
func (c *Component) watchLocked(now time.Duration) time.Duration {
	w := &c.watch
	if now >= w.lookAt && !w.looking {
		w.lookAt, w.looking = now+c.cfg.Watch, true
		go func() {
			addrs := c.cfg.LocalAddrs()
			c.mu.Lock()
			defer c.mu.Unlock()
			if w.looking = false; w.known && w.addrs != addrs && !c.stopped {
				c.wakeAllLocked()
			}
			w.addrs, w.known = addrs, true
		}()
	}
	return max(w.lookAt, now+time.Millisecond)
}

// interfaceAddrs are the addresses of the machine's network interfaces, in some order.
func interfaceAddrs() string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return err.Error()
	}
	all := make([]string, len(addrs))
	for i, a := range addrs {
		all[i] = a.String()
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}
