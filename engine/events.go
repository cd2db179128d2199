package engine

import (
	"context"
	"sync"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// An EventKind says what happened.
type EventKind uint8

const (
	PeerUp            EventKind = iota + 1 // a peer is open
	PeerDown                               // and no longer; Err is the *CloseError
	PeerRefused                            // a connection was turned away; Err is a *LimitError or why
	ComponentPanicked                      // Text names it
	LoopHeld                               // a loop was busy for Duration; Text names the last component
	TransportFailed                        // nothing is received any more; Err says why
	Reachability                           // how others can reach this node; Text says what is new
)

func (k EventKind) String() string {
	names := [...]string{"none", "peer up", "peer down", "peer refused", "component panicked", "loop held", "transport failed", "reachability"}
	if int(k) < len(names) {
		return names[k]
	}
	return "unknown"
}

// An Event is something an operator or an application may want to know. Fields that do not belong to the kind are zero.
type Event struct {
	Kind     EventKind
	Peer     *PeerClient
	ID       identity.ID
	Addr     transport.Addr
	Err      error
	Text     string
	Duration time.Duration
}

// events hands events to subscribers. Any goroutine.
type events struct {
	mu      sync.Mutex
	subs    map[chan Event]func()
	dropped int64
	stopped bool
}

// Events returns a channel of what happens from now on, until ctx ends or the network stops; then it is closed. A
// subscriber that falls EventsDefault events behind loses the oldest; Stats counts them.
func (n *Network) Events(ctx context.Context) <-chan Event {
	c := make(chan Event, EventsDefault)
	s := &n.events
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		close(c)
		return c
	}
	if s.subs == nil {
		s.subs = map[chan Event]func(){}
	}
	s.subs[c] = func() {}
	s.subs[c] = wrapStop(context.AfterFunc(ctx, func() { s.end(c) }))
	return c
}

// Publish tells the subscribers of Events what a component has to say. Any goroutine.
func (n *Network) Publish(e Event) { n.events.publish(e) }

func wrapStop(stop func() bool) func() { return func() { stop() } }

func (s *events) publish(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.subs {
		for {
			select {
			case c <- e:
			default:
				select {
				case <-c:
					s.dropped++
				default:
				}
				continue
			}
			break
		}
	}
}

func (s *events) end(c chan Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stop, ok := s.subs[c]; ok {
		stop()
		delete(s.subs, c)
		close(c)
	}
}

func (s *events) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	for c, stop := range s.subs {
		stop()
		close(c)
	}
	s.subs = nil
}

func (s *events) lost() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropped
}
