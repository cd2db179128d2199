package discovery

import (
	"errors"
	"slices"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/skad"
)

// Path:   inbox, deadline -> [turn] -> core -> actions. The only place that touches the core.
// Bounds: turnBudget and one step for each turn; what is left gets another one, behind the sockets.

// A failure is a message that did not go out. The core is told at some distance: it may ask somebody else at once, and
// where there is no network at all that fails as fast, again and again.
type failure struct {
	at   time.Duration
	to   *skad.Contact
	ours bool // there was no room here: nothing is held against the contact
}

// turn works until nothing is left to do or the budget is used up.
//
//	carry out actions ─▶ dials begun, failures ─▶ due ─▶ inbox ─▶ lookups that wait ─▶ again
func (c *Component) turn() {
	if c.over {
		return
	}
	until := c.loop.Now() + turnBudget
	for {
		now := c.loop.Now()
		if now >= until {
			c.task.Wake()
			break
		}
		var more bool
		if c.action, more = c.core.Next(); more {
			c.carry(now, &c.action)
		} else if !c.step(now) {
			c.task.WakeAt(c.deadline())
			break
		}
	}
	c.publish()
}

// deadline is when the next turn is due if nothing comes.
func (c *Component) deadline() time.Duration {
	at := min(c.core.Deadline(), c.seedAt, c.sweepAt, c.saveAt, c.settleAt)
	if len(c.failures) > 0 {
		at = min(at, c.failures[0].at)
	}
	return at
}

// fail has the core told that a message to a contact did not go out; ping says that it was a Ping, ours that it is this node that
// has no room.
func (c *Component) fail(began time.Duration, to *skad.Contact, ping, ours bool) {
	f := failure{began + failureAfter, to, ours}
	if ping {
		f.at = began + pingFailureAfter
	}
	at := len(c.failures)
	for at > 0 && c.failures[at-1].at > f.at {
		at--
	}
	c.failures = slices.Insert(c.failures, at, f)
}

// step does one thing, and reports whether there was one.
func (c *Component) step(now time.Duration) bool {
	if n := len(c.dialled); n > 0 {
		to := c.dialled[n-1]
		c.dialled[n-1] = nil
		c.dialled = c.dialled[:n-1]
		c.core.Dialing(now, to)
		return true
	}
	if len(c.failures) > 0 && c.failures[0].at <= now {
		f := c.failures[0]
		c.failures[0] = failure{}
		if c.failures = c.failures[1:]; len(c.failures) == 0 {
			c.failures = nil
		}
		if f.ours {
			c.core.Disconnected(now, f.to)
		} else {
			c.core.SendFailed(now, f.to)
		}
		return true
	}
	if rec := c.net.Record(); rec != c.record {
		c.renew(now, rec)
		return true
	}
	switch {
	case c.tellNext(now) || c.partIdle(now):
	case c.crowded:
		c.trim(now)
	case c.core.Deadline() <= now:
		c.core.ExpireNext(now)
	case c.seedAt <= now:
		c.seed(now)
	case c.sweepAt <= now:
		c.sweep(now)
	case c.saveAt <= now:
		c.save(now)
	case c.settleAt <= now:
		c.settle(now)
	default:
		if i := c.nextItem(); i != nil {
			c.take(now, i)
			return true
		}
		return c.nextQuery(now)
	}
	return true
}

// nextItem takes the next from the inbox, nil if it is empty.
func (c *Component) nextItem() *item {
	if c.work == nil || c.work.next == len(c.work.items) {
		done := c.idle
		if c.work != nil {
			done = c.work
		}
		full := c.inbox.swap(done)
		if full == nil {
			c.work, c.idle = nil, done
			return nil
		}
		c.work = full
	}
	i := &c.work.items[c.work.next]
	c.work.next++
	return i
}

// take tells the core what has happened.
func (c *Component) take(now time.Duration, i *item) {
	switch i.kind {
	case came:
		s := i.session
		if c.sessions[s.contact.ID] != s { // the last words of a connection that another one has replaced, or that has ended
			return
		}
		s.usedAt = now
		c.renewed(s, &i.message)
		c.core.Receive(now, skad.Peer{Contact: s.contact, Reached: s.reached}, &i.message)
	case up:
		c.connected(now, i.session)
	case down:
		c.disconnected(now, i.session)
	case dialled:
		c.dialEnded(now, i.dial, i.err)
	case seeded:
		c.seeded(now, i.seed)
	case asked:
		i.do(now, c.core)
	}
}

// connected begins a session, and sends what has waited for it.
func (c *Component) connected(now time.Duration, s *session) {
	id := s.contact.ID
	if c.core.Banned(id) {
		s.peer.Disconnect(engine.CodeRefused, "overlay: banned")
		return
	}
	if old := c.sessions[id]; old != nil {
		c.leave(old)
	}
	c.sessions[id] = s
	s.index = len(c.all)
	c.all = append(c.all, s)
	s.usedAt = now
	d := c.dials[id]
	if d != nil && s.peer.Dialled() {
		c.own(now, s)
	}
	c.core.Connected(now, skad.Peer{Contact: s.contact, Reached: s.reached})
	if d != nil {
		c.dialDone(d, s)
	}
	if c.seeds[id] {
		c.seeded(now, id)
	}
}

// disconnected ends a session.
func (c *Component) disconnected(now time.Duration, s *session) {
	id := s.contact.ID
	if c.sessions[id] != s {
		return
	}
	c.leave(s)
	delete(c.sessions, id)
	if broke(s.peer.CloseReason()) {
		c.core.Lost(now, s.contact)
		return
	}
	c.core.Disconnected(now, s.contact)
}

// leave takes a session out of the lists.
func (c *Component) leave(s *session) {
	c.disown(s)
	last := len(c.all) - 1
	moved := c.all[last]
	c.all[s.index], moved.index = moved, s.index
	c.all[last] = nil
	c.all = c.all[:last]
}

// broke reports whether a session ended without a goodbye and nobody's fault: then the node may be gone.
func broke(why error) bool {
	var how *engine.CloseError
	var fault *engine.Fault
	return errors.As(why, &how) && (how.Code == engine.CodeTimeout || how.Err != nil && !errors.As(how.Err, &fault))
}

// carry does what the core wants.
func (c *Component) carry(now time.Duration, a *skad.Action) {
	switch a.Kind {
	case skad.ActionSend:
		c.room = a.Message.Append(c.room[:0])
		if s := c.sessions[a.To.ID]; s != nil {
			c.send(now, s, a.Message.Op, isQuestion(&a.Message))
		} else if !isAnswer(&a.Message) {
			c.dialFor(now, a.To, a.Message.Op, isQuestion(&a.Message))
		}
		return
	case skad.ActionLookup:
		c.lookupEnded(a.Result)
		return
	case skad.ActionBlame:
		if s := c.sessions[a.To.ID]; s != nil && a.Banned {
			s.peer.Disconnect(engine.CodeProtocol, "overlay: "+a.Reason.String())
		}
	case skad.ActionReady:
		if !c.joined {
			c.joined = true
			c.settleAt = now + settleAfter[0]
			close(c.ready)
		}
	}
	for _, f := range c.onAct {
		f(now, a)
	}
}

// isQuestion reports whether the core waits for an answer to m, and isAnswer whether m is one.
func isQuestion(m *skad.Message) bool {
	switch m.Op {
	case opcode.PingCode, opcode.LookupNodeRequestCode, opcode.RouteCode:
		return true
	case opcode.RecordCode:
		return len(m.Contacts) == 0
	}
	return false
}

func isAnswer(m *skad.Message) bool {
	switch m.Op {
	case opcode.PongCode, opcode.LookupNodeResponseCode, opcode.RouteAckCode:
		return true
	case opcode.RecordCode:
		return len(m.Contacts) > 0 && m.Nonce != 0
	}
	return false
}

// send sends the message in c.room.
func (c *Component) send(now time.Duration, s *session, op opcode.Opcode, question bool) {
	s.usedAt = now
	if question {
		s.mustAnswer()
	}
	if err := trySend(s.peer, op, c.room); err != nil {
		c.counts.Unsent++
		if question {
			c.fail(now, s.contact, op == opcode.PingCode, false)
		}
	}
}

// trySend never waits. A Ping is the engine's to answer, and its Pong comes back to us because it has no id.
func trySend(p *engine.PeerClient, op opcode.Opcode, payload []byte) error {
	if op == opcode.PingCode {
		return p.TryPing(payload)
	}
	return p.TrySendRaw(op, payload)
}

// publish shows the table and the counters as they are now.
func (c *Component) publish() {
	if v := c.core.View(); v != c.view.Load() {
		c.view.Store(v)
	}
	c.counts.Core = c.core.Stats()
	c.counts.Sessions, c.counts.Kept, c.counts.Dialling = len(c.sessions), len(c.ours), c.dialling
	c.counts.NetworkSize = c.core.NetworkSize()
	c.mu.Lock()
	c.shown = c.counts
	c.mu.Unlock()
}
