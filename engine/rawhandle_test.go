package engine_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/opcode"
)

// Payloads that are bytes have a handler of one line, too. What it returns is heeded as a component's word is.
func TestHandleRaw(t *testing.T) {
	worlds(t, func(w *world) {
		later := &witness{}
		a := w.node(nil)
		b := w.node(nil, func(n *engine.Network) {
			must(w, engine.HandleRaw(n, opAsk, func(ctx *engine.ComponentContext) error {
				if len(ctx.Payload()) == 0 {
					return &engine.Fault{Whose: engine.Peers, Fate: engine.Close, Code: engine.CodeProtocol, Err: errors.New("nothing is asked")}
				}
				must(w, ctx.ReplyRaw(opTold, append([]byte("told "), ctx.Payload()...)))
				return engine.ErrIntercepted
			}))
		}, withWitness(later))
		p := w.dial(a, b)
		w.Do(func() {
			op, reply, err := p.RequestRaw(brief(w), opAsk, []byte("what"), nil)
			if op != opTold || string(reply) != "told what" || err != nil {
				w.Errorf("%v %q %v", op, reply, err)
			}
			if err := p.SendRaw(brief(w), opAsk, nil); err != nil {
				w.Error(err)
			}
		})
		w.Until("a to be closed", func() bool { return p.CloseReason() != nil })
		if why := p.CloseReason(); !strings.Contains(why.Error(), "nothing is asked") {
			w.Error(why)
		}
		if _, _, notes := later.count(); notes != 0 {
			w.Errorf("%d messages have come behind who handles them", notes)
		}
		if name := "handler of Opcode(1001)"; b.Stats().Components[name].Errors != 1 {
			w.Errorf("%+v: no error of %q", b.Stats().Components, name)
		}
	})
}

// Who gives no function, or an opcode that is not an application's to handle, is told at once and not by the first message.
func TestHandleNothing(t *testing.T) {
	w := liveWorld(t)
	n := w.New(w.config())
	if err := engine.HandleRaw(n, opAsk, nil); err == nil {
		t.Error("HandleRaw takes no function for one")
	}
	if err := engine.Handle[question](n, opAsk, nil); err == nil {
		t.Error("Handle takes no function for one")
	}
	if _, taken := n.Registry().ByCode(opAsk); taken {
		t.Error("and registers the type")
	}
	for _, op := range []opcode.Opcode{opcode.UnregisteredCode, opcode.PingCode, 900} {
		if err := engine.HandleRaw(n, op, func(*engine.ComponentContext) error { return nil }); !errors.Is(err, engine.ErrReserved) {
			t.Errorf("HandleRaw of %v: %v", op, err)
		}
	}
}

// A registered message that is too large is refused with the same error as one of raw bytes, whoever finds it too large.
func TestMessageTooLarge(t *testing.T) {
	worlds(t, func(w *world) {
		register := func(n *engine.Network) { must(w, engine.Register[told](n, opTold)) }
		a, b := w.node(nil, register), w.node(nil, register)
		p := w.dial(a, b)
		for _, size := range []int{opcode.DefaultPayloadLimit, opcode.MaxPayloadLimit + 1} { // above the opcode's limit, and the codec's
			m := &told{Text: strings.Repeat("x", size)}
			_, err := a.Broadcast(m)
			for by, err := range map[string]error{"TrySend": p.TrySend(m), "Broadcast": err, "Send": p.Send(brief(w), m)} {
				if !errors.Is(err, engine.ErrMessageTooLarge) {
					w.Errorf("%s of %d bytes: %v", by, size, err)
				}
			}
		}
		if sent, err := a.BroadcastRaw(opTold, make([]byte, opcode.DefaultPayloadLimit+1)); sent != 0 || !errors.Is(err, engine.ErrMessageTooLarge) {
			w.Errorf("BroadcastRaw: %d, %v", sent, err)
		}
		if sent, err := a.BroadcastRaw(opcode.PingCode, nil); sent != 0 || !errors.Is(err, engine.ErrReserved) {
			w.Errorf("BroadcastRaw of a Ping: %d, %v", sent, err)
		}
	})
}

// A request that is received by hand is answered by hand, with bytes too; what asks for nothing cannot be answered.
func TestMessageReplyRaw(t *testing.T) {
	worlds(t, func(w *world) {
		var cb witness
		p := w.dial(w.node(nil), w.node(nil, withWitness(&cb)))
		w.Until("b to see a", func() bool { up, _, _ := cb.count(); return up == 1 })
		q := cb.peer(0)
		w.Do(func() {
			gate, err := q.LockOnReceive(brief(w), opAsk)
			if err != nil {
				w.Error(err)
				return
			}
			answered := make(chan error, 1)
			go func() {
				m, err := gate.Receive(brief(w))
				if err == nil {
					err = m.ReplyRaw(opTold, append(m.Payload, " not"...))
				}
				gate.Unlock()
				answered <- err
			}()
			op, reply, err := p.RequestRaw(brief(w), opAsk, []byte("why"), nil)
			if sent := <-answered; op != opTold || string(reply) != "why not" || err != nil || sent != nil {
				w.Errorf("%v %q %v %v", op, reply, err, sent)
			}
			if gate, err = q.LockOnReceive(brief(w), opNote); err != nil {
				w.Error(err)
				return
			}
			defer gate.Unlock()
			if err := p.TrySendRaw(opNote, nil); err != nil {
				w.Error(err)
			}
			if m, err := gate.Receive(brief(w)); err != nil || !errors.Is(m.ReplyRaw(opTold, nil), engine.ErrNotRequest) {
				w.Errorf("an answer to no question: %v", err)
			}
		})
	})
}
