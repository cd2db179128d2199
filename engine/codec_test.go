package engine_test

import (
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/opcode/codec/msgpack"
)

// Messages of two codecs, each a type of its own. protobuf has an Example, in its package.
type (
	plainText  struct{ Text string }
	packedText struct {
		Text string `msgpack:"t"`
	}
)

const (
	opPlain opcode.Opcode = 1400 + iota
	opPacked
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A type is encoded by the codec that its registration names, whichever way its messages go: Call and reply, Request, a message
// that is received by hand.
func TestWithCodec(t *testing.T) {
	worlds(t, func(w *world) {
		register := func(n *engine.Network) {
			must(w, engine.Handle(n, opPlain, func(ctx *engine.ComponentContext, m *plainText) error {
				return ctx.Reply(&packedText{m.Text + ", packed"})
			}))
			must(w, engine.Register[packedText](n, opPacked, engine.WithCodec(msgpack.Codec())))
		}
		var cb witness
		patient := func(c *engine.Config) { c.GateTimeout = time.Minute }
		a, b := w.node(nil, register), w.node(patient, register, withWitness(&cb))
		p := w.dial(a, b)
		w.Until("b to see a", func() bool { up, _, _ := cb.count(); return up == 1 })
		q := cb.peer(0)
		w.Do(func() {
			got, err := engine.Call[*packedText](brief(w), p, &plainText{"bytes"})
			if err != nil || got.Text != "bytes, packed" {
				w.Errorf("Call: %v, %v", got, err)
			}

			// Who replies by hand, and who asks without Call.
			asked := make(chan error, 1)
			gate, err := q.LockOnReceive(brief(w), opPacked)
			if err != nil {
				w.Error(err)
				return
			}
			go func() {
				defer gate.Unlock()
				m, err := gate.Receive(brief(w))
				if err != nil {
					asked <- err
					return
				}
				var text packedText
				v, verr := m.Value()
				if err := m.Decode(&text); err != nil || verr != nil || text.Text != "a question" || v.(*packedText).Text != text.Text {
					w.Errorf("received %v, %v, %v, %v", &text, err, v, verr)
				}
				asked <- m.Reply(&packedText{"an answer"})
			}()
			reply, err := p.Request(brief(w), &packedText{"a question"})
			if err := <-asked; err != nil {
				w.Error(err)
			}
			if err != nil {
				w.Error(err)
				return
			}
			var text packedText
			v, verr := reply.Message()
			if err := reply.Decode(&text); err != nil || verr != nil || text.Text != "an answer" || v.(*packedText).Text != text.Text {
				w.Errorf("the reply is %v, %v, %v, %v", &text, err, v, verr)
			}
		})
	})
}

// What another codec has written is no message: the reader is told, and the connection lives.
func TestCodecsDiffer(t *testing.T) {
	worlds(t, func(w *world) {
		a := w.node(nil, func(n *engine.Network) {
			must(w, engine.Register[packedText](n, opPlain, engine.WithCodec(msgpack.Codec())))
		})
		b := w.node(nil, func(n *engine.Network) {
			must(w, engine.Handle(n, opPlain, func(*engine.ComponentContext, *plainText) error {
				w.Error("handled")
				return nil
			}))
		})
		p := w.dial(a, b)
		w.Do(func() {
			if err := p.Send(brief(w), &packedText{"another form"}); err != nil {
				w.Error(err)
			}
		})
		w.Until("b to find no message", func() bool { return b.Stats().Undecodable == 1 })
		if !p.Connected() {
			w.Error("the connection ended")
		}
	})
}
