package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/carrier-p2p/carrier/engine/component/natmap"
	"github.com/carrier-p2p/carrier/engine/node"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/udpio"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// A natSight is how one peer sees this host.
type natSight struct {
	Peer    string `json:"peer"`
	Local   string `json:"local,omitempty"` // this end of the connection
	Seen    string `json:"seen,omitempty"`  // the same end, as the peer says
	Problem string `json:"problem,omitempty"`

	local, seen, peer transport.Addr
}

func (s *natSight) line() string {
	if s.Problem != "" {
		return s.Peer + ": " + s.Problem
	}
	return fmt.Sprintf("%s: %s is seen as %s", s.Peer, s.Local, s.Seen)
}

// askPeers connects to each peer and notes what it says in the handshake.
func (c *natCommand) askPeers(ctx context.Context, gateway *natmap.Gateway) ([]natSight, error) {
	puzzle := identity.Puzzle{StaticBits: int(c.C1), DynamicBits: int(c.C2)}
	n, err := node.New(node.Config{
		NetworkID: c.Network, Puzzle: &puzzle, WeakPuzzle: puzzle != identity.DefaultPuzzle, Loops: 1,
		Transports: []transport.Transport{udpio.New(udpio.Config{Loops: 1})}, // one socket for all: that is what tells kinds of NAT
	})
	if err != nil {
		return nil, err
	}
	if err := n.Start(ctx); err != nil {
		return nil, err
	}
	defer func() { _ = n.Shutdown(context.WithoutCancel(ctx)) }()
	var out []natSight
	for _, target := range c.Peer {
		s := natSight{Peer: target}
		if p, err := n.Dial(ctx, target); err != nil {
			s.Problem = trimPackage(err)
		} else {
			s.peer, s.local, s.seen = p.RemoteAddr(), p.LocalAddr(), p.Observed()
			if s.local.Addr().IsUnspecified() && gateway != nil { // a socket for datagrams has all of the host's
				s.local.AddrPort = netip.AddrPortFrom(gateway.Local, s.local.Port())
			}
			s.Local, s.Seen = s.local.String(), s.seen.String()
		}
		out = append(out, s)
	}
	return out, nil
}

// A natBehaviour says how a NAT treats flows, in the words of RFC 4787.
type natBehaviour string

const (
	natNone      natBehaviour = "none: the address is not translated"
	natKept      natBehaviour = "keeps the port: endpoint independent, as far as one address tells"
	natCone      natBehaviour = "endpoint independent mapping: one external port for all peers"
	natSymmetric natBehaviour = "address and port dependent mapping: another external port for each peer (symmetric)"
	natChanges   natBehaviour = "changes the port; ask two peers by udp:// to know more"
)

// behaviour judges what peers have seen. Two of them that were sent datagrams from one socket tell all; of anything else only
// whether the port was kept shows.
func behaviour(seen []natSight) natBehaviour {
	var told []natSight
	for _, s := range seen {
		if s.Problem == "" && s.seen.Addr().IsValid() {
			told = append(told, s)
		}
	}
	differs := func(other func(natSight) bool) bool { return slices.ContainsFunc(told, other) }
	switch {
	case len(told) == 0:
		return ""
	case !differs(func(s natSight) bool { return s.local.AddrPort != s.seen.AddrPort }):
		return natNone
	}
	if verdict := datagrams(told); verdict != "" {
		return verdict
	}
	if differs(func(s natSight) bool { return s.local.Port() != s.seen.Port() }) {
		return natChanges
	}
	return natKept
}

// datagrams compares what was seen of one socket by different peers; empty if no two have seen one.
func datagrams(told []natSight) (verdict natBehaviour) {
	first := map[transport.Addr]natSight{} // by local address
	for _, s := range told {
		before, ok := first[s.local]
		switch {
		case s.local.Proto != transport.UDP:
		case !ok:
			first[s.local] = s
		case before.peer == s.peer:
		case before.seen != s.seen:
			return natSymmetric
		default:
			verdict = natCone
		}
	}
	return verdict
}
