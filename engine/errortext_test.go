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
		}}, "engine: closed here: protocol: fault of the peer's: codec: bytes left over"},
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
