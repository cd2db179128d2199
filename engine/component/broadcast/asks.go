package broadcast

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/skad/spread"
)

// An ask is an own broadcast that waits for its turn.
type ask struct {
	payload []byte
	then    func(spread.MessageID, error) // called once, on the home loop or by Cleanup
	patient bool                          // waits for its rate
	left    bool                          // under the lock of asks: nobody waits for it any more
}

// asks are own broadcasts in their order. Any goroutine.
type asks struct {
	mu     sync.Mutex
	queue  []*ask
	closed error
}

// Broadcast sends payload, which is copied, to every node of the network that can be reached, and returns when it is on
// its way; nobody tells whether it arrives. It waits while the node speaks faster than others pass on for it, until ctx
// ends. Any goroutine, but not on a loop: engine.ErrOnLoop.
func (c *Component) Broadcast(ctx context.Context, payload []byte) (spread.MessageID, error) {
	if n := c.started.Load(); n == nil {
		return spread.MessageID{}, engine.ErrNotStarted
	} else if n.OnLoop() {
		return spread.MessageID{}, engine.ErrOnLoop
	}
	if ctx.Err() != nil {
		return spread.MessageID{}, context.Cause(ctx)
	}
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		return spread.MessageID{}, context.Cause(ctx)
	}
	type outcome struct {
		id  spread.MessageID
		err error
	}
	result := make(chan outcome, 1)
	a := &ask{payload: append([]byte(nil), payload...), patient: true}
	a.then = func(id spread.MessageID, err error) { result <- outcome{id, err} }
	c.submit(a)
	select {
	case r := <-result:
		return r.id, r.err
	case <-ctx.Done():
		if c.asks.withdraw(a) {
			<-c.slots
			return spread.MessageID{}, context.Cause(ctx)
		}
		r := <-result // the home loop has it at this moment
		if r.err == errLeft {
			r.err = context.Cause(ctx)
		}
		return r.id, r.err
	}
}

// errLeft answers an ask that nobody waits for.
var errLeft = errors.New("broadcast: withdrawn")

// BroadcastAsync is Broadcast with a callback, called exactly once, on the home loop; nil is allowed. It never waits and
// may be called on a loop. Where Broadcast waits for its rate the callback gets ErrRate. If it fails itself, with ErrBusy
// or engine.ErrNotStarted, then is not called.
func (c *Component) BroadcastAsync(payload []byte, then func(spread.MessageID, error)) error {
	if c.started.Load() == nil {
		return engine.ErrNotStarted
	}
	select {
	case c.slots <- struct{}{}:
	default:
		return ErrBusy
	}
	if then == nil {
		then = func(spread.MessageID, error) {}
	}
	c.submit(&ask{payload: append([]byte(nil), payload...), then: then})
	return nil
}

// submit queues an ask whose slot is taken.
func (c *Component) submit(a *ask) {
	if err := c.asks.add(a); err != nil {
		<-c.slots
		a.then(spread.MessageID{}, err)
		return
	}
	c.task.Wake()
}

// answer ends an ask.
func (c *Component) answer(a *ask, id spread.MessageID, err error) {
	<-c.slots
	a.then(id, err)
}

func (s *asks) add(a *ask) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed == nil {
		s.queue = append(s.queue, a)
	}
	return s.closed
}

// take removes the oldest, nil if there is none.
func (s *asks) take() *ask {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return nil
	}
	a := s.queue[0]
	s.queue = s.queue[1:]
	return a
}

// giveBack puts an ask in front again; an error says why not.
func (s *asks) giveBack(a *ask) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.left {
		return errLeft
	}
	if s.closed == nil {
		s.queue = slices.Insert(s.queue, 0, a)
	}
	return s.closed
}

// withdraw removes an ask and reports whether it was there. If not, the home loop has it and will answer it.
func (s *asks) withdraw(a *ask) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a.left = true
	i := slices.Index(s.queue, a)
	if i >= 0 {
		s.queue = slices.Delete(s.queue, i, i+1)
	}
	return i >= 0
}

// close refuses what comes, and returns all that wait.
func (s *asks) close(err error) []*ask {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := s.queue
	s.queue, s.closed = nil, err
	return queue
}

// end fails all own broadcasts that wait and all that come.
func (c *Component) end(err error) {
	c.inbox.close()
	for _, a := range c.asks.close(err) {
		c.answer(a, spread.MessageID{}, err)
	}
}
