package overlay

import (
	"context"
	"fmt"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
)

// A send is an own message that waits for being taken over, or for its receipt. Owned by the home loop.
type send struct {
	kind     kind
	key      skad.ID
	number   uint64
	envelope []byte
	then     func(error) // called once
	route    uint64      // the core's number of the last time it was sent
	againAt  time.Duration
	pause    time.Duration
	until    time.Duration
	over     bool
}

// Route sends payload, which is copied, to the live node closest to key, and returns when the first hop has taken a copy
// over, or this node turns out to be the closest: then it is delivered here. Nobody tells whether it arrives. It waits
// until ctx ends, at most ten seconds. Not on a loop.
func (c *Component) Route(ctx context.Context, key skad.ID, payload []byte) error {
	return c.wait(ctx, toClosest, key, payload)
}

// SendTo sends payload, which is copied, to the node with that ID, and returns when the node says that it was delivered
// there. It is sent again until then: until ctx ends, or for thirty seconds if ctx has no end. A node that gets it twice
// delivers it once. After an error it may have been delivered nevertheless. Not on a loop.
func (c *Component) SendTo(ctx context.Context, id identity.ID, payload []byte) error {
	return c.wait(ctx, toNode, skad.IDOf(id), payload)
}

// RouteAsync is Route with a callback, called once, on the home loop, unless the network stops before. It never waits and
// may be called on a loop. If it fails itself then is not called.
func (c *Component) RouteAsync(key skad.ID, payload []byte, then func(error)) error {
	_, err := c.submit(toClosest, key, payload, takenTimeout, then)
	return err
}

// SendToAsync is SendTo with a callback, called once, on the home loop, after thirty seconds at the latest. It never waits
// and may be called on a loop. If it fails itself then is not called.
func (c *Component) SendToAsync(id identity.ID, payload []byte, then func(error)) error {
	_, err := c.submit(toNode, skad.IDOf(id), payload, sentFor, then)
	return err
}

func (c *Component) wait(ctx context.Context, k kind, key skad.ID, payload []byte) error {
	if n := c.started.Load(); n == nil {
		return engine.ErrNotStarted
	} else if n.OnLoop() {
		return engine.ErrOnLoop
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	patience := takenTimeout
	if k == toNode {
		patience = sentFor
		if end, ok := ctx.Deadline(); ok {
			patience = max(sentFor, time.Until(end)+time.Second) // ctx ends it
		}
	}
	done := make(chan error, 1)
	s, err := c.submit(k, key, payload, patience, func(err error) { done <- err })
	if err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-c.closed:
		return engine.ErrClosed
	case <-ctx.Done():
		c.loop.Post(func() { c.end(s, nil) })
		return fmt.Errorf("%w: %w", ErrUnreachable, context.Cause(ctx))
	}
}

// submit hands a message to the home loop.
func (c *Component) submit(k kind, key skad.ID, payload []byte, patience time.Duration, then func(error)) (*send, error) {
	if len(payload) > PayloadLimit {
		return nil, fmt.Errorf("%w: %d bytes, limit %d", ErrTooLarge, len(payload), PayloadLimit)
	}
	if c.started.Load() == nil {
		return nil, engine.ErrNotStarted
	}
	e := envelope{kind: k, payload: append([]byte(nil), payload...)}
	s := &send{kind: k, key: key, then: then, pause: sendAgain}
	err := c.cfg.Discovery.Do(func(now time.Duration, core *skad.Core) {
		switch {
		case c.over:
			then(engine.ErrClosed)
			return
		case len(c.sends) >= sendsLimit:
			then(ErrBusy)
			return
		}
		c.seal(&e, c.number, key)
		s.number, s.envelope, s.until = c.number, e.append(nil), now+patience
		c.number++
		c.sends[s.number] = s
		c.ledger.set(func(t *Stats) { t.Sent++ })
		c.launch(now, core, s)
		c.task.Wake()
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// seal signs an envelope.
func (c *Component) seal(e *envelope, number uint64, key skad.ID) {
	e.origin, e.solution, e.number = c.net.Record().PublicKey, c.solution, number
	c.room = e.appendSigned(c.room[:0], key)
	e.signature = c.net.Sign(c.domain, c.room)
}

// launch sends a message, for the first time or again.
func (c *Component) launch(now time.Duration, core *skad.Core, s *send) {
	if s.over {
		return
	}
	s.againAt = skad.Never
	if s.kind == toNode {
		s.againAt = now + s.pause
		s.pause = min(2*s.pause, sendMost)
		if d, ok := c.cfg.Discovery.Connected(s.key); ok {
			if core.Hand(now, &skad.Message{Key: s.key, Payload: s.envelope}, d) == nil {
				return
			}
		}
	}
	route, err := core.Route(now, s.key, s.envelope, c.cfg.Copies)
	switch {
	case err == nil:
		delete(c.routes, s.route)
		s.route = route
		c.routes[route] = s
	case s.kind == toClosest:
		s.againAt = now + s.pause // busy: once more in a moment
	}
}

// again sends a message once more.
func (c *Component) again(now time.Duration, s *send) {
	s.againAt = now + s.pause // also if there is no turn to be had
	if c.cfg.Discovery.Do(func(now time.Duration, core *skad.Core) { c.launch(now, core, s) }) == nil {
		c.ledger.set(func(t *Stats) { t.Resent++ })
	}
}

// end ends a message. Its caller is told err, once.
func (c *Component) end(s *send, err error) {
	if s.over {
		return
	}
	s.over = true
	delete(c.sends, s.number)
	delete(c.routes, s.route)
	s.then(err)
}
