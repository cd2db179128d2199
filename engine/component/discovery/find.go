package discovery

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
)

// A query is a lookup of a caller.
type query struct {
	key   skad.ID
	opt   skad.LookupOptions
	then  func(*skad.Result, error)
	given atomic.Bool // up by its caller
}

// end tells the caller, on the home loop.
func (q *query) end(r *skad.Result, err error) {
	if !q.given.Load() {
		q.then(r, err)
	}
}

// Lookup looks up the contacts closest to key and calls then, once, on the home loop, where it must not block. It never
// waits itself, and may be called on a loop. Errors that it returns are ErrBusy and ErrClosed; then gets those, and what
// wraps skad.ErrOptions. The node itself is never among the contacts.
func (c *Component) Lookup(key skad.ID, opt skad.LookupOptions, then func(*skad.Result, error)) error {
	return c.lookup(&query{key: key, opt: opt, then: then})
}

func (c *Component) lookup(q *query) error {
	return c.Do(func(time.Duration, *skad.Core) {
		if len(c.queries) == lookupQueueLimit {
			q.end(nil, ErrBusy)
			return
		}
		c.queries = append(c.queries, q)
	})
}

// nextQuery begins the next lookup that waits, and reports whether there was one.
func (c *Component) nextQuery(now time.Duration) bool {
	if len(c.queries) == 0 || len(c.lookups) >= lookupsLimit {
		return false
	}
	q := c.queries[0]
	c.queries[0] = nil
	if c.queries = c.queries[1:]; len(c.queries) == 0 {
		c.queries = nil
	}
	if q.given.Load() {
		return true
	}
	id, err := c.core.Lookup(now, q.key, q.opt)
	if err != nil {
		q.end(nil, err)
		return true
	}
	c.lookups[id] = q
	return true
}

// lookupEnded hands a result to its caller.
func (c *Component) lookupEnded(r *skad.Result) {
	if q := c.lookups[r.Lookup]; q != nil {
		delete(c.lookups, r.Lookup)
		q.end(r, nil)
	}
}

// Closest looks up the contacts closest to key, over disjoint paths, and says how far to trust what it found: see
// skad.Result. It waits until ctx ends. Errors: ErrBusy, ErrClosed, engine.ErrOnLoop (use Lookup there), what wraps
// skad.ErrOptions, the context's.
func (c *Component) Closest(ctx context.Context, key skad.ID, opt skad.LookupOptions) (*skad.Result, error) {
	switch {
	case c.View() == nil:
		return nil, ErrClosed
	case c.net.OnLoop():
		return nil, engine.ErrOnLoop
	}
	type outcome struct {
		r   *skad.Result
		err error
	}
	done := make(chan outcome, 1)
	q := &query{key: key, opt: opt, then: func(r *skad.Result, err error) { done <- outcome{r, err} }}
	if err := c.lookup(q); err != nil {
		return nil, err
	}
	select {
	case o := <-done:
		return o.r, o.err
	case <-ctx.Done():
		q.given.Store(true)
		return nil, fmt.Errorf("discovery: lookup of %v: %w", key, context.Cause(ctx))
	}
}

// Find finds the node with that ID: its record, signed by itself, which may be out of date but not false. It waits until
// ctx ends; not on a loop. ErrNotFound if nobody knows the node; a client is known to nobody.
func (c *Component) Find(ctx context.Context, id identity.ID) (*skad.Contact, error) {
	key := skad.IDOf(id)
	if v := c.View(); v != nil {
		var room [1]*skad.Contact
		if near := v.Closest(key, 1, room[:0]); len(near) == 1 && near[0].ID == key {
			return near[0], nil
		}
	}
	r, err := c.Closest(ctx, key, skad.LookupOptions{StopAtKey: true})
	if err != nil {
		return nil, err
	}
	if r.Found == nil {
		return nil, fmt.Errorf("%w: %v", ErrNotFound, id)
	}
	return r.Found, nil
}

// FindPeer returns the connection to the node with that ID: the one that is open, or else it finds and dials the node. Where it
// is not found where it is said to be, it is looked for once more, by asking those nearest to it and itself. It waits until ctx
// ends; not on a loop. Protect the peer to keep the connection: see the package comment.
func (c *Component) FindPeer(ctx context.Context, id identity.ID) (*engine.PeerClient, error) {
	if c.View() == nil {
		return nil, ErrClosed
	}
	if p, ok := c.net.ConnMgr().Peer(id); ok {
		return p, nil
	}
	contact, err := c.Find(ctx, id)
	if err != nil {
		return nil, err
	}
	p, err := c.dialFound(ctx, contact)
	if err == nil || ctx.Err() != nil || noRoom(err) {
		return p, err
	}
	// The first record that turned up may say where the node was. Those nearest to it know better, and it is asked itself.
	r, failed := c.Closest(ctx, contact.ID, skad.LookupOptions{})
	if failed != nil || r.Found == nil {
		return nil, err
	}
	return c.dialFound(ctx, r.Found)
}

// dialFound returns the connection to a node, which is dialled if there is none.
func (c *Component) dialFound(ctx context.Context, to *skad.Contact) (*engine.PeerClient, error) {
	id := to.ID.Identity()
	if p, ok := c.net.ConnMgr().Peer(id); ok {
		return p, nil
	}
	addrs := c.worthATry(to.Addrs)
	if len(addrs) == 0 {
		return nil, errNoAddress
	}
	return c.net.DialNode(ctx, id, addrs)
}
