package engine_test

import (
	"context"
	"errors"
	"testing"

	"github.com/carrier-p2p/carrier/engine"
)

// How a connection ended is told once, not once for each side's view of it.
func TestCloseErrorText(t *testing.T) {
	cause := errors.New("codec: bytes left over")
	for _, c := range []struct {
		err  engine.CloseError
		want string
	}{
		{engine.CloseError{}, "engine: closed here: goodbye"},
		{engine.CloseError{Code: engine.CodeTimeout, Text: "silent"}, "engine: closed here: timeout: silent"},
		{engine.CloseError{Code: engine.CodeFull, Text: "full up", Remote: true}, "engine: closed by the peer: full: full up"},
		{engine.CloseError{Code: engine.CodeRefused, Text: cause.Error(), Err: cause}, "engine: closed here: refused: codec: bytes left over"},
		{engine.CloseError{Code: engine.CodeProtocol, Text: cause.Error(), Err: &engine.Fault{
			Whose: engine.Peers, Fate: engine.Close, Code: engine.CodeProtocol, Err: cause,
		}}, "engine: closed here: protocol, the peer's fault: codec: bytes left over"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// What the engine says of the failure of a part of it, which is one of its own errors too, names the engine once.
func TestFaultText(t *testing.T) {
	for _, c := range []struct {
		err  engine.Fault
		want string
	}{
		{engine.Fault{Whose: engine.Peers, Fate: engine.Drop, Err: engine.ErrMessageTooLarge}, "engine: the peer's fault, fate drop: message larger than its opcode allows"},
		{engine.Fault{Whose: engine.Path, Fate: engine.Close, Err: engine.ErrHandshakeTimeout}, "engine: the path's fault, fate close: handshake timed out"},
		{engine.Fault{Whose: engine.Ours, Err: errors.New("disk: full")}, "engine: our fault, fate drop: disk: full"},
		{engine.Fault{}, "engine: our fault, fate drop: no reason"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// Who waits for no opcode is told so, instead of waiting.
func TestReceiveNothing(t *testing.T) {
	worlds(t, func(w *world) {
		a, b := w.node(nil), w.node(nil)
		p := w.dial(a, b)
		w.Do(func() {
			if m, err := p.Receive(context.Background()); m != nil || err == nil || errors.Is(err, engine.ErrReceiveTimeout) {
				w.Errorf("Receive: %v, %v", m, err)
			}
			if g, err := p.LockOnReceive(context.Background()); g != nil || err == nil {
				w.Errorf("LockOnReceive: %v, %v", g, err)
			}
		})
	})
}
