package overlay

import (
	"context"
	"fmt"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
)

// A recordAsk is a caller who waits for a record. Owned by the home loop.
type recordAsk struct {
	then func(*identity.Record, error)
	left bool // its caller has: it must not be kept
}

// Record returns the record of a node as the node itself gives it now: its addresses, its flags. It finds the node by a
// lookup and asks it. If the node says nothing until ctx ends, what others know of it is returned beside ErrUnreachable.
// Changes of the own record (engine.Network.Advertise) are pushed to the neighbours without asking. Not on a loop.
func (c *Component) Record(ctx context.Context, id identity.ID) (*identity.Record, error) {
	if n := c.started.Load(); n == nil {
		return nil, engine.ErrNotStarted
	} else if n.OnLoop() {
		return nil, engine.ErrOnLoop
	}
	type outcome struct {
		rec *identity.Record
		err error
	}
	found, done := make(chan *skad.Contact, 1), make(chan outcome, 1)
	key := skad.IDOf(id)
	a := &recordAsk{then: func(rec *identity.Record, err error) { done <- outcome{rec, err} }}
	err := c.cfg.Discovery.Lookup(key, skad.LookupOptions{StopAtKey: true}, func(r *skad.Result, err error) {
		switch {
		case err != nil:
			a.then(nil, err)
		case r.Found == nil:
			a.then(nil, fmt.Errorf("%w: nobody knows %v", ErrUnreachable, id))
		default:
			found <- r.Found
			c.askRecord(key, r.Found, a)
		}
	})
	if err != nil {
		return nil, err
	}
	select {
	case o := <-done:
		return o.rec, o.err
	case <-c.closed:
		return nil, engine.ErrClosed
	case <-ctx.Done():
		c.loop.Post(func() { c.forgetAsk(key, a) })
		err := fmt.Errorf("%w: %w", ErrUnreachable, context.Cause(ctx))
		select {
		case d := <-found:
			return &d.Record, err
		default:
			return nil, err
		}
	}
}

// askRecord asks the node that a lookup has found.
func (c *Component) askRecord(key skad.ID, to *skad.Contact, a *recordAsk) {
	err := c.cfg.Discovery.Do(func(now time.Duration, core *skad.Core) {
		if a.left {
			return
		}
		if err := core.AskRecord(now, to); err != nil {
			a.then(nil, err)
			return
		}
		c.asks[key] = append(c.asks[key], a)
	})
	if err != nil {
		a.then(nil, err)
	}
}

// recordTold answers those who wait for the record of a node.
func (c *Component) recordTold(d *skad.Contact) {
	list := c.asks[d.ID]
	delete(c.asks, d.ID)
	for _, a := range list {
		a.then(&d.Record, nil)
	}
}

// forgetAsk is for a caller who has waited long enough, whether the node has been asked yet or not.
func (c *Component) forgetAsk(key skad.ID, a *recordAsk) {
	a.left = true
	for i, have := range c.asks[key] {
		if have == a {
			c.asks[key] = append(c.asks[key][:i:i], c.asks[key][i+1:]...)
		}
	}
	if len(c.asks[key]) == 0 {
		delete(c.asks, key)
	}
}
