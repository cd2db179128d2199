package addressmap

import (
	"net/netip"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// An observation is what one peer says about this node.
type observation struct {
	From    netip.Addr     // the peer's address
	Seen    transport.Addr // this node, as the peer sees it
	Dialled bool           // by this node; else the peer has dialled Seen
}

// votes are what network groups say about this node. A group has one vote, whatever the number of its peers.
type votes struct {
	groups  map[netip.Prefix]*vote
	present map[netip.Prefix]int // peers that are connected, also of groups without a place: one that loses it and gets it back has not lost count
}

func newVotes() votes { return votes{map[netip.Prefix]*vote{}, map[netip.Prefix]int{}} }

type vote struct {
	seen    transport.Addr // zero: none of its peers has said
	dialled bool           // a peer that this node has dialled says so
	at      time.Duration  // when it was last renewed
}

// live: a peer of the group is connected, or was of late.
func (vs *votes) live(group netip.Prefix, v *vote, now time.Duration) bool {
	return vs.present[group] > 0 || now < v.at+voteLife
}

// groupOf is the group of an address.
func groupOf(a netip.Addr) netip.Prefix {
	bits := groupBits6
	if a.Is4() {
		bits = groupBits4
	}
	p, _ := a.Prefix(bits) // it has as many
	return p
}

// add takes what a connected peer says, and reports whether that can change an election. A peer of the same network, or one
// that says nothing about the outside, has no vote, but its group does, in case another of its peers has.
func (vs *votes) add(now time.Duration, o observation) bool {
	if !public(o.From) {
		return false
	}
	group := groupOf(o.From)
	v := vs.groups[group]
	was := v == nil || vs.live(group, v, now)
	vs.present[group]++
	if v == nil {
		if !vs.room(now, o.Dialled) {
			return false
		}
		v = &vote{at: now}
		vs.groups[group] = v
	}
	if !public(o.Seen.Addr()) || o.From.Is4() != o.Seen.Addr().Is4() || v.dialled && !o.Dialled && was {
		return !was // nothing to say, or the better witness of the group has spoken
	}
	news := !was || v.seen != o.Seen || v.dialled != o.Dialled
	v.seen, v.dialled, v.at = o.Seen, o.Dialled, now
	return news
}

// drop is for a peer that leaves.
func (vs *votes) drop(now time.Duration, from netip.Addr) {
	group := groupOf(from)
	if vs.present[group] == 0 {
		return // of no group, or never counted
	}
	if vs.present[group]--; vs.present[group] == 0 {
		delete(vs.present, group)
	}
	if v := vs.groups[group]; v != nil {
		v.at = now
	}
}

// room makes sure that there is a place for one more group.
func (vs *votes) room(now time.Duration, dialled bool) bool {
	if len(vs.groups) < groupLimit {
		return true
	}
	var victim netip.Prefix
	var oldest *vote
	for group, v := range vs.groups {
		if !vs.live(group, v, now) {
			delete(vs.groups, group)
			return true
		}
		if dialled && !v.dialled && (oldest == nil || v.at < oldest.at || v.at == oldest.at && group.Addr().Less(victim.Addr())) {
			victim, oldest = group, v
		}
	}
	if oldest == nil {
		return false
	}
	delete(vs.groups, victim)
	return true
}

// address is the external address of a family that the groups agree on: named by quorum groups, and by more
// than half of the weight.
func (vs *votes) address(now time.Duration, is4 bool) (netip.Addr, bool) {
	return elect(vs, now, func(v *vote) (netip.Addr, bool) { return v.seen.Addr(), !v.seen.IsZero() && v.seen.Addr().Is4() == is4 })
}

// reached is the address of a protocol under which peers from outside have reached this node.
func (vs *votes) reached(now time.Duration, proto transport.Proto, is4 bool) (transport.Addr, bool) {
	return elect(vs, now, func(v *vote) (transport.Addr, bool) {
		return v.seen, !v.dialled && v.seen.Proto == proto && v.seen.Addr().Is4() == is4
	})
}

// elect counts what live votes say about a question that not all of them answer.
func elect[T comparable](vs *votes, now time.Duration, answer func(*vote) (T, bool)) (winner T, ok bool) {
	type tally struct{ groups, weight int }
	counts, all := map[T]tally{}, 0
	for group, v := range vs.groups {
		said, votes := answer(v)
		if !votes || !vs.live(group, v, now) {
			continue
		}
		weight := weightInbound
		if v.dialled {
			weight = weightDialled
		}
		c := counts[said]
		counts[said] = tally{c.groups + 1, c.weight + weight}
		all += weight
	}
	for said, c := range counts {
		if c.groups >= quorum && c.weight*2 > all {
			return said, true // more than half: there is no other
		}
	}
	return winner, false
}

// public reports whether an address can be reached from anywhere, as far as its number tells.
func public(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && !carrierGrade.Contains(a)
}

// carrierGrade are the addresses between a carrier's NAT and its customers', RFC 6598.
var carrierGrade = netip.MustParsePrefix("100.64.0.0/10")
