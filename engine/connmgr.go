package engine

import (
	"iter"
	"math"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// A ConnMgr knows the open peers of a Network and decides how many there may be. NewConnMgr makes the one that is used
// unless Config names another. All methods may be called from any goroutine; the engine calls Admit, Add and Remove, for
// one peer never at the same time.
type ConnMgr interface {
	// Peer returns the open peer with this identity.
	Peer(id identity.ID) (*PeerClient, bool)

	// PeerAt returns the open peer that was dialled at this address.
	PeerAt(addr transport.Addr) (*PeerClient, bool)

	// Peers ranges over the open peers, in no order, as they were at some moment of the loop.
	Peers() iter.Seq[*PeerClient]

	// Count is how many peers are open, and how many of them came in.
	Count() (all, inbound int)

	// Admit decides whether p, proven and not open yet, may become a peer. A *LimitError says why not. evict, if not
	// nil, is a peer that is closed to make room; for a p that is Spare none may be.
	Admit(p *PeerClient) (evict *PeerClient, err error)

	// Add makes p a peer, Remove ends that.
	Add(p *PeerClient)
	Remove(p *PeerClient)

	// Protect keeps a peer, connected now or later, from being evicted, until Unprotect has been called for every tag.
	Protect(id identity.ID, tag string)
	Unprotect(id identity.ID, tag string)

	// Protected reports whether somebody protects the peer.
	Protected(id identity.ID) bool
}

// NewConnMgr returns a ConnMgr that keeps these limits; zero fields mean the defaults.
func NewConnMgr(limits PeerLimits) ConnMgr {
	return &connMgr{
		limits: limits.withDefaults(), byID: map[identity.ID]*PeerClient{}, dialled: map[transport.Addr]*PeerClient{},
		byIP: map[netip.Addr]int{}, bySubnet: map[netip.Prefix]int{}, tags: map[identity.ID]map[string]struct{}{},
	}
}

type connMgr struct {
	limits PeerLimits

	mu       sync.RWMutex
	byID     map[identity.ID]*PeerClient
	dialled  map[transport.Addr]*PeerClient
	byIP     map[netip.Addr]int   // inbound
	bySubnet map[netip.Prefix]int // inbound
	inbound  int
	leaving  int           // evicted and not removed yet
	list     []*PeerClient // all, in no order; peer.place is the index
	next     int           // where the next sample begins
	tags     map[identity.ID]map[string]struct{}
}

func (m *connMgr) Peer(id identity.ID) (*PeerClient, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	p, ok := m.byID[id]
	return p, ok
}

func (m *connMgr) PeerAt(addr transport.Addr) (*PeerClient, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	p, ok := m.dialled[addr]
	return p, ok
}

func (m *connMgr) Peers() iter.Seq[*PeerClient] {
	return func(yield func(*PeerClient) bool) {
		m.mu.RLock()
		peers := slices.Clone(m.list)
		m.mu.RUnlock()
		for _, p := range peers {
			if !yield(p) {
				return
			}
		}
	}
}

func (m *connMgr) Count() (all, inbound int) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.byID), m.inbound
}

// full reports whether there is no place for a peer that nobody makes room for.
func (m *connMgr) full() bool {
	all, _ := m.Count()
	return all >= m.limits.All
}

func (m *connMgr) Admit(p *PeerClient) (*PeerClient, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !p.dialled {
		if err := m.crowdedLocked(p.link.Remote().Addr()); err != nil { // first: nobody makes room for the next one of a crowd
			return nil, err
		}
		if m.inbound-m.leaving >= m.limits.Inbound {
			return m.makeRoomLocked("inbound", m.limits.Inbound)
		}
	}
	if len(m.byID)-m.leaving >= m.limits.All {
		if p.Spare() {
			return nil, &LimitError{"peers", m.limits.All}
		}
		return m.makeRoomLocked("peers", m.limits.All)
	}
	return nil, nil
}

// crowdedLocked applies the limits per address and subnet.
func (m *connMgr) crowdedLocked(ip netip.Addr) error {
	if ip.IsLoopback() && !m.limits.LoopbackToo {
		return nil
	}
	if m.byIP[network64(ip)] >= m.limits.PerIP {
		return &LimitError{"ip", m.limits.PerIP}
	}
	if m.bySubnet[Subnet(ip)] >= m.limits.PerSubnet {
		return &LimitError{"subnet", m.limits.PerSubnet}
	}
	return nil
}

// makeRoomLocked finds the least valuable of a sample of peers that may go. Samples go round the list: every peer is in one
// sooner or later, and no stranger decides when.
func (m *connMgr) makeRoomLocked(scope string, limit int) (*PeerClient, error) {
	full := &LimitError{scope, limit}
	if m.limits.NoEviction || m.leaving > 0 {
		return nil, full
	}
	score := m.limits.Score
	if score == nil {
		score = lastHeard
	}
	var worst *PeerClient
	lowest := math.Inf(1)
	for range min(evictionSample, len(m.list)) {
		m.next = (m.next + 1) % len(m.list)
		p := m.list[m.next]
		if len(m.tags[p.id]) > 0 || (scope == "inbound" && p.dialled) || p.Age() < evictionGrace {
			continue
		}
		if s := score(p); s < lowest {
			worst, lowest = p, s
		}
	}
	if worst == nil {
		return nil, full
	}
	m.leaving++
	return worst, nil
}

// lastHeard values a peer by how recently it has said something.
func lastHeard(p *PeerClient) float64 { return -p.SilentFor().Seconds() }

// Spare reports whether the peer has been dialled with DialSpareAsync, and by nobody else, and is not open yet: for the Admit of
// a ConnMgr.
func (p *PeerClient) Spare() bool {
	return p.greet != nil && p.greet.dial != nil && p.greet.dial.isSpare()
}

// Age is how long the peer has been open.
func (p *PeerClient) Age() time.Duration { return p.loop.clock() - time.Duration(p.openedAt.Load()) }

func (m *connMgr) Add(p *PeerClient) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.byID[p.id] = p
	p.place = int32(len(m.list))
	m.list = append(m.list, p)
	if p.dialled {
		m.dialled[p.link.Remote()] = p
		return
	}
	m.inbound++
	if ip := p.link.Remote().Addr(); !ip.IsLoopback() || m.limits.LoopbackToo {
		m.byIP[network64(ip)]++
		m.bySubnet[Subnet(ip)]++
	}
}

func (m *connMgr) Remove(p *PeerClient) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byID[p.id] != p {
		return
	}
	delete(m.byID, p.id)
	last := m.list[len(m.list)-1]
	m.list[p.place], last.place = last, p.place
	m.list[len(m.list)-1] = nil
	m.list = m.list[:len(m.list)-1]
	m.leaving = max(0, m.leaving-1)
	if p.dialled {
		if at := p.link.Remote(); m.dialled[at] == p {
			delete(m.dialled, at)
		}
		return
	}
	m.inbound--
	if ip := p.link.Remote().Addr(); !ip.IsLoopback() || m.limits.LoopbackToo {
		down(m.byIP, network64(ip))
		down(m.bySubnet, Subnet(ip))
	}
}

func down[K comparable](counts map[K]int, key K) {
	if counts[key]--; counts[key] <= 0 {
		delete(counts, key)
	}
}

func (m *connMgr) Protect(id identity.ID, tag string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tags[id] == nil {
		m.tags[id] = map[string]struct{}{}
	}
	m.tags[id][tag] = struct{}{}
}

func (m *connMgr) Unprotect(id identity.ID, tag string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.tags[id], tag)
	if len(m.tags[id]) == 0 {
		delete(m.tags, id)
	}
}

func (m *connMgr) Protected(id identity.ID) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.tags[id]) > 0
}

// Subnet is the group that an address counts with in PeerLimits.PerSubnet: its /24, or /48 for IPv6. What is
// shared among strangers is shared among these: identities cost a puzzle each, networks cost more.
func Subnet(ip netip.Addr) netip.Prefix {
	bits := 24
	if ip.Is6() {
		bits = 48
	}
	p, _ := ip.Prefix(bits)
	return p
}
