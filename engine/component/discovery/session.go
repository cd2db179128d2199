package discovery

import (
	"sync/atomic"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/skad"
)

// A session is an open connection as the overlay sees it.
type session struct {
	peer *engine.PeerClient // fixed by PeerConnect

	// Made by PeerConnect, then owned by the home loop: the peer may show a newer record. Its ID stays.
	contact *skad.Contact
	reached bool // skad.Peer.Reached

	// answers is how many questions of ours the peer has not answered: what it sends beyond that nobody has asked for.
	answers atomic.Int32

	// Owned by the peer's loop: the bucket of what it may ask.
	tokens   float64
	filledAt time.Duration

	// Under inbox.mu.
	batch  uint64 // the last one that the peer has a message in
	queued int    // how many

	// Owned by the home loop.
	index    int           // in Component.all
	place    int           // 1 + the index in Component.ours; 0: not dialled for the overlay
	usedAt   time.Duration // when the core last said something to the peer, or heard something
	openedAt time.Duration // of those in ours
	guarded  bool          // likewise: of a member of the table, at the last sweep
}

// A local is what belongs to one loop of the network.
type local struct {
	sessions map[*engine.PeerClient]*session
}

// PeerConnect is called on the peer's loop.
func (c *Component) PeerConnect(p *engine.PeerClient) {
	rec, ok := p.Record()
	if !ok || c.task == nil {
		return // a component that was added late: the record is too old to be remembered
	}
	contact := skad.NewContact(*rec, c.cfg.Overlay.Scope)
	s := &session{peer: p, tokens: requestsBurst, filledAt: p.Loop().Now()}
	s.shows(contact)
	c.local[p.Loop().Index()].sessions[p] = s
	c.tell(item{kind: up, session: s})
}

// shows takes a record of the peer.
func (s *session) shows(d *skad.Contact) {
	s.contact = d
	s.reached = s.peer.Dialled() || d.Lists(s.peer.RemoteAddr().Addr())
}

// PeerDisconnect is called on the peer's loop.
func (c *Component) PeerDisconnect(p *engine.PeerClient) {
	sessions := c.local[p.Loop().Index()].sessions
	if s := sessions[p]; s != nil {
		delete(sessions, p)
		c.tell(item{kind: down, session: s})
	}
}

// tell hands an item to the home loop.
func (c *Component) tell(i item) {
	c.inbox.put(i)
	c.task.Wake()
}

// mayAsk takes a token for a question of the peer. On the peer's loop.
func (s *session) mayAsk(now time.Duration) bool {
	s.tokens = min(requestsBurst, s.tokens+requestsPerSecond*(now-s.filledAt).Seconds())
	s.filledAt = now
	if s.tokens < 1 {
		return false
	}
	s.tokens--
	return true
}

// mayAnswer takes note of an answer, and reports whether one is due. On the peer's loop.
func (s *session) mayAnswer() bool {
	for {
		n := s.answers.Load()
		if n <= 0 {
			return false
		}
		if s.answers.CompareAndSwap(n, n-1) {
			return true
		}
	}
}

// mustAnswer notes that the peer has been asked. On the home loop.
func (s *session) mustAnswer() {
	if s.answers.Load() < answersLimit {
		s.answers.Add(1)
	}
}
