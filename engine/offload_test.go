package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/carrier-p2p/carrier/engine"
)

// judge is a component with an opinion of each message.
type judge struct{ engine.Component }

func (judge) ComponentName() string { return "judge" }

func (judge) Receive(ctx *engine.ComponentContext) error {
	switch string(ctx.Payload()) {
	case "good":
		return engine.ErrIntercepted
	case "bad":
		return errors.New("bad")
	case "a fault, and no more":
		return &engine.Fault{Whose: engine.Peers, Fate: engine.Drop, Err: errors.New("dropped")}
	case "mad":
		panic("mad")
	}
	return fmt.Errorf("judge: %w", &engine.Fault{Whose: engine.Peers, Fate: engine.Close, Code: engine.CodeRefused, Err: errors.New("enough")})
}

// What Receive says of a message has the same consequences on a worker as on the loop: it is counted under the component's name,
// and a fault that is to close the connection does, however it is wrapped.
func TestOffloadedWord(t *testing.T) {
	for name, c := range map[string]engine.ComponentInterface{"on the loop": judge{}, "on a worker": engine.Offload(judge{}, 1)} {
		t.Run(name, func(t *testing.T) {
			w := liveWorld(t)
			a := w.node(nil)
			b := w.node(nil, func(n *engine.Network) { must(t, n.AddComponent(c, engine.Opcodes(opNote))) })
			p := w.dial(a, b)
			for _, word := range []string{"good", "bad", "a fault, and no more", "mad"} {
				must(t, p.TrySendRaw(opNote, []byte(word)))
			}
			w.Until("b to count them", func() bool {
				return b.Stats().Components["judge"] == engine.ComponentStats{Errors: 2, Panics: 1, SlowTurns: b.Stats().Components["judge"].SlowTurns}
			})
			if !p.Connected() {
				t.Error("disconnected for less than a fault that closes")
			}
			must(t, p.TrySendRaw(opNote, []byte("worse")))
			w.Until("a to be disconnected", func() bool { return p.CloseReason() != nil })
			if why := p.CloseReason().Error(); !strings.Contains(why, "refused: enough") {
				t.Error(why)
			}
			if got := b.Stats(); got.Components["judge"].Errors != 3 || got.Panics != 1 {
				t.Errorf("%+v", got)
			}
		})
	}
}
