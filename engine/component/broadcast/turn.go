package broadcast

import (
	"errors"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/skad"
	"github.com/carrier-p2p/carrier/skad/spread"
)

// A failure is a message that did not go out; the core is told when it has nothing left to say.
type failure struct {
	to *skad.Contact
	id spread.MessageID
}

// turn works until nothing is left to do or the budget is used up: one thing is done, then what the core wants because
// of it, then the next.
//
//	carry out actions ─▶ failures ─▶ due ─▶ inbox ─▶ own broadcasts ─▶ again
func (c *Component) turn() {
	if c.core == nil && c.err == nil {
		c.err = c.start()
		if c.err != nil {
			c.cfg.Logger.Error("broadcast cannot run", "err", c.err)
		}
	}
	if c.err != nil {
		c.end(c.err)
		return
	}
	rest := false
	defer func() { // also if the application's code panics: the rest has to be done
		if !rest {
			c.task.Wake()
		}
		c.publish()
	}()
	until := c.loop.Now() + turnBudget
	for now := until - turnBudget; now < until && !rest; now = c.loop.Now() {
		if a, ok := c.core.Next(); ok {
			c.carry(now, &a)
		} else if !c.step(now) {
			c.task.WakeAt(c.deadline())
			rest = true
		}
	}
}

// step does one thing, and reports whether there was one.
func (c *Component) step(now time.Duration) bool {
	if n := len(c.failed); n > 0 {
		f := c.failed[n-1]
		c.failed = c.failed[:n-1]
		c.core.SendFailed(now, f.to, f.id)
		return true
	}
	if c.core.Deadline() <= now {
		c.core.Expire(now)
		return true
	}
	if c.deliverNext(now) {
		return true
	}
	if i := c.nextItem(); i != nil {
		c.take(now, i)
		return true
	}
	return c.speak(now)
}

// deadline is when the next turn is due if nothing comes.
func (c *Component) deadline() time.Duration {
	return min(c.core.Deadline(), c.ready.againAt(), c.speakAt)
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
		c.received(now, c.peer(i.peer), &i.message)
	case up:
		c.peers[i.peer.ID()] = &peer{contact: i.contact}
		c.linked.add(i.contact)
	case down:
		c.gone(now, i.peer)
	case dialled:
		c.dialEnded(i)
	}
}

// received gives a message to the core, if there is room for what may come of it.
func (c *Component) received(now time.Duration, from *peer, m *spread.Message) {
	switch {
	case m.Op != opcode.BroadcastCode && !from.mayAnnounce(now):
		c.counts.hasty++
	case m.Op == opcode.BroadcastCode && c.ready.full() && !c.core.Knows(&m.ID):
		c.counts.overrun++
	default:
		c.core.Receive(now, from.contact, m)
	}
}

// speak sends the next own broadcast, if there is one and its rate allows it.
func (c *Component) speak(now time.Duration) bool {
	c.speakAt = spread.Never
	a := c.asks.take()
	if a == nil {
		return false
	}
	id, err := c.core.Broadcast(now, a.payload)
	if a.patient && errors.Is(err, spread.ErrRate) {
		if err = c.asks.giveBack(a); err == nil {
			c.speakAt = c.core.ReadyAt(len(a.payload))
			return false
		}
	}
	c.answer(a, id, err)
	return true
}

// carry does what the core wants.
func (c *Component) carry(now time.Duration, a *spread.Action) {
	switch a.Kind {
	case spread.ActionSend:
		c.send(a.To, &a.Message)
	case spread.ActionDeliver:
		c.deliver(a.To, &a.Message)
	case spread.ActionBlame:
		c.blame(now, a.To, a.Reason)
	}
}

// blame passes on that a contact broke a rule, and ends its connection when its score is full.
func (c *Component) blame(now time.Duration, who *skad.Contact, why skad.Reason) {
	if c.cfg.Blame != nil {
		c.cfg.Blame(who, why)
	}
	id := who.ID.Identity()
	if p := c.peers[id]; p != nil && p.charge(now, why.Weight()) >= blameLimit {
		if connection, ok := c.net.ConnMgr().Peer(id); ok {
			connection.Disconnect(engine.CodeProtocol, "broadcast: "+why.String())
		}
	}
}
