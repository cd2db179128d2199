package ack

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// SendAck sends a registered message to a peer and waits until the peer has taken it: nil. The peer need not be connected at
// the moment. It waits for room if too much waits already. When ctx ends the message is withdrawn, which does not call it
// back: any error but ErrFull leaves open whether it has been taken. Not on a loop: engine.ErrOnLoop.
func (c *Component) SendAck(ctx context.Context, to identity.ID, msg any) error {
	op, payload, err := c.encode(msg)
	if err != nil {
		return err
	}
	return c.sendAndWait(ctx, to, op, payload)
}

// SendAckRaw is SendAck for a payload that is bytes already; they are copied.
func (c *Component) SendAckRaw(ctx context.Context, to identity.ID, op opcode.Opcode, payload []byte) error {
	return c.sendAndWait(ctx, to, op, append([]byte(nil), payload...))
}

// SendAckAsync is SendAck with a callback, called exactly once with the outcome: on the loop of the connection, or the home
// loop, or by Cleanup; nil is allowed. It never waits and may be called on a loop: ErrFull if too much waits already. If it
// fails itself, then is not called.
func (c *Component) SendAckAsync(to identity.ID, msg any, then func(error)) error {
	op, payload, err := c.encode(msg)
	if err != nil {
		return err
	}
	_, _, err = c.post(to, op, payload, then)
	return err
}

// SendAckRawAsync is SendAckAsync for a payload that is bytes already; they are copied.
func (c *Component) SendAckRawAsync(to identity.ID, op opcode.Opcode, payload []byte, then func(error)) error {
	_, _, err := c.post(to, op, append([]byte(nil), payload...), then)
	return err
}

// encode writes a registered message into memory of its own.
func (c *Component) encode(msg any) (opcode.Opcode, []byte, error) {
	n, err := c.network()
	if err != nil {
		return 0, nil, err
	}
	e, ok := n.Registry().ByType(msg)
	if !ok {
		return 0, nil, fmt.Errorf("%w: %T", engine.ErrNotRegistered, msg)
	}
	payload, err := e.Append(nil, msg)
	if errors.Is(err, opcode.ErrTooLarge) {
		err = fmt.Errorf("%w: %w", engine.ErrMessageTooLarge, err)
	}
	return e.Code, payload, err
}

// network returns the Network, once there is one.
func (c *Component) network() (*engine.Network, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.started:
		return nil, engine.ErrNotStarted
	case c.stopped:
		return nil, ErrStopped
	}
	return c.net, nil
}

func (c *Component) sendAndWait(ctx context.Context, to identity.ID, op opcode.Opcode, payload []byte) error {
	n, err := c.network()
	if err != nil {
		return err
	}
	if n.OnLoop() {
		return engine.ErrOnLoop
	}
	result := make(chan error, 1)
	o, id, err := c.postWhenRoom(ctx, to, op, payload, func(err error) { result <- err })
	if err != nil {
		return err
	}
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		if !o.withdraw(id) {
			return <-result
		}
		return fmt.Errorf("ack: %w", context.Cause(ctx))
	}
}

// postWhenRoom is post that waits for room.
func (c *Component) postWhenRoom(ctx context.Context, to identity.ID, op opcode.Opcode, payload []byte, then func(error)) (*outbox, uint32, error) {
	for {
		room := c.listen(to) // before the try: what becomes free after it is heard
		o, id, err := c.post(to, op, payload, then)
		if !errors.Is(err, ErrFull) {
			return o, id, err
		}
		select {
		case <-room.outbox:
		case <-room.memory:
		case <-ctx.Done():
			return nil, 0, fmt.Errorf("%w: %w", ErrFull, context.Cause(ctx))
		}
	}
}

// listen returns what is closed when there is room again.
func (c *Component) listen(to identity.ID) (room struct{ outbox, memory <-chan struct{} }) {
	c.mu.Lock()
	defer c.mu.Unlock()
	room.memory = c.room.wait()
	if o := c.outboxes[to]; o != nil {
		room.outbox = o.room.wait()
	}
	return room
}

// post accepts a message for sending, or says why not. then may be nil.
func (c *Component) post(to identity.ID, op opcode.Opcode, payload []byte, then func(error)) (*outbox, uint32, error) {
	for {
		o, err := c.outboxOf(to)
		if err != nil {
			return nil, 0, err
		}
		id, done, err := o.add(c.net.Now(), op, payload, then)
		if errors.Is(err, errRetired) {
			continue // it has ended between the two lines above
		}
		c.watch(o) // if it did not take the message and is not needed, the clock ends it
		c.finishLater(done)
		return o, id, err
	}
}

// outboxOf finds or makes the outbox of a peer.
func (c *Component) outboxOf(to identity.ID) (*outbox, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.started:
		return nil, engine.ErrNotStarted
	case c.stopped:
		return nil, ErrStopped
	case to == c.net.ID():
		return nil, engine.ErrSelfDial
	}
	if o := c.outboxes[to]; o != nil {
		return o, nil
	}
	c.epoch++
	o := &outbox{owner: c, to: to, epoch: c.epoch, dice: c.dice + uint64(c.epoch)}
	// A peer is in the ConnMgr before PeerConnect and until PeerDisconnect are called: so either it is found here, or one of
	// them will find the outbox.
	if p, ok := c.net.ConnMgr().Peer(to); ok {
		o.attachLocked(p)
	}
	c.outboxes[to] = o
	return o, nil
}

// watch has the clock look at an outbox in which something waits.
func (c *Component) watch(o *outbox) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !o.listed && !c.stopped {
		o.listed = true
		c.active = append(c.active, o)
		c.clock.Wake()
	}
}

// release gives memory back.
func (c *Component) release(bytes int) {
	c.memory.Add(int64(-bytes))
	c.room.ring()
}

// finish tells the senders what has become of their messages. No lock is held. A callback that panics is the engine's to
// report; those after it are called all the same.
func (c *Component) finish(done []outcome) {
	for i, d := range done {
		if d.then == nil {
			continue
		}
		called := false
		func() {
			defer func() {
				if !called {
					c.finishLater(done[i+1:])
				}
			}()
			d.then(d.err)
			called = true
		}()
	}
}

// finishLater is finish on the home loop, for callers that must not be called back before they return.
func (c *Component) finishLater(done []outcome) {
	if len(done) > 0 && !c.net.HomeLoop().Post(func() { c.finish(done) }) {
		go c.finish(done) // the network has stopped meanwhile; somebody may wait for it without an end
	}
}

// tick is the clock: it looks at the outboxes in which something waits, and for senders to forget. On the home loop.
func (c *Component) tick() {
	now := c.net.Now()
	c.mu.Lock()
	c.scratch = append(c.scratch[:0], c.active...)
	wakeAt, wake := c.forgetOldLocked(now)
	c.mu.Unlock()
	defer c.windUp(now, wakeAt, wake) // also when a callback panics
	first, budget := c.scanned, resendsPerTick
	for i := range c.scratch {
		if budget > 0 {
			c.scanned = first + i + 1 // the next look begins behind the last one that could send again
		}
		var done []outcome
		done, budget = c.scratch[(first+i)%len(c.scratch)].look(now, budget)
		c.finish(done)
	}
}

// windUp sets the clock for the next look, if there is anything to look at.
func (c *Component) windUp(now, wakeAt time.Duration, wake bool) {
	clear(c.scratch)
	if c.unlistIdle() > 0 {
		wakeAt, wake = now+tickEvery, true
	}
	if wake {
		c.clock.WakeAt(wakeAt)
	}
}

// unlistIdle takes outboxes out in which nothing waits, and ends those whose peer is gone. It returns how many are left.
func (c *Component) unlistIdle() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	left := c.active[:0]
	for _, o := range c.active {
		o.mu.Lock()
		waits, retired := o.waits > 0, o.retiredLocked()
		o.mu.Unlock()
		if waits {
			left = append(left, o)
			continue
		}
		o.listed = false
		if retired && c.outboxes[o.to] == o {
			delete(c.outboxes, o.to)
		}
	}
	clear(c.active[len(left):])
	c.active = left
	return len(left)
}

// A bell tells those who wait that something has changed. Any goroutine.
type bell struct {
	mu sync.Mutex
	ch chan struct{}
}

// wait returns a channel that is closed when the bell rings next.
func (b *bell) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}
