package engine

import (
	"errors"
	"sync"

	"github.com/carrier-p2p/carrier/handshake/identity"
)

// One connection per pair of nodes, by proven identity.
//
// A connection opens when its responder says so (see open.go), so each connection is decided in one place. Both ends may
// dial at the same moment, and then each is responder of one of the two. They must not both say yes, nor both no:
//
//   - The initiator claims the pair before it sends its last handshake message. With an open connection or another claim
//     it gives up instead: that connection has carried nothing.
//   - A responder with a claim of its own on the pair keeps the connection dialled by the smaller ID. The other end has
//     the same two and decides the same.
//   - A responder with an open connection to the same process refuses (Duplicate), and looks whether the open one still
//     lives: if the other end has given it up and the news is still on the way, its next try succeeds.
//   - If the peer has restarted (another instance number), the open connection is dead whatever it looks like: the new
//     one replaces it.
//   - A direct connection of the same process takes over from a relayed one: see handover.go.
//
// A peer that is being taken leave of still has its place: PeerConnect of the next connection comes after PeerDisconnect
// of the last. The next one waits; who waits is under mu, too.
type pairs struct {
	net *Network

	mu      sync.Mutex
	claims  map[identity.ID]*PeerClient // our dials that await the responder's word
	leaving map[identity.ID]*PeerClient // PeerDisconnect is being called
	waiting map[identity.ID]*PeerClient // for that to end
}

// errWait: an older connection of the pair is being taken leave of. The peer is called again: readmit.
var errWait = errors.New("engine: waiting for the pair's older connection to go")

func (s *pairs) init(n *Network) {
	s.net = n
	s.claims = map[identity.ID]*PeerClient{}
	s.leaving = map[identity.ID]*PeerClient{}
	s.waiting = map[identity.ID]*PeerClient{}
}

// claim is the initiator's step, before its last handshake message.
func (s *pairs) claim(p *PeerClient) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if open, ok := s.net.connMgr.Peer(p.id); ok && open.instance == p.instance && !better(p, open) {
		return ErrDuplicate
	}
	if s.claims[p.id] != nil || s.waiting[p.id] != nil {
		return ErrDuplicate
	}
	s.claims[p.id] = p
	return nil
}

// confirm is the initiator's step when the responder has said yes.
func (s *pairs) confirm(p *PeerClient) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.claims[p.id] != p {
		return ErrDuplicate
	}
	delete(s.claims, p.id)
	return s.enrolLocked(p)
}

// admit is the responder's step when the initiator is proven.
func (s *pairs) admit(p *PeerClient) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if open, ok := s.net.connMgr.Peer(p.id); ok && open.instance == p.instance && !better(p, open) {
		open.loop.post(open.probe)
		return ErrDuplicate
	}
	if ours := s.claims[p.id]; ours != nil {
		if s.net.id.Less(p.id) {
			return ErrDuplicate
		}
		delete(s.claims, p.id)
		ours.loop.post(func() { ours.end(&Fault{Ours, Close, CodeDuplicate, ErrDuplicate}) })
	}
	return s.enrolLocked(p)
}

// enrol is the step of a peer that has waited.
func (s *pairs) enrol(p *PeerClient) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.enrolLocked(p)
}

func (s *pairs) enrolLocked(p *PeerClient) error {
	if !s.net.running() { // farewell has been said to everybody, or is about to be
		return ErrClosed
	}
	if open, ok := s.net.connMgr.Peer(p.id); ok {
		if open.instance == p.instance {
			if !better(p, open) {
				return ErrDuplicate
			}
			open.loop.post(func() { open.handOver(p) })
			return s.waitLocked(p)
		}
		open.loop.post(func() { open.leave(&CloseError{Code: CodeReplaced, Text: "the peer has restarted"}) })
		return s.waitLocked(p)
	}
	if s.leaving[p.id] != nil {
		return s.waitLocked(p)
	}
	evict, err := s.net.connMgr.Admit(p)
	if err != nil {
		return err
	}
	if evict != nil && p.Spare() { // a ConnMgr that does not know the difference
		return &LimitError{"peers", s.net.cfg.Peers.All}
	}
	if evict != nil {
		evict.loop.post(func() { evict.leave(&CloseError{Code: CodeEvicted, Text: "made room for another peer"}) })
	}
	s.net.connMgr.Add(p)
	return nil
}

// waitLocked lets p wait. One waits; whoever came before gives way, since its other end has tried again.
func (s *pairs) waitLocked(p *PeerClient) error {
	if before := s.waiting[p.id]; before != nil && before != p {
		before.loop.post(func() { before.end(&Fault{Ours, Close, CodeDuplicate, ErrDuplicate}) })
	}
	s.waiting[p.id] = p
	return errWait
}

// awaits reports whether p waits for an older connection to go.
func (s *pairs) awaits(p *PeerClient) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting[p.id] == p
}

// successor is a better connection of p's pair that this node has dialled and that awaits the responder's word, or nil.
func (s *pairs) successor(p *PeerClient) *PeerClient {
	s.mu.Lock()
	defer s.mu.Unlock()
	if to := s.claims[p.id]; to != nil && to.instance == p.instance && better(to, p) {
		return to
	}
	return nil
}

// takeOut makes p nobody's peer; until left it keeps its place.
func (s *pairs) takeOut(p *PeerClient) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.net.connMgr.Remove(p)
	s.leaving[p.id] = p
}

// left lets the next one in.
func (s *pairs) left(p *PeerClient) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.leaving, p.id)
	if next := s.waiting[p.id]; next != nil {
		delete(s.waiting, p.id)
		next.loop.post(next.readmit)
	}
}

// forget drops the claims of a connection that ends before it was open.
func (s *pairs) forget(p *PeerClient) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.claims[p.id] == p {
		delete(s.claims, p.id)
	}
	if s.waiting[p.id] == p {
		delete(s.waiting, p.id)
	}
}
