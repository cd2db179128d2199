package engine

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/opcode"
)

// Credit is how a receiver that cannot stop its reactor from reading bounds what it has to hold. Each side tells the
// other how many bytes of frames it may have sent in all (Credit, 20; a total, so that nothing is lost if one is late).
// Frames that keep the connection itself going are not counted: see credited.
//
// A sender looks at the account once per record, before sealing it, and sends while anything is left, so it may overdraw
// by less than one record. A receiver allows exactly that much.

// overdraft is that: the largest record's frames.
const overdraft = framing.FrameHeaderSize + framing.FramePayloadLimit

// uncounted has a bit for every opcode whose frames cost no credit.
const uncounted = 1<<opcode.KeepaliveCode | 1<<opcode.KeepaliveResponseCode | 1<<opcode.PingCode | 1<<opcode.PongCode |
	1<<opcode.DisconnectCode | 1<<opcode.ErrorCode | 1<<opcode.CreditCode

// credited reports whether frames of op cost credit.
func credited(op opcode.Opcode) bool { return op >= 32 || uncounted>>op&1 == 0 }

// A receipt is the receiving side's account. It belongs to the peer's loop.
type receipt struct {
	received uint64 // bytes of counted frames
	consumed uint64 // of these, done with
	granted  uint64 // the peer may send up to here
	window   uint32 // how far granted runs ahead of consumed
	grants   uint8  // since the clock of a window was started: see widen
	since    uint32 // when that was: engine time in milliseconds, modulo 2^32
	records  uint32 // opened, modulo 2^32; only compared with itself
	unknown  uint32 // messages of unknown opcodes
}

// take books a frame that has come.
func (r *receipt) take(size int) error {
	r.received += uint64(size)
	if r.received > r.granted+overdraft {
		return &Fault{Peers, Close, CodeLimit, fmt.Errorf("engine: credit overrun by %d bytes", r.received-r.granted)}
	}
	return nil
}

// consume books bytes that are done with.
func (p *PeerClient) consume(size int) { p.receipt.consumed += uint64(size) }

// grantFirst opens the peer's account. It is the first frame either side sends.
func (p *PeerClient) grantFirst() {
	if p.dg != nil {
		p.sendReceipt()
		return
	}
	p.receipt.window = uint32(p.net.cfg.ReceiveWindow)
	if err := p.sendCredit(uint64(p.receipt.window)); err != nil {
		p.loop.post(func() { p.end(&Fault{Ours, Close, CodeLimit, err}) }) // later: the caller is still opening it
	}
}

// grant tells the peer of new credit when enough has been consumed.
func (p *PeerClient) grant() {
	r := &p.receipt
	if r.window == 0 || !p.reads() {
		return
	}
	due := int64(r.consumed + uint64(r.window) - r.granted) // below 0 while a message that came in fragments is held
	if due < int64(r.window)/grantShare {
		return
	}
	p.widen()
	if total := r.consumed + uint64(r.window); total > r.granted {
		// Without memory for the news there is no new credit. It is tried again with whatever comes from the peer next, its
		// keepalive if nothing else.
		_ = p.sendCredit(total)
	}
}

// widen doubles the window of a stream: of a peer whose bytes are consumed at a window in widenWithin, while memory is
// plentiful. It need not come near the end of its credit: what it has sent and this side has not read lies in the sockets, and
// the account does not see it. Its grants are fewer then, each of which wakes the other side. Where requests are under way the
// window goes back to what it was, lest they wait behind all that a stream may have on the way.
func (p *PeerClient) widen() {
	r := &p.receipt
	if p.interactive(p.loop.now) {
		r.window, r.grants = uint32(p.net.cfg.ReceiveWindow), 0
		return
	}
	now := uint32(p.loop.now / time.Millisecond)
	if r.grants == 0 {
		r.since = now
	}
	if r.grants++; r.grants <= grantShare {
		return
	}
	r.grants = 0
	if now-r.since <= uint32(widenWithin/time.Millisecond) && p.net.bufs.Lent() < p.net.bufs.Limit()/2 {
		r.window = uint32(min(2*int(r.window), p.net.cfg.ReceiveWindowMax))
	}
}

// sendCredit tells the peer that it may send up to total.
func (p *PeerClient) sendCredit(total uint64) error {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], total)
	err := p.trySend(laneControl, opcode.CreditCode, 0, 0, b[:])
	if err == nil {
		p.receipt.granted = total
	}
	return err
}

// credited by the peer: we may send up to total.
func (p *PeerClient) creditFrom(f *framing.Frame) error {
	if p.dg != nil {
		return p.receiptFrom(f)
	}
	if len(f.Payload) != 8 {
		return &Fault{Peers, Close, CodeProtocol, fmt.Errorf("engine: Credit of %d bytes", len(f.Payload))}
	}
	total := binary.LittleEndian.Uint64(f.Payload)
	p.mu.Lock()
	s := &p.send
	if total < s.allowed || total-s.allowed > creditStep {
		allowed := s.allowed
		p.mu.Unlock()
		return &Fault{Peers, Close, CodeProtocol, fmt.Errorf("engine: Credit from %d to %d", allowed, total)}
	}
	s.allowed = total
	start := p.startLocked()
	p.mu.Unlock()
	if start {
		p.loop.schedule(p)
	}
	return nil
}

// creditStep bounds one grant: far more than any window, and far from where the total could wrap.
const creditStep = 1 << 40
