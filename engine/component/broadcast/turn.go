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
			c.carry(&a)
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
		if c.ready.full() && c.unseen(&i.message) {
			c.counts.overrun++
			return
		}
		c.core.Receive(now, c.contact(i.peer), &i.message)
	case up:
		c.contacts[i.peer.ID()] = i.contact
		if c.linked != nil {
			c.linked.add(i.contact)
		}
	case down:
		c.gone(now, i.peer)
	case dialled:
		c.dialEnded(i)
	}
}

// unseen reports whether a message would have to be delivered.
func (c *Component) unseen(m *spread.Message) bool {
	return m.Op == opcode.BroadcastCode && !c.core.Knows(&m.ID)
}

// contact is what the core knows a peer by. What it needs for one who is in no table is the proven key.
func (c *Component) contact(p *engine.PeerClient) *skad.Contact {
	id := p.ID()
	if d := c.contacts[id]; d != nil {
		return d
	}
	var d *skad.Contact
	if rec, ok := p.Record(); ok {
		d = skad.NewContact(*rec, c.cfg.Scope)
	} else {
		d = &skad.Contact{ID: skad.IDOf(id)}
		d.Record.PublicKey = p.PublicKey()
	}
	if p.Connected() { // or its end was told before, and nobody would remove it
		c.contacts[id] = d
	}
	return d
}

// gone forgets a peer, unless it has come again meanwhile.
func (c *Component) gone(now time.Duration, p *engine.PeerClient) {
	id := p.ID()
	if _, again := c.net.ConnMgr().Peer(id); again {
		return
	}
	d := c.contacts[id]
	delete(c.contacts, id)
	delete(c.scores, id)
	if c.linked != nil {
		c.linked.remove(skad.IDOf(id))
	}
	if d == nil {
		d = &skad.Contact{ID: skad.IDOf(id)}
	}
	c.core.Disconnected(now, d)
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
func (c *Component) carry(a *spread.Action) {
	switch a.Kind {
	case spread.ActionSend:
		c.send(a.To, &a.Message)
	case spread.ActionDeliver:
		c.deliver(a.To, &a.Message)
	case spread.ActionBlame:
		c.blame(a.To, a.Reason)
	}
}

// blame passes on that a contact broke a rule, and ends its connection when its score is full.
func (c *Component) blame(who *skad.Contact, why spread.Reason) {
	if c.cfg.Blame != nil {
		c.cfg.Blame(who, why)
	}
	id := who.ID.Identity()
	p, ok := c.net.ConnMgr().Peer(id)
	if !ok {
		return
	}
	c.scores[id] += why.Weight()
	if c.scores[id] >= blameLimit {
		p.Disconnect(engine.CodeProtocol, "broadcast: "+why.String())
	}
}
