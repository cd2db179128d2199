package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/carrier-p2p/carrier/engine/internal/timer"
	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/opcode"
)

// How a connection ends. There are three ways in, and one way out for all:
//
//	leave   this side says goodbye: Disconnect or Error, then what is queued, then half-close
//	left    the other side said goodbye
//	gone    the link is closed, for whatever reason
//
// Whichever comes first takes leave of the peer: it is forgotten, its calls fail, PeerDisconnect is called. gone gives the
// memory back.

// A parting is a connection that has been taken leave of and is not gone.
type parting struct {
	timer timer.Timer
	last  bool  // the other side said goodbye first: nothing more comes once ours is said
	keeps int64 // bytes, claimed of the relief and not given back yet
	deaf  bool  // what came behind the handshake was dropped with it, so what follows cannot be opened
}

// Disconnect closes the connection in an orderly way: what was sent before still arrives, and from now on
// nothing can be sent: ErrClosed. It returns at once; the peer's loop does the rest a moment later, and from
// then on every call fails with CloseReason. It is about this connection alone: where the pair moves to
// another one, or has (MoveTo), that stays, and is ended by its own PeerClient.
func (p *PeerClient) Disconnect(code Code, text string) {
	p.mu.Lock()
	p.send.open = false
	p.mu.Unlock()
	p.loop.post(func() { p.leave(&CloseError{Code: code, Text: text}) })
}

// Close is Disconnect without a reason. It never fails.
func (p *PeerClient) Close() error {
	p.Disconnect(CodeNone, "")
	return nil
}

// CloseReason says why the connection ended: a *CloseError, or nil while it has not.
func (p *PeerClient) CloseReason() error {
	if why := p.why.Load(); why != nil {
		return why
	}
	return nil
}

// closeError is CloseReason for those who need an error in any case.
func (p *PeerClient) closeError() error {
	if why := p.why.Load(); why != nil {
		return why
	}
	return &CloseError{Err: ErrClosed}
}

// end closes the connection because of err: a Fault, or something that is nobody's fault. On the loop.
func (p *PeerClient) end(err error) {
	why, cause := &CloseError{Code: CodeInternal, Err: err}, err
	var fault *Fault
	if errors.As(err, &fault) {
		why.Code, why.Err, cause = fault.Code, fault, fault.Err // whose fault it is reads differently over there
		p.net.counts.fault(fault)
		p.net.log.Debug("fault", "peer", p, "err", fault)
	}
	why.Text = clip(fmt.Sprint(cause))
	p.leave(why)
}

// leave ends the connection from this side. On the loop. A goodbye is said after what is queued, an error at once.
func (p *PeerClient) leave(why *CloseError) {
	if s := p.state(); s == stateDraining || s == stateClosed {
		return
	}
	deaf := p.state() == stateHandshaking && p.dg == nil
	p.takeLeave(why)
	if !p.speaks {
		p.link.Close()
		return
	}
	word := goodbyeFrame{op: opcode.DisconnectCode, payload: appendGoodbye(nil, why.Code, why.Text)}
	cut := why.Code == CodeProtocol || why.Code == CodeLimit || why.Code == CodeInternal
	if cut {
		word.op = opcode.ErrorCode
	}
	p.part(&parting{deaf: deaf}, word, cut)
	p.goodbyeAgain(word)
}

// part says a last word, after what is queued or, if that is cut off, at once. The link is closed when the other side hangs
// up, or after Config.LingerTimeout.
func (p *PeerClient) part(how *parting, word goodbyeFrame, cut bool) {
	p.parting = how
	how.timer.Fire = func(time.Duration) { p.link.Close() }
	p.loop.wheel.Set(&how.timer, p.loop.now+p.net.cfg.LingerTimeout)
	p.mu.Lock()
	o := p.outboundLocked()
	o.goodbye, o.cut = word, o.cut || cut
	start := p.startLocked()
	p.mu.Unlock()
	if start {
		p.loop.schedule(p)
	}
}

// left: the other side has said goodbye. On the loop. Over datagrams it is told that this has been heard.
func (p *PeerClient) left(why *CloseError) {
	if to := p.net.pairs.successor(p); why.Code == CodeReplaced && to != nil && p.state() == stateOpen {
		p.follow(to, why)
		return
	}
	p.takeLeave(why)
	if p.dg != nil {
		p.part(&parting{deaf: true, last: true}, goodbyeFrame{op: opcode.DisconnectCode, payload: appendGoodbye(nil, CodeNone, "")}, true)
		return
	}
	p.link.Close()
}

// takeLeave makes the peer a former one. It is called once, whatever ends the connection.
func (p *PeerClient) takeLeave(why *CloseError) {
	p.why.Store(why)
	wasOpen := p.opened
	p.move(stateDraining)
	p.mu.Lock()
	to := moved(p.send.err)
	if p.send.open = false; to == nil {
		p.send.err = why
	}
	var then []func()
	if o := p.send.out; o != nil {
		if o.room != nil {
			close(o.room)
			o.room = nil
		}
		then, o.then = o.then, nil
	}
	p.mu.Unlock()
	p.postAll(then)
	if g := p.greet; g != nil {
		p.loop.wheel.Stop(&g.timer)
		p.loop.wheel.Stop(&g.again)
		p.greet = nil
		p.net.pairs.forget(p)
		if g.dial != nil {
			g.dial.lost(p, why)
		}
	}
	if to != nil {
		p.passWaiters(to)
	}
	if !wasOpen {
		p.failCalls(why)  // of the connection before it
		p.endInbound(why) // what has come while it waited to be open
		return
	}
	p.opened = false
	p.loop.remove(p)
	p.net.pairs.takeOut(p)
	p.failCalls(why)
	p.endInbound(why)
	p.net.counts.closed.Add(1)
	p.net.counts.reason(why.Code)
	for _, s := range p.loop.table.slots {
		p.loop.guard(s, func() { s.component.PeerDisconnect(p) })
	}
	p.net.events.publish(Event{Kind: PeerDown, Peer: p, ID: p.id, Addr: p.link.Remote(), Err: why})
	p.net.pairs.left(p)
}

// gone: the link is closed, its descriptor still open. Everything is given back.
func (p *PeerClient) gone(err error) {
	if s := p.state(); s != stateDraining {
		why := &CloseError{Err: err}
		if errors.Is(err, io.EOF) {
			why.Remote, why.Text = true, "connection ended"
		}
		if said := p.in.lastWord(); said != nil {
			why = said
		}
		p.takeLeave(why)
	}
	p.move(stateClosed)
	if p.parting != nil {
		p.loop.wheel.Stop(&p.parting.timer)
		p.net.relief.given(p.parting.keeps)
		p.parting = nil
	}
	if p.dg != nil {
		p.loop.wheel.Stop(&p.dg.again)
	}
	p.endInbound(p.closeError())
	p.recv.Stop(p.net.bufs)
	p.mu.Lock()
	if p.send.out != nil {
		p.loop.wheel.Stop(&p.send.out.clock)
	}
	p.send.dead = true
	if p.send.flush != flushRunning {
		p.dropOutboundLocked()
	}
	p.mu.Unlock()
	p.loop.warm.drop(p)
	if p.openedAt.Load() == 0 { // not before: one that was refused and does not hang up has its place for as long as it lingers
		p.net.door.greeted(p.link.Remote(), p.dialled)
		return
	}
	p.net.door.gone()
}

// appendGoodbye writes the payload of Disconnect and Error: u32 code, text.
func appendGoodbye(b []byte, code Code, text string) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(code))
	return append(b, clip(text)...)
}

// goodbye reads it. A text that is no text is dropped: it is the peer's last word, not worth a fault.
func goodbye(b []byte) *CloseError {
	why := &CloseError{Remote: true}
	if len(b) >= 4 {
		why.Code = Code(binary.LittleEndian.Uint32(b))
		if text := string(b[4:]); utf8.ValidString(text) {
			why.Text = clip(text)
		}
	}
	return why
}

// clip shortens a text to what fits the wire, at the border of a character, and keeps it printable: it ends
// in logs and on terminals.
func clip(text string) string {
	if len(text) > closeTextLimit {
		text = text[:closeTextLimit]
		for !utf8.ValidString(text) && len(text) > 0 {
			text = text[:len(text)-1]
		}
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}

// builtin answers what is the engine's own business.
func (p *PeerClient) builtin(f *framing.Frame) error {
	if facts, ok := opcode.FactsOf(f.Op); ok && len(f.Payload) > facts.PayloadLimit {
		return messageFault(f.Op, framing.ErrMessageTooLarge)
	}
	if f.Flags&framing.FlagCompressed != 0 {
		return messageFault(f.Op, ErrCompressed)
	}
	if !builtin(f.Op) { // Keepalive and its response cost no credit either, but belong to a component
		if r := p.loop.table.row(f.Op); r != nil && len(r.receivers) > 0 {
			p.loop.held = 0
			return p.message(f, r)
		}
	}
	p.loop.count(int(f.Op), len(f.Payload))
	switch f.Op {
	case opcode.PingCode:
		return p.pinged(f)
	case opcode.PongCode:
		return p.ponged(f)
	case opcode.CreditCode:
		return p.creditFrom(f)
	case opcode.DisconnectCode, opcode.ErrorCode:
		p.left(goodbye(f.Payload))
	}
	return nil
}

// builtin reports whether the engine itself answers an opcode.
func builtin(op opcode.Opcode) bool {
	switch op {
	case opcode.PingCode, opcode.PongCode, opcode.CreditCode, opcode.DisconnectCode, opcode.ErrorCode, opcode.NoReplyCode:
		return true
	}
	return false
}

// speakable reports whether components and applications may send an opcode: all but what the engine answers, and what of the
// library's numbers has no meaning yet, where a later version may mean something else than whoever took it.
func speakable(op opcode.Opcode) bool {
	_, known := opcode.FactsOf(op)
	return !builtin(op) && op != opcode.UnregisteredCode && (known || op >= opcode.ApplicationOpCodeStart)
}
