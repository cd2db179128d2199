package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/carrier-p2p/carrier/engine/internal/timer"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// Path: Dial, Probe -> [dial] -> transport -> open.go. Several dials to one target at the same time are one dial.

// dials are the dials under way. Everything in it and in each dialing is under mu, except what dialing says.
type dials struct {
	net *Network

	mu      sync.Mutex
	byKey   map[dialKey]*dialing
	active  int
	queue   []*dialing // wait for one of Config.Dials to end
	stopped bool
}

// A dialPurpose is what a dial is for.
type dialPurpose uint8

const (
	toConnect dialPurpose = iota // an open connection will do
	toFill                       // likewise, and no peer is to make room for it
	toReplace                    // a connection beside the open one, which gives way to it
	toProbe                      // to see who answers, and no more: see Probe
)

// A dialKey tells dials apart: those that are equal are one. A probe is none that others could join.
type dialKey struct {
	Target
	probe bool
}

// A dialing is one dial: it may take several connections, since a refusal as duplicate is tried again.
type dialing struct {
	net     *Network
	target  Target
	probe   bool          // ends as soon as the other side is proven
	spare   bool          // for all who wait for it: no peer is to make room for it
	limit   time.Duration // for the whole dial, less the time in which the home loop hears nothing
	began   time.Duration // owned by the home loop
	expect  identity.ID
	via     transport.Transport // serves the target's protocol
	waiters []*dialWaiter
	ctx     context.Context
	cancel  context.CancelFunc
	peer    *PeerClient // connected, not open
	tries   int
	over    bool

	timer timer.Timer // whole dial; owned by the home loop
	retry timer.Timer // next try; owned by the home loop
}

type dialWaiter struct {
	then func(*PeerClient, error)
}

func (s *dials) init(n *Network) {
	s.net = n
	s.byKey = map[dialKey]*dialing{}
}

// home is the loop that keeps the timers of what belongs to no peer.
func (n *Network) home() *loop { return n.loops[0] }

// Dial connects to "tcp://<id>@host:port", or returns the peer if there is an open connection to it already.
// Without "<id>@" whoever answers there is taken: proven, but not known beforehand. A host that is a name is
// looked up, and its first addresses, four at most, are tried in turn. It waits until ctx ends, at most
// Config.DialTimeout and Config.HandshakeTimeout for each address; time in which this node had no processor
// is not counted. Errors: ErrDialTimeout, ErrHandshakeTimeout, ErrPeerMismatch, ErrSelfDial, ErrNoTransport,
// ErrNeedsID, *CloseError if the other side refuses, transport.ErrAddress, ErrOnLoop.
func (n *Network) Dial(ctx context.Context, target string) (*PeerClient, error) {
	if n.onLoop() {
		return nil, ErrOnLoop
	}
	ts, err := resolve(ctx, target)
	if err != nil {
		return nil, err
	}
	p, err := firstOf(ctx, ts, n.dial)
	if err != nil && len(ts) > 1 {
		err = &failure{"dial " + target, err}
	}
	return p, err
}

// firstOf is the first of some targets that can be dialled. The error is of all that were tried.
func firstOf(ctx context.Context, ts []Target, dial func(context.Context, Target) (*PeerClient, error)) (*PeerClient, error) {
	var failed failures
	for _, t := range ts {
		p, err := dial(ctx, t)
		if err == nil {
			return p, nil
		}
		if failed = append(failed, err); ctx.Err() != nil {
			break
		}
	}
	if len(failed) == 1 {
		return nil, failed[0]
	}
	return nil, failed
}

// dial waits for a dial of one address.
func (n *Network) dial(ctx context.Context, t Target) (*PeerClient, error) {
	type outcome struct {
		peer *PeerClient
		err  error
	}
	result := make(chan outcome, 1)
	w, d, err := n.dials.join(t, toConnect, n.cfg.DialTimeout, func(p *PeerClient, err error) { result <- outcome{p, err} })
	if err != nil {
		return nil, err
	}
	if d == nil { // there was a connection
		r := <-result
		return r.peer, r.err
	}
	select {
	case r := <-result:
		return r.peer, r.err
	case <-ctx.Done():
		n.dials.abandon(d, w)
		return nil, dialFailed(t, gaveUp(ctx, ErrDialTimeout))
	}
}

// DialAsync is Dial with a callback, called exactly once on one of the loops. It never waits and may be called on a loop.
// If it fails itself, then is not called.
func (n *Network) DialAsync(t Target, then func(*PeerClient, error)) error {
	return n.dialAsync(t, toConnect, then)
}

func (n *Network) dialAsync(t Target, purpose dialPurpose, then func(*PeerClient, error)) error {
	_, _, err := n.dials.join(t, purpose, n.cfg.DialTimeout, func(p *PeerClient, err error) {
		l := n.home()
		if p != nil {
			l = p.loop
		}
		l.post(func() { l.guard(n.callbacks, func() { then(p, err) }) })
	})
	return err
}

// DialSpareAsync is DialAsync for a connection that is worth a free place and no more: when the node is full,
// no peer makes room for it, and the error is a *LimitError. If somebody else dials the same target
// meanwhile, with Dial or DialAsync, the two are one dial, for which a peer does make room.
func (n *Network) DialSpareAsync(t Target, then func(*PeerClient, error)) error {
	return n.dialAsync(t, toFill, then)
}

// Probe dials t and tells whether the node with t.ID answers there: then is called with nil once it has proven that, else
// with why not, exactly once, on the home loop. The connection ends with the proof. It does not become a peer and takes no
// peer's place, at either end, whether the two are connected or not; no component hears of it, and the other side does not
// learn who has dialled. It takes at most timeout, not counting time in which this node had no processor, and a place among
// Config.Dials.
//
// It never waits and may be called on a loop. If it fails itself, then is not called. Errors are those of Dial, ErrNeedsID
// without an ID, and ErrNoTransport for an address of a relay, where it is the relay that answers.
func (n *Network) Probe(t Target, timeout time.Duration, then func(error)) error {
	switch {
	case t.ID.IsZero():
		return &failure{"probe " + t.String(), ErrNeedsID}
	case t.Addr.Proto == transport.Relay:
		return &failure{"probe " + t.String(), ErrNoTransport}
	}
	_, _, err := n.dials.join(t, toProbe, timeout, func(_ *PeerClient, err error) {
		l := n.home()
		l.post(func() { l.guard(n.callbacks, func() { then(err) }) })
	})
	return err
}

// join adds a waiter to the dial of t, starting one if there is none, with limit for the whole of it. An open connection
// answers at once where that is what the dial is for.
func (s *dials) join(t Target, purpose dialPurpose, limit time.Duration, then func(*PeerClient, error)) (*dialWaiter, *dialing, error) {
	n := s.net
	switch {
	case !n.running():
		return nil, nil, ErrNotStarted
	case !t.Addr.IsValid() || t.Addr.Port() == 0:
		return nil, nil, fmt.Errorf("engine: dial %v: not an address that can be dialled", t)
	case t.ID == n.id:
		return nil, nil, ErrSelfDial
	}
	if p := n.openTo(t); p != nil && (purpose == toConnect || purpose == toFill) {
		then(p, nil)
		return nil, nil, nil
	}
	if m, ok := n.connMgr.(*connMgr); ok && purpose == toFill && m.full() { // saves a handshake; Admit decides
		return nil, nil, &LimitError{"peers", n.cfg.Peers.All}
	}
	via, err := n.transportOf(t.Addr.Proto)
	if err != nil {
		return nil, nil, dialFailed(t, err)
	}
	if _, ok := via.(transport.PeerDialer); ok && t.ID.IsZero() {
		return nil, nil, dialFailed(t, ErrNeedsID)
	}
	w := &dialWaiter{then}
	s.mu.Lock()
	if s.stopped {
		s.mu.Unlock()
		return nil, nil, ErrClosed
	}
	key := dialKey{t, purpose == toProbe}
	d := s.byKey[key]
	fresh := d == nil
	if fresh && len(s.queue) >= dialQueueLimit {
		s.mu.Unlock()
		return nil, nil, &LimitError{"dials", dialQueueLimit}
	}
	if fresh {
		d = &dialing{net: n, target: t, probe: key.probe, spare: true, limit: limit, expect: t.ID, via: via}
		d.ctx, d.cancel = context.WithCancel(context.Background())
		s.byKey[key] = d
	}
	d.spare = d.spare && purpose == toFill
	d.waiters = append(d.waiters, w)
	start := fresh && s.active < n.cfg.Dials
	if start {
		s.active++
	} else if fresh {
		s.queue = append(s.queue, d)
	}
	s.mu.Unlock()
	if fresh {
		n.home().post(d.begin)
	}
	if start {
		d.connect()
	}
	return w, d, nil
}

// connect has the transport make a link.
func (d *dialing) connect() {
	if via, ok := d.via.(transport.PeerDialer); ok {
		via.DialPeer(d.ctx, d.target.Addr, d.target.ID, d)
		return
	}
	d.via.Dial(d.ctx, d.target.Addr, d)
}

// openTo returns the open peer a dial of t would lead to.
func (n *Network) openTo(t Target) *PeerClient {
	p, ok := n.connMgr.PeerAt(t.Addr)
	if !t.ID.IsZero() {
		p, ok = n.connMgr.Peer(t.ID)
	}
	if ok {
		return p
	}
	return nil
}

// begin starts the clock. On the home loop.
func (d *dialing) begin() {
	l := d.net.home()
	d.timer.Fire = func(time.Duration) { d.late() }
	d.retry.Fire = func(time.Duration) { d.again() }
	d.net.dials.mu.Lock()
	over := d.over
	d.net.dials.mu.Unlock()
	if !over {
		d.began = l.now
		l.wheel.Set(&d.timer, after(l.now, d.limit))
	}
}

// late ends a dial whose time is over. Time in which the home loop could hear nothing is not counted: whoever
// was dialled may have answered. On the home loop.
func (d *dialing) late() {
	l := d.net.home()
	if left := l.left(d.began, d.limit); left > 0 {
		l.wheel.Set(&d.timer, l.now+left)
		return
	}
	d.finish(nil, dialFailed(d.target, ErrDialTimeout))
}

// isSpare reports whether the dial is one that no peer is to make room for. Any goroutine.
func (d *dialing) isSpare() bool {
	d.net.dials.mu.Lock()
	defer d.net.dials.mu.Unlock()
	return d.spare
}

// connected: the transport has a link, the handshake begins. On the link's loop.
func (d *dialing) connected(p *PeerClient) {
	d.net.dials.mu.Lock()
	d.peer = p
	over := d.over
	d.net.dials.mu.Unlock()
	if over {
		p.leave(&CloseError{Err: context.Canceled})
	}
}

func (d *dialing) key() dialKey { return dialKey{d.target, d.probe} }

// succeeded: the peer is open.
func (d *dialing) succeeded(p *PeerClient) {
	d.net.worked.Add(p.id, d.target.Addr)
	d.finish(p, nil)
}

// failed: no link came about.
func (d *dialing) failed(err error) {
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%w: %w", ErrDialTimeout, err)
	}
	d.finish(nil, dialFailed(d.target, err))
}

// lost: the link ended before the peer was open. If that is because the pair has another connection, or is about to have
// one, the dial ends with it.
func (d *dialing) lost(p *PeerClient, why *CloseError) {
	if why.Code != CodeDuplicate {
		d.finish(nil, dialFailed(d.target, why))
		return
	}
	d.net.dials.mu.Lock()
	d.peer = nil
	if !p.id.IsZero() {
		d.expect = p.id
	}
	d.net.dials.mu.Unlock()
	d.net.home().post(d.wait)
}

// wait sets the next try, or ends the dial if the other connection is there. On the home loop.
func (d *dialing) wait() {
	l := d.net.home()
	if p, ok := d.net.connMgr.Peer(d.expect); ok {
		d.finish(p, nil)
		return
	}
	d.net.dials.mu.Lock()
	over := d.over
	d.tries++
	delay := min(retryFirst<<min(d.tries-1, 10), retryLast)
	d.net.dials.mu.Unlock()
	if !over {
		l.wheel.Set(&d.retry, l.now+delay)
	}
}

// again tries once more. On the home loop.
func (d *dialing) again() {
	if p, ok := d.net.connMgr.Peer(d.expect); ok {
		d.finish(p, nil)
		return
	}
	d.connect()
}

// finish ends the dial for everybody who waits. Any goroutine; the first call counts.
func (d *dialing) finish(p *PeerClient, err error) {
	s := &d.net.dials
	s.mu.Lock()
	if d.over {
		s.mu.Unlock()
		return
	}
	d.over = true
	if s.byKey[d.key()] == d {
		delete(s.byKey, d.key())
	}
	waiters, half := d.waiters, d.peer
	d.waiters, d.peer = nil, nil
	var next *dialing
	if at := slices.Index(s.queue, d); at >= 0 {
		s.queue = slices.Delete(s.queue, at, at+1)
	} else if len(s.queue) > 0 {
		next, s.queue = s.queue[0], s.queue[1:]
	} else {
		s.active--
	}
	s.mu.Unlock()

	d.cancel()
	l := d.net.home()
	l.post(func() { l.wheel.Stop(&d.timer); l.wheel.Stop(&d.retry) })
	if half != nil && half != p {
		half.loop.post(func() { half.leave(&CloseError{Err: err}) })
	}
	if next != nil {
		next.connect()
	}
	for _, w := range waiters {
		w.then(p, err)
	}
}

// abandon takes back a waiter whose context has ended. The last one ends the dial.
func (s *dials) abandon(d *dialing, w *dialWaiter) {
	s.mu.Lock()
	d.waiters = slices.DeleteFunc(d.waiters, func(have *dialWaiter) bool { return have == w })
	last := len(d.waiters) == 0
	if last && s.byKey[d.key()] == d {
		delete(s.byKey, d.key()) // nobody may join what is about to end
	}
	s.mu.Unlock()
	if last {
		d.finish(nil, context.Canceled)
	}
}

// stop ends all dials.
func (s *dials) stop() {
	s.mu.Lock()
	s.stopped = true
	var open []*dialing
	for _, d := range s.byKey {
		open = append(open, d)
	}
	s.mu.Unlock()
	for _, d := range open {
		d.finish(nil, ErrClosed)
	}
}
