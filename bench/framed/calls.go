package framed

import (
	"errors"
	"sync"
)

// ErrClosed is what waiting calls return when their connection ends without a better reason.
var ErrClosed = errors.New("framed: connection closed")

// Calls are the requests under way on one connection. Slots are used again, so that a request allocates nothing. The zero
// value is ready. Any goroutine.
type Calls struct {
	mu   sync.Mutex
	open []*Call
	free []*Call
	err  error // set once: the connection has ended
}

// A Call is one slot. While a request is under way it belongs to whoever answers; otherwise to its caller.
type Call struct {
	ID uint32 // what the answer has to carry: position in open, plus one, as 0 is a one-way message

	waiting bool
	into    []byte
	err     error
	done    chan struct{}
}

// Begin takes a slot for a request whose answer is to go to into.
func (c *Calls) Begin(into []byte) (*Call, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return nil, c.err
	}
	var slot *Call
	if n := len(c.free); n > 0 {
		slot, c.free = c.free[n-1], c.free[:n-1]
	} else {
		slot = &Call{ID: uint32(len(c.open) + 1), done: make(chan struct{}, 1)}
		c.open = append(c.open, slot)
	}
	slot.into, slot.waiting = into[:0], true
	return slot, nil
}

// Wait returns the answer when there is one, and gives the slot back.
func (c *Calls) Wait(slot *Call) ([]byte, error) {
	<-slot.done
	into, err := slot.into, slot.err
	c.mu.Lock()
	slot.into = nil
	c.free = append(c.free, slot)
	c.mu.Unlock()
	return into, err
}

// Answer hands a copy of payload to whoever waits for id. It reports false if nobody does.
func (c *Calls) Answer(id uint32, payload []byte) bool {
	c.mu.Lock()
	if id == 0 || int(id) > len(c.open) || !c.open[id-1].waiting {
		c.mu.Unlock()
		return false
	}
	slot := c.open[id-1]
	slot.waiting = false
	c.mu.Unlock()
	slot.into = append(slot.into, payload...)
	slot.done <- struct{}{}
	return true
}

// Fail ends all requests under way, and those to come, with err.
func (c *Calls) Fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	for _, slot := range c.open {
		if slot.waiting {
			slot.waiting, slot.err = false, err
			slot.done <- struct{}{}
		}
	}
}
