package engine

import (
	"math"
	"time"

	"github.com/carrier-p2p/carrier/engine/internal/session"
	"github.com/carrier-p2p/carrier/engine/transport"
)

// Path:   lanes -> [flush] -> sealed records -> link.Write. Runs when a peer has something to say: once per turn on its
//         loop, or once on the goroutine of a caller whose request is the only one under way.
// Cost:   0 allocations; one seal per record of up to 16 KiB, one write(2) per 256 KiB.
// Bounds: flushBudget bytes, then the loop's other peers have their turn.

// flush writes what is queued. The caller must be the one who made the flush parked, or on the loop and told that the
// socket has room.
func (p *PeerClient) flush() { p.flushAt(p.loop.clock()) }

// flushAt is flush for a caller that has just looked at the clock.
func (p *PeerClient) flushAt(now time.Duration) {
	p.mu.Lock()
	o := p.send.out
	if p.send.flush != flushParked || o == nil {
		p.mu.Unlock()
		return
	}
	p.send.flush = flushRunning
	p.mu.Unlock()

	prompt := now-o.parkedAt < promptWithin
	interactive := p.interactive(now)
	budget, chunk := flushBudget, chunkLimit
	if interactive {
		budget, chunk = flushBudgetInteractive, chunkLimitInteractive
	}
	for written := 0; written < budget; {
		if len(o.ready) == 0 && !p.seal(o, chunk, interactive, prompt) {
			return // nothing left that may be sent: seal has given the flush up
		}
		n, err := p.write(o)
		p.net.counts.bytesOut.Add(int64(n))
		written += n
		o.ready = o.ready[n:]
		o.ahead.Store(int64(len(o.ready)))
		if err != nil {
			p.park()
			p.link.Close()
			return
		}
		if len(o.ready) > 0 { // the kernel is full: the transport calls Writable
			p.parkFull()
			return
		}
	}
	if p.park() {
		p.loop.schedule(p)
	}
}

// write hands what is ready to the link. Behind the last of it there is nothing but the end of the stream: where the link can,
// it goes in the same packet.
func (p *PeerClient) write(o *outbound) (int, error) {
	if o.last {
		if link, ok := p.link.(transport.LastWriter); ok {
			return link.WriteLast(o.ready)
		}
	}
	return p.link.Write(o.ready)
}

// writable goes on with a flush that has found the kernel full. On the loop.
func (p *PeerClient) writable() {
	p.mu.Lock()
	early := p.send.flush == flushRunning // the owner has not come to know yet that its write was short: see parkFull
	p.send.room = p.send.room || early
	p.mu.Unlock()
	if !early {
		p.flush()
	}
}

// parkFull is park after a short write. If there is room again already, nobody will call Writable a second time.
func (p *PeerClient) parkFull() {
	p.mu.Lock()
	again := p.parkLocked() && p.send.room
	p.send.room = false
	p.mu.Unlock()
	if again {
		p.loop.schedule(p)
	}
}

// noteAsked notes that a request has gone either way. Any goroutine.
func (p *PeerClient) noteAsked(now time.Duration) {
	if ms := max(1, uint32(now/time.Millisecond)); p.asked.Load() != ms { // looking costs less than an atomic store
		p.asked.Store(ms)
	}
}

// interactive reports whether requests have been under way on this connection a moment ago. The milliseconds wrap after 49
// days: then a moment long ago may be taken for this one.
func (p *PeerClient) interactive(now time.Duration) bool {
	asked := p.asked.Load()
	return asked != 0 && int32(uint32(now/time.Millisecond)-asked) < int32(interactiveFor/time.Millisecond)
}

// park leaves the flush to the loop. If the link is gone the owner clears up instead, and it reports false.
func (p *PeerClient) park() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.parkLocked()
}

func (p *PeerClient) parkLocked() bool {
	if p.send.dead {
		p.dropOutboundLocked()
		return false
	}
	p.send.flush = flushParked
	return true
}

// seal makes the next bytes ready, from the lowest lane that has something and is allowed to send. If there is none it
// ends the flush and reports false. Nothing is ready when it is called.
func (p *PeerClient) seal(o *outbound, chunk int, interactive, prompt bool) bool {
	p.mu.Lock()
	s := &p.send
	if s.dead {
		p.dropOutboundLocked()
		p.mu.Unlock()
		return false
	}
	p.recycleLocked(o)
	credit := int(min(int64(s.allowed-s.spent), math.MaxInt32)) // over datagrams it is more than an int of 32 bits holds
	if o.cut || (p.dg != nil && !p.dg.flow.open()) {
		credit = 0
	}
	ln := o.nextLocked(credit)
	if ln == laneCount && o.goodbye.op != 0 && (o.cut || o.queued == 0) {
		if o.lanes[laneControl].Append(p.net.bufs, o.goodbye.op, 0, 0, o.goodbye.payload) == nil {
			ln = o.nextLocked(credit)
		}
		o.goodbye, o.said = goodbyeFrame{}, true
	}
	if ln == laneCount {
		s.flush = flushIdle
		o.deepenLocked(p.net.cfg.SendBuffer, prompt)
		then := o.wakeLocked(p.net.cfg.SendBuffer)
		ended := o.said
		stands := p.dg != nil && o.queued > 0 && !o.cut
		p.mu.Unlock()
		p.postAll(then)
		switch {
		case ended && p.dg != nil:
			p.loop.post(p.hangUp)
		case ended:
			p.link.CloseWrite()
		case stands:
			p.loop.post(p.standing)
		}
		return false
	}
	p.mu.Unlock()

	if p.dg != nil {
		return p.sealDatagram(o, ln)
	}
	if ln == laneControl {
		credit = session.Unlimited
	}
	if ln == laneBulk && interactive != o.short {
		o.short = interactive
		p.link.SetQueueLimit(queueLimit(interactive))
	}
	batch := &o.taken[ln]
	n, frames, err := s.sealer.Seal(*batch, chunk, credit)
	if err != nil { // the key is used up, or a bug
		p.loop.post(func() { p.end(&Fault{Ours, Close, CodeInternal, err}) })
		p.park()
		return false
	}
	o.ready, *batch = (*batch)[:n], (*batch)[n:]
	if o.preface != nil {
		o.ready, o.preface = append(o.preface, o.ready...), nil
	}
	if ln == laneControl {
		o.last = o.said
		return true
	}
	p.mu.Lock()
	s.spent += uint64(frames)
	o.queued -= frames
	then := o.wakeLocked(p.net.cfg.SendBuffer)
	p.mu.Unlock()
	p.postAll(then)
	return true
}

func queueLimit(interactive bool) int {
	if interactive {
		return queueInteractive
	}
	return 0
}

// deepenLocked lets senders that wait queue more. It is called when the flush has nothing left to do: if it came at once
// when it was called and somebody still had to wait, it is the queue that is too short. With many busy peers the flush is
// what everybody waits for, and a longer queue would only be more memory and older messages.
func (o *outbound) deepenLocked(limit int, prompt bool) {
	if o.waited && prompt {
		o.depth = min(2*o.depth, limit)
	}
	o.waited = false
}

// nextLocked chooses the lane to seal from and takes its frames if none are taken. laneCount: none may send.
func (o *outbound) nextLocked(credit int) lane {
	for ln := laneControl; ln < laneCount; ln++ {
		if ln != laneControl && credit <= 0 {
			return laneCount
		}
		if len(o.taken[ln]) == 0 && o.lanes[ln].Len() > 0 {
			o.memory[ln] = o.lanes[ln].Take()
			o.taken[ln] = o.memory[ln]
			if o.spare[ln] != nil {
				o.lanes[ln].Reuse(o.spare[ln])
				o.spare[ln] = nil
			}
		}
		if len(o.taken[ln]) > 0 {
			return ln
		}
	}
	return laneCount
}

// recycleLocked takes back the memory of batches that have been written, for the lane they came from: a peer that goes on
// sending goes on using the same two buffers, which have the right size.
func (p *PeerClient) recycleLocked(o *outbound) {
	for ln := range o.memory {
		if o.memory[ln] == nil || len(o.taken[ln]) > 0 {
			continue
		}
		switch {
		case o.lanes[ln].Reuse(o.memory[ln]):
		case o.spare[ln] == nil:
			o.spare[ln] = o.memory[ln]
		default:
			p.net.bufs.Put(o.memory[ln])
		}
		o.memory[ln], o.taken[ln] = nil, nil
	}
}

// dropOutboundLocked gives back everything the sending side holds. The link is gone, and nobody else owns the flush.
func (p *PeerClient) dropOutboundLocked() {
	s := &p.send
	s.flush = flushIdle
	s.sealer.Stop()
	o := s.out
	if o == nil {
		return
	}
	p.net.drop(o)
	if o.room != nil {
		close(o.room)
	}
	s.out = nil
}

// coolSending gives back what only an active sender needs. It reports false if p is in the middle of something.
func (p *PeerClient) coolSending() bool {
	below := p.linkKeeps()
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.send
	if s.flush != flushIdle || (s.out != nil && s.out.busy()) {
		return false
	}
	s.sealer.Cool()
	if s.out != nil && below > 0 { // what is below is under way for this side, too: see relieve
		s.out.trim(p.net.bufs)
		return false
	}
	if s.out != nil {
		p.loop.wheel.Stop(&s.out.clock)
		p.net.drop(s.out)
		s.out = nil
	}
	return true
}

// drop gives back all memory of o.
func (n *Network) drop(o *outbound) {
	for ln := range o.lanes {
		o.lanes[ln].Drop(n.bufs)
		n.bufs.Put(o.memory[ln])
		n.bufs.Put(o.spare[ln])
		o.memory[ln], o.taken[ln], o.spare[ln] = nil, nil, nil
	}
	o.ready = nil
}
