package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/carrier-p2p/carrier/engine/internal/session"
	"github.com/carrier-p2p/carrier/engine/internal/timer"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/opcode"
)

// Path:   datagram -> [datagram] -> frames. Runs once per datagram, on the peer's loop.
// Cost:   0 allocations; the window costs one comparison and one bit.
// Bounds: ReceiveWindow bytes that have come and are not consumed; what comes beyond is dropped.
//
// A connection over datagrams differs from one over a stream in this:
//
//   - A message is one datagram or less. It may be lost, and messages may overtake each other; none comes twice.
//   - Each end sends the handshake's messages again until it has an answer.
//   - Credit cannot be a sum of bytes, as the two ends never agree what has arrived. How far a sender may run ahead is
//     counted in records instead: see flow. What a receiver holds is bounded by dropping.
//   - Goodbye is answered, and said again until it is.

// datagrams is what such a peer has besides what every peer has. Two hundred bytes.
type datagrams struct {
	link transport.DatagramLink // fixed

	// Owned by the loop.
	window session.Window
	owed   uint8       // records with messages that the peer has not been told of
	again  timer.Timer // sends what has had no answer: the probe of a flow that stands, a goodbye
	tries  int

	flow flow // under the peer's mu
}

// overDatagrams makes p a peer over datagrams if its link is one. p is not known to anybody yet.
func (p *PeerClient) overDatagrams() {
	if link, ok := p.link.(transport.DatagramLink); ok {
		p.dg = &datagrams{link: link, flow: newFlow()}
		p.receipt.granted = datagramGrant
		p.send.allowed = datagramGrant
	}
}

// datagramGrant is credit that nobody uses up: bytes are not what is counted.
const datagramGrant = 1 << 62

// datagram is the route of what comes: one line per stage. Whoever knows the address can send anything, so nothing that fails
// is a fault, and nothing is believed before it has opened.
func (p *PeerClient) datagram(b []byte) {
	if msg, ok := session.Greeting(b); ok {
		p.greetedAgain(msg)
		return
	}
	d := p.dg
	if p.state() == stateHandshaking { // a record that has overtaken the handshake
		p.loop.received.dropped++
		return
	}
	before := d.window.Next
	plain, newest, err := p.recv.OpenDatagram(b, &d.window)
	if err != nil {
		p.loop.received.dropped++
		return
	}
	p.heardAt.Store(int64(p.loop.now))
	d.link.Authentic(newest)
	p.touch()
	messages := p.receipt.received
	p.frames(p.affordable(plain))
	if p.receipt.received != messages {
		d.owed++
	}
	if gap := newest && d.window.Next > before+1; d.owed >= receiptEvery || (gap && d.owed > 0) {
		p.sendReceipt()
	}
}

// affordable is what there is room for of a record's frames. Where components, or a gate, hold as much as a peer may have here:
// what costs no credit, as a component may be waiting to send, and so for a receipt. Of a peer that is not open yet: nothing.
func (p *PeerClient) affordable(plain []byte) []byte {
	window := p.net.cfg.ReceiveWindow
	switch {
	case p.in.isShut() && len(p.in.plain)+len(plain) > window:
		plain = nil
	case p.in.gated() && len(p.in.plain)+len(plain) > window:
		plain = uncreditedOf(plain)
	case p.receipt.received-p.receipt.consumed > uint64(window):
		plain = uncreditedOf(plain)
	default:
		return plain
	}
	p.loop.received.dropped++
	return plain
}

// uncreditedOf moves the frames that cost no credit to the front of plain. What is no frame stays, for delivery to find.
func uncreditedOf(plain []byte) []byte {
	var f framing.Frame
	kept := plain[:0]
	for len(plain) > 0 {
		n, err := f.Next(plain)
		if err != nil {
			return append(kept, plain...)
		}
		if !credited(f.Op) {
			kept = append(kept, plain[:n]...)
		}
		plain = plain[n:]
	}
	return kept
}

// greetedAgain takes a handshake message, perhaps one that has come before.
func (p *PeerClient) greetedAgain(msg []byte) {
	switch g := p.greet; {
	case p.state() == stateHandshaking && g.busy:
		g.keep(msg)
	case p.state() == stateHandshaking && bytes.Equal(msg, g.answered):
		p.writeGreeting(g.answer)
	case p.state() == stateHandshaking && g.wrong >= wrongLimit && !g.knows(msg):
		p.loop.received.dropped++
	case p.state() == stateHandshaking && g.answered != nil && g.dial == nil && g.machine.Hello(msg):
		p.begunAgain(msg)
	case p.state() == stateHandshaking:
		g.tried = 0
		p.step(bytes.Clone(msg))
	case p.state() == stateOpen && !p.dialled && p.dg.window.Next == 0: // our first record has been lost
		p.sendReceipt()
	}
}

// knows reports whether a message is one that has been answered.
func (g *greeting) knows(msg []byte) bool {
	return bytes.Equal(msg, g.answered) || slices.ContainsFunc(g.others, func(a attempt) bool { return bytes.Equal(msg, a.answered) })
}

// keep keeps a message that has come while a worker is busy, unless it has come before: then it will come again.
func (g *greeting) keep(msg []byte) {
	known := len(g.kept) >= keptLimit || bytes.Equal(msg, g.judged) || g.knows(msg)
	for _, k := range g.kept {
		known = known || bytes.Equal(msg, k)
	}
	if !known {
		g.kept = append(g.kept, bytes.Clone(msg))
	}
}

// keptGreeting takes what has come while a worker was busy: with somebody else's message, it may be.
func (p *PeerClient) keptGreeting() {
	if g := p.greet; g != nil && !g.busy && len(g.kept) > 0 {
		msg := g.kept[0]
		g.kept = g.kept[1:]
		p.greetedAgain(msg)
		p.keptGreeting()
	}
}

// begunAgain takes a message 1 that is not the one that was answered. One of them is the initiator's, the other one somebody's
// who has seen its cookie and was faster: which is which shows in message 3, so each is answered.
func (p *PeerClient) begunAgain(msg []byte) {
	g := p.greet
	for i := range g.others {
		if bytes.Equal(msg, g.others[i].answered) {
			g.attempt, g.others[i] = g.others[i], g.attempt
			p.writeGreeting(g.answer)
			return
		}
	}
	if len(g.others) >= attemptsLimit-1 {
		p.loop.received.dropped++
		return
	}
	g.others = append(g.others, g.attempt)
	g.attempt, g.tried = attempt{}, len(g.others) // what is wrong with this one is not tried with others
	p.step(bytes.Clone(msg))
}

// otherwise goes on with another attempt where a message did not fit the one it was tried with, and reports whether there is one.
// An attempt that has failed for good is forgotten, as long as there are others.
func (p *PeerClient) otherwise() bool {
	g := p.greet
	last := len(g.others) - 1
	switch {
	case last < 0 || g.machine == nil:
		return false
	case g.machine.Over() || g.answered == nil:
		g.attempt, g.others = g.others[last], g.others[:last]
		g.wrong++
		p.loop.received.dropped++
		return true
	case g.tried > last:
		return false
	}
	g.attempt, g.others[g.tried] = g.others[g.tried], g.attempt
	g.tried++
	p.step(g.judged)
	return true
}

// repeatGreeting has the initiator send its last handshake message until something comes back. The responder answers what
// comes again with what it said before, so that one clock is enough for both.
func (p *PeerClient) repeatGreeting() {
	g := p.greet
	if p.dg == nil || g == nil || !p.dialled {
		return
	}
	g.again.Fire = func(time.Duration) {
		if p.greet == g {
			p.writeGreeting(g.answer)
		}
	}
	p.loop.wheel.Set(&g.again, p.loop.now+greetEvery)
}

// sendReceipt tells the peer what has come: u64 one above the highest record, u64 how many.
func (p *PeerClient) sendReceipt() {
	d := p.dg
	var b [receiptSize]byte
	binary.LittleEndian.PutUint64(b[:], d.window.Next)
	binary.LittleEndian.PutUint64(b[8:], d.window.Received)
	if p.trySend(laneControl, opcode.CreditCode, 0, 0, b[:]) == nil { // else with the next record, or the next sweep
		d.owed = 0
	}
}

const receiptSize = 16

// errFragment: a datagram has part of a message in it.
var errFragment = errors.New("engine: a message in fragments over datagrams")

// receiptFrom: the peer says what has come of what we sent. A receipt without news is a question: the peer may send no more
// and has not heard for a while.
func (p *PeerClient) receiptFrom(f *framing.Frame) error {
	if len(f.Payload) != receiptSize {
		return &Fault{Peers, Close, CodeProtocol, fmt.Errorf("engine: Credit of %d bytes over datagrams", len(f.Payload))}
	}
	next, received := binary.LittleEndian.Uint64(f.Payload), binary.LittleEndian.Uint64(f.Payload[8:])
	p.mu.Lock()
	err := p.dg.flow.told(next, received)
	news := err == nil && p.dg.flow.news
	start := news && p.startLocked()
	p.mu.Unlock()
	switch {
	case err != nil:
		return &Fault{Peers, Close, CodeProtocol, err}
	case start:
		p.loop.schedule(p)
	case !news && p.reads():
		p.sendReceipt()
	}
	return nil
}

// standing: messages wait and the flow lets none pass. Should no receipt come, the peer is asked for one.
func (p *PeerClient) standing() {
	d := p.dg
	if p.state() != stateOpen || d.again.Armed() {
		return
	}
	d.tries = 0
	d.again.Fire = p.askReceipt
	p.loop.wheel.Set(&d.again, p.loop.now+stallAfter)
}

// askReceipt asks, later and later, and for as long as a peer lives that never tells; one that is gone is the
// keepalive's business.
func (p *PeerClient) askReceipt(time.Duration) {
	d := p.dg
	p.mu.Lock()
	o := p.send.out
	stands := o != nil && o.queued > 0 && !d.flow.open()
	if stands {
		d.flow.stalled()
	}
	p.mu.Unlock()
	if !stands || p.state() != stateOpen {
		return
	}
	if d.tries++; d.tries == stallTries {
		d.link.Stalled()
	}
	p.sendReceipt()
	p.sendReceipt() // the first may have news for a peer that sends much itself; the second has none, and is answered
	wait := timer.Backoff{First: 2 * stallAfter, Max: stallMax}.Wait(d.tries, 0)
	p.loop.wheel.Set(&d.again, p.loop.now+wait)
}

// goodbyeAgain says goodbye over datagrams until it is answered. A peer that does not answer for a while is
// not waited for with what is queued. The linger time-out ends it.
func (p *PeerClient) goodbyeAgain(word goodbyeFrame) {
	d := p.dg
	if d == nil {
		return
	}
	d.tries = 0
	d.again.Fire = func(time.Duration) {
		d.tries++
		p.mu.Lock()
		o := p.outboundLocked()
		o.goodbye, o.cut = word, o.cut || d.tries >= goodbyeCut
		start := p.startLocked()
		p.mu.Unlock()
		if start {
			p.loop.schedule(p)
		}
		p.loop.wheel.Set(&d.again, p.loop.now+greetEvery)
	}
	p.loop.wheel.Set(&d.again, p.loop.now+greetEvery)
}

// hangUp ends a connection whose other side has said goodbye first, once it has been answered. On the loop.
func (p *PeerClient) hangUp() {
	if p.parting != nil && p.parting.last {
		p.link.Close()
	}
}

// sealDatagram is seal for the datagram at the front of a lane.
func (p *PeerClient) sealDatagram(o *outbound, ln lane) bool {
	s := &p.send
	n, frames, err := s.sealer.SealDatagram(o.taken[ln])
	if err != nil { // the key is used up, or a bug
		p.loop.post(func() { p.end(&Fault{Ours, Close, CodeInternal, err}) })
		p.park()
		return false
	}
	o.ready, o.taken[ln] = o.taken[ln][:n], o.taken[ln][n:]
	p.mu.Lock()
	p.dg.flow.sent++
	if ln != laneControl {
		s.spent += uint64(frames)
		o.queued -= frames
	}
	then := o.wakeLocked(p.net.cfg.SendBuffer)
	p.mu.Unlock()
	p.postAll(then)
	return true
}

// fitLocked has the lane gather datagrams of the path's present size, and reports what does not fit into one.
func (p *PeerClient) fitLocked(b *session.Batch, size int) error {
	limit := p.dg.link.DatagramLimit()
	b.SetDatagrams(limit)
	if size > limit-session.DatagramOverhead {
		return fmt.Errorf("%w: %d bytes, and a datagram to this peer carries %d", ErrMessageTooLarge,
			size-framing.FrameHeaderSize, limit-session.DatagramOverhead-framing.FrameHeaderSize)
	}
	return nil
}

// MessageLimit is the largest payload that one message to this peer may have at the moment, whatever its opcode allows: over
// datagrams what the path carries, else what fragments can.
func (p *PeerClient) MessageLimit() int {
	if p.dg == nil {
		return opcode.MaxPayloadLimit
	}
	return p.dg.link.DatagramLimit() - session.DatagramOverhead - framing.FrameHeaderSize
}

// Reliable reports whether messages to this peer arrive in order and without loss as long as the connection lives. If not,
// they come once or not at all.
func (p *PeerClient) Reliable() bool { return p.dg == nil }
