package engine

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/carrier-p2p/carrier/engine/internal/session"
	"github.com/carrier-p2p/carrier/engine/internal/timer"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/framing"
	"github.com/carrier-p2p/carrier/handshake"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// Path:   new link -> [open] -> open peer. Runs once per connection; the arithmetic of the handshake on a worker.
//
//	initiator                                    responder
//	  message 1 ─────────────────────────────────▶
//	  ◀───────────────────────────────── message 2
//	  message 3, first record: Credit ───────────▶  proven: decides whether the pair may have this connection
//	  ◀───────────────────── first record: Credit   yes: open.   (no: Disconnect, with the reason)
//	  open
//
// Over a link that proves keys and seals by itself (transport.ProvenLink) the handshake is two statements, the responder's
// first; what follows is the same.
//
// The connection is open when the responder says so, and nobody sends anything of weight before. That is what makes one
// connection per pair exact: a connection that loses has never carried a message. See pairs.go.

// A greeting is what a connection needs until it is open. It belongs to the peer's loop; the machine to the worker while
// busy is set.
type greeting struct {
	cut    session.Greeter
	timer  timer.Timer
	until  time.Duration       // when its time is over
	dial   *dialing            // nil: accepted
	busy   bool                // a worker computes
	linked *identity.PublicKey // the key that the link has proven of its other end; nil: it proves nothing
	lossy  bool                // over datagrams

	// Over datagrams.
	judged  []byte      // the message that a worker looks at
	attempt             // the one that came last
	others  []attempt   // of a responder that has been shown more than one message 1
	tried   int         // of others, with the message that is being judged
	kept    [][]byte    // have come while a worker was busy; at most keptLimit
	wrong   int         // messages that were judged and not the peer's; at most wrongLimit
	again   timer.Timer // sends the last answer again
	doubt   error       // somebody has answered who is not the one; nil: nobody
}

// An attempt is one run of the handshake. Over a stream there is one.
type attempt struct {
	machine  *handshake.Machine
	answered []byte // over datagrams: the last message that was the peer's
	answer   []byte // and what was said to it
}

// speaks reports whether it is this side that sends the first message: the initiator, or over a link that proves keys the
// responder.
func (g *greeting) speaks() bool { return (g.dial != nil) == (g.linked == nil) }

// start makes the machine of one side of one kind of handshake.
func (g *greeting) start(cfg *handshake.Config, now time.Duration) (*handshake.Machine, error) {
	switch {
	case g.linked == nil && g.dial == nil:
		return handshake.NewResponder(cfg, now)
	case g.linked == nil:
		return handshake.NewInitiator(cfg, now, g.dial.expect)
	case g.dial == nil:
		return handshake.NewProvenResponder(cfg, now, *g.linked)
	}
	return handshake.NewProvenInitiator(cfg, now, g.dial.expect, *g.linked)
}

// greeted takes bytes of a connection that is not open.
func (p *PeerClient) greeted(b []byte) {
	g := p.greet
	if err := g.cut.Keep(b); err != nil {
		p.botched(err)
		return
	}
	if !g.busy {
		p.nextGreeting()
	}
}

// nextGreeting gives the next whole handshake message to a worker.
func (p *PeerClient) nextGreeting() {
	msg, ok, err := p.greet.cut.Next()
	if err != nil {
		p.botched(err)
		return
	}
	if ok {
		p.step(append([]byte(nil), msg...))
	}
}

// step has a worker compute the next step of the handshake: the answer to msg, or the first message if msg is nil.
func (p *PeerClient) step(msg []byte) {
	g := p.greet
	g.busy, g.judged = true, msg
	now := p.loop.now
	cfg := p.net.ownRaw.Load()
	seen := p.link.Remote()
	work := func() (then func()) {
		out, err := g.compute(cfg, now, seen, msg)
		return func() { p.stepped(out, err) }
	}
	if !p.net.workers.try(p.loop, work) {
		p.net.counts.shed.Add(1)
		p.end(&Fault{Ours, Close, CodeFull, ErrBusy})
	}
}

// compute runs on a worker, which has the machine to itself. seen is where the peer's bytes come from, which it is told.
func (g *greeting) compute(cfg *handshake.Config, now time.Duration, seen transport.Addr, msg []byte) (out []byte, err error) {
	if g.machine == nil {
		if g.machine, err = g.start(cfg, now); err != nil {
			return nil, err
		}
		seen.AddrPort = netip.AddrPortFrom(seen.Addr().Unmap().WithZone(""), seen.Port()) // what an encoding can hold
		g.machine.Observe(seen)
		if g.lossy {
			g.machine.Lossy()
		}
	}
	if msg != nil {
		if err := g.machine.Receive(now, msg); err != nil {
			return nil, err
		}
	}
	for {
		wire, ok := g.machine.Next()
		if !ok {
			return out, nil
		}
		out = append(out, wire...)
	}
}

// stepped takes a worker's result back on the loop.
func (p *PeerClient) stepped(out []byte, err error) {
	if p.state() != stateHandshaking {
		return
	}
	g := p.greet
	g.busy = false
	defer p.keptGreeting()
	if err != nil {
		if p.otherwise() {
			return
		}
		if g.lossy && g.machine != nil && !g.machine.Over() {
			p.doubted(err)
			return
		}
		p.botched(greetError(err))
		return
	}
	g.answered, g.tried = g.judged, 0
	if !g.machine.Done() {
		p.writeGreeting(out)
		if p.state() == stateHandshaking {
			p.nextGreeting()
		}
		return
	}
	p.proven(g.machine.Result(), out)
}

// doubted: a message over datagrams was not the peer's. Anybody who knows the address can write one, so it is
// dropped, and the one that was asked for may still answer. Whoever has proven to be somebody else will
// mostly be the one who lives there: then it is not waited for long.
func (p *PeerClient) doubted(err error) {
	g := p.greet
	g.wrong++
	p.loop.received.dropped++
	if g.doubt != nil || errors.Is(err, handshake.ErrAuthentication) || errors.Is(err, handshake.ErrMessage) ||
		errors.Is(err, handshake.ErrMessageTooLong) || errors.Is(err, handshake.ErrLowOrder) {
		return
	}
	g.doubt = greetError(err)
	if at := p.loop.now + doubtAfter; at < g.until {
		p.loop.wheel.Set(&g.timer, at)
	}
}

// late ends a handshake whose time is over. Time in which this loop could not hear the other side is not counted.
func (p *PeerClient) late() {
	g, l := p.greet, p.loop
	limit := p.net.cfg.HandshakeTimeout
	if left := l.left(g.until-limit, limit); g.doubt == nil && left > 0 {
		l.wheel.Set(&g.timer, l.now+left)
		return
	}
	if g.doubt != nil {
		p.botched(g.doubt)
		return
	}
	p.end(&Fault{Path, Close, CodeTimeout, ErrHandshakeTimeout})
}

// botched ends a handshake in which the other side went wrong.
func (p *PeerClient) botched(err error) {
	p.net.counts.handshakesFailed.Add(1)
	p.end(&Fault{Peers, Close, CodeProtocol, err})
}

// greetError turns the handshake's errors into the engine's where there is one.
func greetError(err error) error {
	if errors.Is(err, handshake.ErrSelf) {
		return fmt.Errorf("%w: %w", ErrSelfDial, err)
	}
	return err
}

// writeGreeting writes a handshake message. A fresh connection's kernel buffer always takes one whole.
func (p *PeerClient) writeGreeting(out []byte) {
	if len(out) == 0 {
		return
	}
	if p.dg != nil {
		p.greet.answer = out
		p.repeatGreeting()
		out = session.AppendGreeting(nil, out)
	}
	n, err := p.link.Write(out)
	if err == nil && n < len(out) && p.dg == nil {
		err = io.ErrShortWrite
	}
	if err != nil {
		p.end(&Fault{Path, Close, CodeNone, err})
	}
}

// proven: the handshake is done and the other side is who it says. out is the last message, if we are the initiator.
func (p *PeerClient) proven(r handshake.Result, out []byte) {
	if d := p.greet.dial; d != nil && d.probe { // that is all that was asked; the other side hears no more
		d.finish(nil, nil)
		p.leave(&CloseError{})
		return
	}
	p.id, p.key, p.instance = r.ID, r.Remote.PublicKey, r.Params.Instance
	p.inflates = r.Params.Compression&compressS2 != 0
	if p.greet.linked != nil { // the link has sealed from the beginning, and the record is of the key it has proven
		p.recv.StartUnsealed()
		p.send.sealer.StartUnsealed()
	} else {
		p.recv.Start(r.Recv)
		p.send.sealer.Start(r.Send)
	}
	p.net.records.Add(r.ID, shown{r.Remote, r.Params.Observed})
	if !p.dialled {
		p.speaks = true
		p.admit()
		return
	}
	if err := p.net.pairs.claim(p); err != nil {
		p.end(&Fault{Ours, Close, CodeDuplicate, err})
		return
	}
	p.move(stateConfirming)
	p.speaks = true
	if p.dg != nil {
		p.writeGreeting(out)
		return
	}
	p.mu.Lock()
	p.outboundLocked().preface = out
	p.mu.Unlock()
	p.grantFirst()
	p.receive(p.greet.cut.Rest())
}

// admit: the responder decides whether the pair may have this connection, and says so.
func (p *PeerClient) admit() {
	err := p.net.pairs.admit(p)
	if errors.Is(err, errWait) { // an older connection of the pair is being taken leave of; admit is called again
		p.greet.busy = true // what comes meanwhile belongs to the records
		return
	}
	if err != nil {
		p.refuse(err)
		return
	}
	p.open()
}

// refuse tells a proven peer why it is not let in.
func (p *PeerClient) refuse(err error) {
	code := refusal(err)
	switch code {
	case CodeDuplicate:
		p.net.counts.duplicates.Add(1)
	case CodeFull:
		p.net.counts.refused.Add(1)
		p.net.events.publish(Event{Kind: PeerRefused, ID: p.id, Addr: p.link.Remote(), Err: err})
	}
	p.leave(&CloseError{Code: code, Text: err.Error(), Err: err})
}

// refusal is the code for why a pair may not have a connection.
func refusal(err error) Code {
	var limit *LimitError
	switch {
	case errors.Is(err, ErrDuplicate):
		return CodeDuplicate
	case errors.Is(err, ErrClosed):
		return CodeShutdown
	case errors.As(err, &limit):
		return CodeFull
	}
	return CodeRefused
}

// confirmed: the initiator has got the responder's first record. Its first frame says yes or no.
func (p *PeerClient) confirmed(f *framing.Frame) error {
	if f.Op != opcode.CreditCode {
		if f.Op == opcode.DisconnectCode || f.Op == opcode.ErrorCode {
			return p.builtin(f)
		}
		if p.dg != nil { // it has overtaken the responder's word, which will be said again
			return nil
		}
		return &Fault{Peers, Close, CodeProtocol, fmt.Errorf("engine: the first frame is %v, not Credit", f.Op)}
	}
	if err := p.builtin(f); err != nil {
		return err
	}
	err := p.net.pairs.confirm(p)
	if errors.Is(err, errWait) {
		p.inbound().shut = true // what follows has to wait too
		return nil
	}
	if err != nil {
		return &Fault{Ours, Close, refusal(err), err}
	}
	p.open()
	return nil
}

// readmit goes on where admit or confirmed had to wait for an older connection of the pair to go.
func (p *PeerClient) readmit() {
	switch p.state() {
	case stateHandshaking:
		p.admit()
	case stateConfirming:
		err := p.net.pairs.enrol(p)
		if errors.Is(err, errWait) { // yet another one has been faster
			return
		}
		if err != nil {
			p.end(&Fault{Ours, Close, refusal(err), err})
			return
		}
		p.open()
		p.in.shut = false
		p.resume()
	}
}

// open: the peer is in the ConnMgr; the components get to know it.
func (p *PeerClient) open() {
	l := p.loop
	p.move(stateOpen)
	g := p.greet
	l.wheel.Stop(&g.timer)
	l.wheel.Stop(&g.again)
	p.greet = nil
	p.openedAt.Store(int64(max(l.now, 1)))
	p.net.door.greeted(p.link.Remote(), p.dialled)
	p.net.door.opened()
	p.opened = true
	l.add(p)
	if !p.dialled {
		p.grantFirst() // before anybody who has found p in the ConnMgr can send
	}
	p.mu.Lock()
	p.send.open = true
	p.mu.Unlock()
	p.touch()
	p.net.counts.opened.Add(1)
	for _, s := range l.table.slots {
		l.guard(s, func() { s.component.PeerConnect(p) })
	}
	p.net.events.publish(Event{Kind: PeerUp, Peer: p, ID: p.id, Addr: p.link.Remote()})
	if g.dial != nil {
		g.dial.succeeded(p)
	} else if rest := g.cut.Rest(); p.state() == stateOpen && len(rest) > 0 {
		p.receive(rest)
	}
}
