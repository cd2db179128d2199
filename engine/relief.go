package engine

import (
	"cmp"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/carrier-p2p/carrier/engine/internal/session"
	"github.com/carrier-p2p/carrier/engine/transport"
)

// A node's memory for buffers is shared by all peers. Those that do not read what they have asked for, or begin much and
// finish nothing, can use it up: each of them is within its limits. So when it runs short, what peers keep and do not need is
// taken back, and those go first that keep most of the rest and move least. Peers that move what they keep stay, however much
// that is.

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

// relieve has laggards leave while memory is short, the slowest of this loop first: as many as the shortage
// is worth. On the loop, with each sweep, and as long as memory is short there is one.
func (l *loop) relieve() {
	if l.shortage() <= 0 {
		return
	}
	if l.now < l.relieveAt {
		l.sweepBy(l.relieveAt + sweepEvery - 1)
		return
	}
	l.relieveAt = l.now + relieveEvery
	l.sweepBy(l.relieveAt + sweepEvery - 1)
	for _, p := range l.peers {
		p.trim()
	}
	l.dismiss()
}

// A relief is what peers keep that have been told to leave, and have not given back yet: the loops see one shortage at the same
// time, and each byte of it is worth one peer's going and not one on each loop. Any goroutine.
type relief struct{ claimed atomic.Int64 }

// claim notes that kept bytes will be given back, if some are short that nobody has claimed.
func (r *relief) claim(short, kept int64) bool {
	for {
		have := r.claimed.Load()
		if short <= have {
			return false
		}
		if r.claimed.CompareAndSwap(have, have+kept) {
			return true
		}
	}
}

// given ends a claim: what was kept is back, or lost.
func (r *relief) given(kept int64) { r.claimed.Add(-kept) }

// shortage is by how much the memory that is lent is above where relief begins.
func (l *loop) shortage() int64 {
	bufs := l.net.bufs
	return bufs.Lent() - bufs.Limit()/relieveShare*(relieveShare-1)
}

// dismiss has the slowest laggards leave that keep as much as is short.
func (l *loop) dismiss() {
	var all []laggard
	for _, p := range l.peers {
		if kept, drag, slow := p.drag(l.now); slow {
			all = append(all, laggard{p, kept, drag})
		}
	}
	slices.SortFunc(all, func(a, b laggard) int { return cmp.Compare(b.drag, a.drag) })
	for _, s := range all {
		if !l.net.relief.claim(l.shortage(), s.kept) {
			return
		}
		s.peer.relieve(s.kept)
	}
}

// trim gives back what p keeps for what may come and does not need for what is there: the buffers of a burst stay for as long as
// a peer is in use, and a word now and then is use enough. On the loop, and not while p is being read.
func (p *PeerClient) trim() {
	p.recv.Settle(p.net.bufs)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.send.out != nil {
		p.send.out.trim(p.net.bufs)
	}
}

// trim gives back what o does not need for what waits. Under the peer's mu.
func (o *outbound) trim(bufs *session.Buffers) {
	for ln := range o.lanes {
		o.lanes[ln].Trim(bufs)
		bufs.Put(o.spare[ln])
		o.spare[ln] = nil
	}
}

// linkKeeps is what the link keeps of what was written to it, in memory of the node's.
func (p *PeerClient) linkKeeps() int {
	if k, ok := p.link.(transport.Keeper); ok {
		return k.Kept()
	}
	return 0
}

// held is the memory that o takes: all of each buffer, however little is left in it. Under the peer's mu.
func (o *outbound) held() (sum int) {
	for ln := range o.lanes {
		sum += o.lanes[ln].Held() + cap(o.memory[ln]) + cap(o.spare[ln])
	}
	return sum
}

// drag is what the slower direction of a peer keeps, and for how long.
func (p *PeerClient) drag(now time.Duration) (kept int64, drag time.Duration, slow bool) {
	below := int64(p.linkKeeps())
	p.mu.Lock()
	if o := p.send.out; o != nil {
		kept = int64(o.held()) + below
		drag, slow = o.pace.drag(now, kept, int64(p.send.spent)-o.ahead.Load()-below)
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

// relieve ends an open connection and gives back what it keeps, which has been claimed, without waiting for
// it to take the news. On the loop.
func (p *PeerClient) relieve(kept int64) {
	if p.state() != stateOpen { // it has ended with one that was relieved before it, and that carried it
		p.net.relief.given(kept)
		return
	}
	p.net.counts.relieved.Add(1)
	limit := p.net.bufs.Limit()
	p.end(&Fault{Ours, Close, CodeLimit, fmt.Errorf("%w: %d bytes: %w", ErrSlowPeer, kept, &LimitError{"memory", int(limit)})})
	p.parting.keeps = kept
	if !p.full() {
		p.flush()
	}
	p.link.Close()
}

// full reports whether the flush waits for the transport to say that there is room again, so that nothing may be written.
func (p *PeerClient) full() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.send.out
	return p.send.flush == flushParked && o != nil && o.ahead.Load() > 0
}
