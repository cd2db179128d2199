package broadcast

import (
	"context"
	"sync"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/skad/spread"
)

// An ask is an own broadcast that waits for its turn.
type ask struct {
	payload []byte
	then    func(spread.MessageID, error) // called once, on the home loop or by Cleanup
	patient bool                          // waits for its rate
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
	if c.net.OnLoop() {
		return spread.MessageID{}, engine.ErrOnLoop
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
		r := <-result // it is being sent at this moment
		return r.id, r.err
	}
}

// BroadcastAsync is Broadcast with a callback, called exactly once, on the home loop; nil is allowed. It never waits and
// may be called on a loop. Where Broadcast waits for its rate the callback gets ErrRate. If it fails itself, with ErrBusy,
// then is not called.
func (c *Component) BroadcastAsync(payload []byte, then func(spread.MessageID, error)) error {
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

// giveBack puts an ask in front again; after close it gets the reason instead.
func (s *asks) giveBack(a *ask) {
	s.mu.Lock()
	closed := s.closed
	if closed == nil {
		s.queue = append([]*ask{a}, s.queue...)
	}
	s.mu.Unlock()
	if closed != nil {
		a.then(spread.MessageID{}, closed)
	}
}

// withdraw removes an ask, and reports whether it was still there.
func (s *asks) withdraw(a *ask) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, have := range s.queue {
		if have == a {
			s.queue = append(s.queue[:i:i], s.queue[i+1:]...)
			return true
		}
	}
	return false
}

// close ends all that wait and all that come.
func (s *asks) close(err error) {
	s.mu.Lock()
	queue := s.queue
	s.queue, s.closed = nil, err
	s.mu.Unlock()
	for _, a := range queue {
		a.then(spread.MessageID{}, err)
	}
}
