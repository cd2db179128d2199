package reach

import (
	"cmp"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
)

// groupOf is the network of an address.
func groupOf(a netip.Addr) netip.Prefix {
	bits := groupBits6
	if a.Is4() {
		bits = groupBits4
	}
	p, _ := a.Prefix(bits) // it has as many
	return p
}

// A voter is a peer that can be asked.
type voter struct {
	peer    *engine.PeerClient // nil in tests of what decides
	id      identity.ID
	group   netip.Prefix
	seen    netip.Addr // where it sees this node: the only address that it would dial
	dialled bool       // by this node, which has chosen it; others have chosen this node
}

// electorate are the peers that can be asked, some of each network. Any goroutine.
type electorate struct {
	scope skad.Scope

	mu     sync.Mutex
	groups map[netip.Prefix][]voter
}

// voterOf makes a voter of a peer. Whoever comes over a relay sees the relay; whoever is not in the scope is
// nobody's witness there.
func (e *electorate) voterOf(p *engine.PeerClient) (voter, bool) {
	from, seen := p.RemoteAddr().Addr().Unmap(), p.Observed().Addr().Unmap()
	if p.Relayed() || !e.scope.Dialable(from) || !e.scope.Dialable(seen) {
		return voter{}, false
	}
	return voter{p, p.ID(), groupOf(from), seen, p.Dialled()}, true
}

// add takes a peer in, and reports whether its network is a new one. Where there is no room one that has come
// in makes room for one that was dialled.
func (e *electorate) add(v voter) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	list, known := e.groups[v.group]
	if !known && len(e.groups) >= groupLimit && (!v.dialled || !e.makeRoomLocked()) {
		return false
	}
	if len(list) < perGroup {
		e.groups[v.group] = append(list, v)
		return !known
	}
	if at := slices.IndexFunc(list, func(have voter) bool { return !have.dialled }); v.dialled && at >= 0 {
		list[at] = v
	}
	return false
}

// makeRoomLocked takes out a network of which all peers have come in.
func (e *electorate) makeRoomLocked() bool {
	for _, g := range e.sortedLocked() {
		if !slices.ContainsFunc(e.groups[g], func(v voter) bool { return v.dialled }) {
			delete(e.groups, g)
			return true
		}
	}
	return false
}

// sortedLocked are the networks in an order that does not depend on the run.
func (e *electorate) sortedLocked() []netip.Prefix {
	all := make([]netip.Prefix, 0, len(e.groups))
	for g := range e.groups {
		all = append(all, g)
	}
	slices.SortFunc(all, comparePrefix)
	return all
}

func comparePrefix(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

// remove takes a peer out.
func (e *electorate) remove(p *engine.PeerClient) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for g, list := range e.groups { // not by its address: over datagrams that may be another one by now
		list = slices.DeleteFunc(list, func(v voter) bool { return v.peer == p })
		if e.groups[g] = list; len(list) == 0 {
			delete(e.groups, g)
		}
	}
}

// count is how many networks there are to ask.
func (e *electorate) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.groups)
}

// pick chooses who is to be asked about an IP address next: of a network that is not among those asked already, one that this
// node has dialled if there is any, not of those of the last round if there are others, else at random.
func (e *electorate) pick(at netip.Addr, asked, before map[netip.Prefix]bool, rnd *rand.Rand) (voter, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var best voter
	bestRank, ties := -1, 0
	for _, g := range e.sortedLocked() {
		v, ok := witness(e.groups[g], at, rnd)
		rank := 0
		if v.dialled {
			rank += 2
		}
		if !before[g] {
			rank++
		}
		if !ok || asked[g] || rank < bestRank {
			continue
		}
		if rank > bestRank {
			bestRank, ties = rank, 0
		}
		if ties++; rnd.IntN(ties) == 0 { // each network alike, however many peers it has
			best = v
		}
	}
	return best, bestRank >= 0
}

// witness is one of the peers of a network that see this node at an address.
func witness(list []voter, at netip.Addr, rnd *rand.Rand) (best voter, ok bool) {
	ties := 0
	for _, v := range list {
		if v.seen != at || ok && best.dialled && !v.dialled {
			continue
		}
		if !ok || v.dialled && !best.dialled {
			ties = 0
		}
		if ties++; rnd.IntN(ties) == 0 {
			best = v
		}
		ok = true
	}
	return best, ok
}
