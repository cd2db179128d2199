package engine

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// A node's memory for buffers is shared by all peers. Those that do not read what they have asked for, or begin much and
// finish nothing, can use it up: each of them is within its limits. So when it runs short those go first that keep most of it
// and move least. Peers that move what they keep stay, however much that is.

// A pace is how much of what a peer keeps has moved since it was last looked at.
type pace struct {
	moved int64         // then
	at    time.Duration // when; 0: never
}

// drag is how long what is kept takes to be gone at its pace. It is false where that is not known yet, or soon enough.
func (s *pace) drag(now time.Duration, kept, moved int64) (drag time.Duration, slow bool) {
	if kept < relieveLeast {
		*s = pace{}
		return 0, false
	}
	was := *s
	*s = pace{moved, now}
	took := now - was.at
	if was.at == 0 || took > 3*relieveEvery {
		return 0, false
	}
	drag = time.Duration(float64(took) * float64(kept) / float64(max(moved-was.moved, 1)))
	return drag, drag > relieveWithin
}

// A laggard is a peer that keeps memory and moves little of it.
type laggard struct {
	peer *PeerClient
	kept int64
	drag time.Duration
}

// relieve has laggards leave while memory is short, the slowest first: as many as the shortage is worth. On the loop, with
// each sweep; what keeps memory is warm, so there are sweeps.
func (l *loop) relieve() {
	bufs := l.net.bufs
	short := bufs.Lent() - bufs.Limit()/relieveShare*(relieveShare-1)
	if short <= 0 || l.now < l.relieveAt {
		return
	}
	l.relieveAt = l.now + relieveEvery
	var all []laggard
	for _, p := range l.peers {
		if kept, drag, slow := p.drag(l.now); slow {
			all = append(all, laggard{p, kept, drag})
		}
	}
	slices.SortFunc(all, func(a, b laggard) int { return cmp.Compare(b.drag, a.drag) })
	for _, s := range all {
		if short <= 0 {
			return
		}
		short -= s.kept
		s.peer.relieve(s.kept)
	}
}

// drag is what the slower direction of a peer keeps, and for how long.
func (p *PeerClient) drag(now time.Duration) (kept int64, drag time.Duration, slow bool) {
	p.mu.Lock()
	if o := p.send.out; o != nil {
		ahead := o.ahead.Load()
		kept = int64(o.queued+o.lanes[laneControl].Len()) + ahead
		drag, slow = o.pace.drag(now, kept, int64(p.send.spent)-ahead)
	}
	p.mu.Unlock()
	if in := p.in; in != nil {
		held := int64(in.fragments.Held())
		if p.recv.Begun() {
			held += int64(p.recv.Held())
		}
		if d, s := in.pace.drag(now, held, int64(p.receipt.received)); d > drag {
			drag, slow = d, s
		}
		kept += held
	}
	return kept, drag, slow
}

// relieve ends the connection and gives back what it keeps, without waiting for it to take the news. On the loop.
func (p *PeerClient) relieve(kept int64) {
	p.net.counts.relieved.Add(1)
	limit := p.net.bufs.Limit()
	p.end(&Fault{Ours, Close, CodeLimit, fmt.Errorf("%w: %d bytes: %w", ErrSlowPeer, kept, &LimitError{"memory", int(limit)})})
	p.flush()
	p.link.Close()
}
