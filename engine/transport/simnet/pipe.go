package simnet

import (
	"time"

	"github.com/carrier-p2p/carrier/internal/invariant"
)

// A pipe is one direction of a connection: what one end has written and the other has not been given. It lies in the Link
// that writes, under the Net's lock.
//
//	buf:   ░░░ given ░░░|▓▓▓▓▓▓▓▓ under way ▓▓▓▓▓▓▓▓|
//	                   off   segs: how many bytes arrive when
//
// Bytes leave the send buffer when the other side has been given them; the way back of the acknowledgement takes no time.
//
// Invariant: the segments' sizes add up to len(buf)-off, their times never fall, and while anything is under way next is
// queued, except during fire.
type pipe struct {
	from *Link // fixed
	next pending
	room pending // the call of Writable

	buf  []byte
	off  int
	segs []segment
	gone int // segments that were given, at the front of segs

	lineFree   time.Duration // when the line has sent all
	lastAt     time.Duration // when the last byte arrives
	notBefore  time.Duration // a cut read or a retransmission keeps everything back until then
	queueLimit int
	blocked    bool // a Write was short and Writable has not been called

	syn     bool // the other end has not been told of the connection
	synAt   time.Duration
	fin     bool // nothing more will be written
	finAt   time.Duration
	done    bool // fin was delivered, or everything was dropped
	again   time.Duration
	heldAt  time.Duration // since when the other side cannot be reached; only while again > 0
	climate *climate
	seq     uint64 // of climate
}

// A segment is size bytes that leave the sender at departs and arrive at at.
type segment struct {
	size        int
	departs, at time.Duration
}

func (p *pipe) net() *Net { return p.from.host.net }

// weather is the path's, looked up again when any weather has changed.
func (p *pipe) weather() *climate {
	n := p.net()
	if p.climate == nil || p.seq != n.climateSeq {
		p.climate, p.seq = n.climateOf(p.from.host.machine.addr, p.from.peer.host.machine.addr), n.climateSeq
	}
	return p.climate
}

// length is how much is under way.
func (p *pipe) length() int { return len(p.buf) - p.off }

// unsent is how much waits for the line.
func (p *pipe) unsent(now time.Duration) int { return p.weather().lineBytes(p.lineFree - now) }

// free is how much a Write may take.
func (p *pipe) free(now time.Duration) int {
	room := p.from.host.sendBuffer - p.length()
	if p.queueLimit > 0 {
		room = min(room, p.queueLimit-p.unsent(now))
	}
	return max(room, 0)
}

// send puts b on its way.
func (p *pipe) send(now time.Duration, b []byte) {
	if p.done || len(b) == 0 {
		return // done: the other side is gone and its reset on the way; a kernel would take the bytes too
	}
	n, w := p.net(), p.weather()
	if p.buf == nil {
		p.buf = n.takeBuffer()
	}
	p.buf = append(p.makeRoom(len(b)), b...)
	for left := len(b); left > 0; {
		size := min(left, segmentLimit)
		left -= size
		p.lineFree = max(p.lineFree, now) + w.lineTime(size)
		p.lastAt = max(p.lastAt, p.lineFree+n.travel(w, size, retransmitAfter))
		p.append(segment{size, p.lineFree, p.lastAt})
	}
	p.arm()
	p.check()
}

// makeRoom moves what is under way to the front of buf if more would not fit behind it and at least half of buf was given:
// with less, moving would cost more than growing.
func (p *pipe) makeRoom(more int) []byte {
	if p.off > 0 && len(p.buf)+more > cap(p.buf) && 2*p.off >= len(p.buf) {
		p.buf = p.buf[:copy(p.buf, p.buf[p.off:])]
		p.off = 0
	}
	return p.buf
}

// append adds s, to the last segment if both travel as one.
func (p *pipe) append(s segment) {
	if last := len(p.segs) - 1; last >= p.gone && p.segs[last].at == s.at {
		p.segs[last].size += s.size
		p.segs[last].departs = s.departs
		return
	}
	if len(p.segs) == cap(p.segs) && 2*p.gone >= len(p.segs) && p.gone > 0 {
		p.segs = p.segs[:copy(p.segs, p.segs[p.gone:])]
		p.gone = 0
	}
	p.segs = append(p.segs, s)
}

// end puts the end of the stream behind everything written. Once.
func (p *pipe) end(now time.Duration) {
	if p.fin {
		return
	}
	p.fin = true
	p.lastAt = max(p.lastAt, max(p.lineFree, now)+p.net().travel(p.weather(), 0, retransmitAfter))
	p.finAt = p.lastAt
	p.arm()
}

// arm queues the next arrival, if there is one and it is not queued.
func (p *pipe) arm() {
	if p.next.queued() || p.done {
		return
	}
	var at time.Duration
	switch {
	case p.syn:
		at = p.synAt
	case p.gone < len(p.segs):
		at = p.segs[p.gone].at
	case p.fin:
		at = p.finAt
	default:
		return
	}
	p.net().schedule(&p.next, max(at, p.notBefore))
}

// unblock orders the call of Writable if one is owed and a good part of the room is there: a third of the send buffer and
// half of the queue limit, as Linux does. If not, the next delivery asks again.
func (p *pipe) unblock(now time.Duration) {
	limit := p.from.host.sendBuffer
	if !p.blocked || p.room.queued() || p.from.state != linkOpen || p.length() > limit-(limit+2)/3 {
		return
	}
	n := p.net()
	at := now + n.between(turnAfterMin, turnAfterMax)
	if p.queueLimit > 0 {
		w := p.weather()
		if over := p.unsent(now) - p.queueLimit/2; over > 0 {
			// One nanosecond for what the division lost, or Write could find no room.
			at = max(at, now+w.lineTime(over)+1)
		}
	}
	n.schedule(&p.room, at)
}

// fire is an arrival at the other end, or the call of Writable at this one.
func (p *pipe) runs(_ *Net, ev *pending) *Host {
	if ev == &p.room {
		return p.from.host
	}
	return p.from.peer.host
}

func (p *pipe) fire(n *Net, ev *pending) {
	now := n.time()
	if ev == &p.room {
		p.blocked = false
		n.call.kind, n.call.host, n.call.loop, n.call.link = Writable, p.from.host, p.from.loop, p.from
		return
	}
	to := p.from.peer
	if n.severed(p.from.host.machine.addr, to.host.machine.addr) || to.host.machine.silent {
		p.hold(now)
		return
	}
	p.again = 0
	switch {
	case p.syn:
		p.accept(n, now)
	case to.state == linkDead:
		p.refuse(now)
	case p.gone < len(p.segs):
		p.give(n, now)
	default:
		p.drop()
		to.ended(n)
		p.from.release()
	}
}

// hold keeps everything back until the next retransmission, or gives up.
func (p *pipe) hold(now time.Duration) {
	w := p.weather()
	if p.again == 0 {
		p.heldAt, p.again = now, retransmitAfter
	}
	if now >= p.heldAt+w.resetAfter {
		p.drop()
		p.from.breakAt(now, ErrTimeout)
		p.from.release()
		return
	}
	p.notBefore = min(now+p.again, p.heldAt+w.resetAfter)
	p.again = min(2*p.again, retransmitMax)
	p.arm()
}

// accept tells the other end of the connection, if its listener is still there.
func (p *pipe) accept(n *Net, now time.Duration) {
	to := p.from.peer
	if to.host.machine.listeners[port{to.local.Proto, to.local.Port()}] != to.host {
		to.state = linkDead
		p.refuse(now)
		return
	}
	p.syn = false
	to.state = linkOpen
	to.hold()
	n.call.kind, n.call.host, n.call.loop, n.call.link = Opened, to.host, to.loop, to
	p.arm()
}

// refuse answers with a reset.
func (p *pipe) refuse(now time.Duration) {
	n, from, to := p.net(), p.from, p.from.peer
	p.drop()
	from.breakAt(now+n.travel(n.climateOf(to.host.machine.addr, from.host.machine.addr), 0, retransmitAfter), ErrReset)
	from.release()
}

// give hands the other end what has arrived, or the first part of it.
func (p *pipe) give(n *Net, now time.Duration) {
	w, to := p.weather(), p.from.peer
	if to.state == linkClosed && w.hardClose {
		to.state = linkDead
		to.out.drop()
		to.release()
		p.refuse(now)
		return
	}
	size := 0
	for i := p.gone; i < len(p.segs) && p.segs[i].at <= now && size < readLimit; i++ {
		size += p.segs[i].size
	}
	size = min(size, readLimit)
	if size > 1 && n.chance(w.cut) {
		size = 1 + int(n.below(uint64(size-1)))
		p.notBefore = now + n.between(0, cutAfterMax)
	}
	if to.state == linkOpen { // after Close nothing is handed over, even if it is here already
		b := n.scratch[:size:size]
		copy(b, p.buf[p.off:])
		n.call.kind, n.call.host, n.call.loop, n.call.link, n.call.b = Bytes, to.host, to.loop, to, b
	}
	p.take(size)
	p.arm()
	p.check()
	p.unblock(now)
}

// take removes the first size bytes.
func (p *pipe) take(size int) {
	p.off += size
	for size > 0 {
		s := &p.segs[p.gone]
		part := min(size, s.size)
		s.size -= part
		size -= part
		if s.size == 0 {
			p.gone++
		}
	}
	if p.off == len(p.buf) {
		p.empty()
	}
}

// empty gives the buffer back.
func (p *pipe) empty() {
	p.net().giveBuffer(p.buf)
	p.buf, p.off = nil, 0
	p.segs, p.gone = p.segs[:0], 0
}

// drop ends the pipe: nothing under way arrives any more, nor what is sent from now on.
func (p *pipe) drop() {
	p.net().queue.stop(&p.next)
	p.empty()
	p.segs = nil
	p.syn, p.done = false, true
}

// check holds the invariant of pipe, in checked builds.
func (p *pipe) check() {
	if !invariant.Enabled {
		return
	}
	size, last := 0, time.Duration(0)
	for _, s := range p.segs[p.gone:] {
		invariant.Check(s.size > 0 && s.departs <= s.at && last <= s.at, "simnet: bug: segments out of order")
		size, last = size+s.size, s.at
	}
	invariant.Check(size == p.length(), "simnet: bug: segments and bytes differ")
	invariant.Check(p.length() <= p.from.host.sendBuffer, "simnet: bug: send buffer overfull")
	invariant.Check(size == 0 || p.next.queued(), "simnet: bug: bytes under way and no arrival due")
}

// loseUnsent is what a crash does: only what has left the machine may still arrive.
func (p *pipe) loseUnsent(now time.Duration) {
	if p.done {
		return
	}
	keep, i := 0, p.gone
	for ; i < len(p.segs) && p.segs[i].departs <= now; i++ {
		keep += p.segs[i].size
	}
	if i < len(p.segs) {
		p.fin = false // it comes behind what is lost
	}
	p.segs, p.buf = p.segs[:i], p.buf[:p.off+keep]
	if keep == 0 && !p.syn && !p.fin {
		p.drop()
	}
}
