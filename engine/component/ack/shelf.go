package ack

import (
	"errors"
	"slices"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/opcode"
)

// Path: message with wants-ack -> Arrived -> its component's Receive -> Taken -> [tell], once for all of a
// turn; or at once Refused.

// A shelf is what one loop keeps: the inboxes of its connections. It belongs to the loop.
type shelf struct {
	loop    engine.Loop
	task    *engine.Task // tell
	inboxes map[*engine.PeerClient]*inbox
	dirty   []*inbox

	// Of the last message: the next one is most often from the same peer.
	peer *engine.PeerClient
	last *inbox

	buf  []byte
	room [WindowLimit / 8]byte
}

func (s *shelf) init(c *Component, l engine.Loop) {
	s.loop, s.inboxes = l, map[*engine.PeerClient]*inbox{}
	s.task = l.NewTask("ack: tell", s.tell)
}

// of returns the inbox of a connection, nil if it has none.
func (s *shelf) of(p *engine.PeerClient) *inbox {
	if s.peer != p {
		s.peer, s.last = p, s.inboxes[p]
	}
	return s.last
}

// forget ends a connection's claim on its inbox, which is returned.
func (s *shelf) forget(p *engine.PeerClient) *inbox {
	in := s.inboxes[p]
	delete(s.inboxes, p)
	s.peer, s.last = nil, nil
	if in != nil && in.dirty { // the next connection may be another loop's
		in.dirty = false
		s.dirty = slices.DeleteFunc(s.dirty, func(have *inbox) bool { return have == in })
	}
	return in
}

// begin opens the window for a sender's numbers, or finds the one it had on its last connection.
func (c *Component) begin(p *engine.PeerClient, m message) {
	s := &c.loops[p.Loop().Index()]
	in := s.of(p)
	if in == nil {
		in = c.inboxOf(p)
		s.inboxes[p] = in
		s.peer, s.last = p, in
	}
	in.begin(m.epoch, m.base)
	s.toTell(in)
}

// inboxOf returns what is remembered of a sender; of one that has restarted, nothing.
func (c *Component) inboxOf(p *engine.PeerClient) *inbox {
	c.mu.Lock()
	defer c.mu.Unlock()
	in := c.inboxes[p.ID()]
	if in != nil {
		c.returnedLocked(in)
	}
	if in == nil || in.instance != p.Instance() {
		in = &inbox{from: p.ID(), instance: p.Instance()}
		c.inboxes[p.ID()] = in
	}
	in.peer = p
	return in
}

// Arrived is called by the engine with each message that wants to be acknowledged.
func (c *Component) Arrived(p *engine.PeerClient, id uint32) (fresh bool, err error) {
	s := &c.loops[p.Loop().Index()]
	in := s.of(p)
	if in == nil {
		c.counts.unbegun.Add(1)
		return false, nil
	}
	if in.fresh(id) {
		return true, nil
	}
	c.counts.duplicates.Add(1)
	s.toTell(in) // the sender has not heard of it
	return false, nil
}

// Taken is called by the engine when the message has been handed over.
func (c *Component) Taken(p *engine.PeerClient, id uint32, refused error) {
	s := &c.loops[p.Loop().Index()]
	in := s.of(p)
	switch {
	case in == nil: // it has gone while its message was handled
	case refused != nil:
		c.counts.refused.Add(1)
		s.buf = message{kind: kindRefused, epoch: in.epoch, base: id}.append(s.buf[:0])
		_ = p.TrySendRaw(opcode.AckResponseCode, s.buf) // if there is no room the sender finds out, later
	default:
		c.counts.delivered.Add(1)
		in.take(id)
		s.toTell(in)
	}
}

// toTell has the sender told at the end of this turn.
func (s *shelf) toTell(in *inbox) {
	if !in.dirty {
		in.dirty = true
		s.dirty = append(s.dirty, in)
		s.task.Wake()
	}
}

// tell sends the acknowledgements of a turn. Who has no room for one gets it later: it then says the same and more.
func (s *shelf) tell() {
	again := s.dirty[:0]
	for _, in := range s.dirty {
		s.buf = in.state(&s.room).append(s.buf[:0])
		if err := in.peer.TrySendRaw(opcode.AckResponseCode, s.buf); errors.Is(err, engine.ErrSendBufferFull) {
			again = append(again, in)
			continue
		}
		in.dirty = false // told, or the connection has ended
	}
	clear(s.dirty[len(again):])
	s.dirty = again
	if len(again) > 0 {
		s.task.WakeAt(s.loop.Now() + acksAgain)
	}
}

// departLocked begins the time for which a sender is remembered that has gone. If there are too many, the oldest of the network
// makes room that has most. One of which nothing has been taken is forgotten at once: nothing of it can come again.
func (c *Component) departLocked(in *inbox, now time.Duration) {
	from := engine.Subnet(in.peer.Origin().Addr())
	in.peer = nil
	if c.inboxes[in.from] != in { // Cleanup was faster
		return
	}
	if !in.some {
		delete(c.inboxes, in.from)
		return
	}
	in.forgetAt = now + c.cfg.Remember
	in.place, in.share = c.departed.PushBack(in), c.shares.Add(from, in)
	for c.shares.Len() > c.cfg.Inboxes {
		c.forgetLocked(c.shares.Victim().Value)
	}
	c.clock.Wake()
}

// returnedLocked takes a sender out of those that have gone.
func (c *Component) returnedLocked(in *inbox) {
	if in.place != nil {
		c.departed.Remove(in.place)
		c.shares.Remove(in.share)
		in.place, in.share = nil, nil
	}
}

func (c *Component) forgetLocked(in *inbox) {
	c.returnedLocked(in)
	delete(c.inboxes, in.from)
}

// forgetOldLocked forgets the senders whose time has come, and returns when to look again.
func (c *Component) forgetOldLocked(now time.Duration) (next time.Duration, ok bool) {
	for e := c.departed.Front(); e != nil; e = c.departed.Front() {
		in := e.Value.(*inbox)
		if in.forgetAt > now {
			return in.forgetAt, true
		}
		c.forgetLocked(in)
	}
	return 0, false
}
