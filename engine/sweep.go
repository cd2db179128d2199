package engine

import (
	"encoding/binary"
	"time"

	"github.com/carrier-p2p/carrier/engine/transport"
)

// Path:   alarm -> [sweep] -> peers that do nothing: those that were in use cool, those that are silent are asked about.
// Cost:   one alarm for all peers of a loop; a look at a peer is one comparison.
// Bounds: a sweepRounds-th of the peers each sweepEvery.

// sweep looks after peers that have no timer of their own: it cools those that were warm and finds the silent ones.
func (l *loop) sweep() {
	if l.now < l.sweepAt {
		return
	}
	for p := l.warm.oldest(); p != nil && p.usedAt+coolAfter <= l.now; p = l.warm.oldest() {
		p.cool()
	}
	looks := l.now >= l.lookAt
	if looks {
		l.listen()
		l.look()
	}
	l.sweepAt = transport.Never
	l.relieve()
	l.planLook(looks)
	if p := l.warm.oldest(); p != nil {
		l.sweepCool(p)
	}
}

// look shows the silent among some of the peers, or among all of few, to the components that asked for it.
func (l *loop) look() {
	if n := len(l.peers); n <= fewPeers {
		for i := n - 1; i >= 0; i-- {
			if i < len(l.peers) { // else more than one has gone
				l.silence(l.peers[i])
			}
		}
		return
	}
	for range len(l.peers)/sweepRounds + 1 {
		if len(l.peers) == 0 { // all of them silent for too long
			break
		}
		if l.cursor >= len(l.peers) {
			l.cursor = 0
		}
		p := l.peers[l.cursor]
		l.cursor++
		l.silence(p)
	}
}

// planLook plans the next look, and its sweep. looked: there has been one at this moment.
//
// Of many peers some are looked at in each sweep. Few are looked at when the first of them may have been silent for long
// enough: a process may have very many nodes with one peer each, and for most of them nothing is to be done in most sweeps.
func (l *loop) planLook(looked bool) {
	n := len(l.peers)
	switch {
	case n > fewPeers && (looked || l.lookAt > l.now+sweepEvery*sweepRounds):
		l.lookAt = l.now + sweepEvery*time.Duration(max(sweepRounds/n, 1))
		l.lookAt -= l.lookAt % sweepEvery
	case n <= fewPeers:
		l.lookAt = l.lookAtFew(looked)
	}
	if l.lookAt != transport.Never {
		l.sweepBy(l.lookAt)
	}
}

// lookAtFew is when the first of few peers is to be looked at: when it may have been silent for long enough, and then, or if
// it is owed a receipt, again and again.
func (l *loop) lookAtFew(looked bool) time.Duration {
	next, again := transport.Never, l.now+sweepEvery*sweepRounds
	if !looked {
		again = min(again, l.lookAt)
	}
	for _, p := range l.peers {
		at := l.silentAt(p)
		if at <= l.now || (p.dg != nil && p.dg.owed > 0) {
			at = again
		}
		next = min(next, at)
	}
	if next < transport.Never-sweepEvery {
		next += sweepEvery - 1
		next -= next % sweepEvery
	}
	return next
}

// silentAt is when a component wants to know that p is silent, and up to the time between two looks later.
// That is left to chance, so that nodes of a process that has been held up do not all ask in one moment from
// then on.
func (l *loop) silentAt(p *PeerClient) time.Duration {
	heard := time.Duration(p.heardAt.Load())
	after := transport.Never
	for _, w := range l.table.silence {
		after = min(after, w.after)
	}
	own, its := binary.LittleEndian.Uint64(l.net.id[:]), binary.LittleEndian.Uint64(p.id[:])
	chance := (uint64(heard) ^ own ^ its) * 0x9e3779b97f4a7c15 >> 40
	late := time.Duration(chance) * (sweepEvery * sweepRounds) >> 24
	if after > transport.Never-heard-late {
		return transport.Never
	}
	return heard + after + late
}

// sweepBy has the next sweep made at, or up to sweepEvery before. Sweeps are made at multiples of sweepEvery, so that all
// loops of a process, which may have very many nodes, wake together and not each for itself.
func (l *loop) sweepBy(at time.Duration) { l.sweepAt = min(l.sweepAt, at-at%sweepEvery) }

// sweepCool plans a sweep for p, which cools first.
func (l *loop) sweepCool(p *PeerClient) { l.sweepBy(p.usedAt + coolAfter + sweepEvery - 1) }

// silence tells the components that asked for it how long p has said nothing, by what this loop could hear.
func (l *loop) silence(p *PeerClient) {
	if p.dg != nil && p.dg.owed > 0 { // a trickle is answered too: this side's mapping in a NAT may depend on it
		p.sendReceipt()
	}
	silent := l.now - time.Duration(p.heardAt.Load())
	for _, w := range l.table.silence {
		if silent >= w.after && p.state() == stateOpen {
			l.guard(w.slot, func() { w.watcher.PeerSilent(p, l.heardNothing(p)) })
		}
	}
}
