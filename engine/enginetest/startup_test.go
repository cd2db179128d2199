package enginetest_test

import (
	"context"
	"testing"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/enginetest"
)

type word struct{ Text string }

// A whole component brings its messages, and what answers them, with it.
type whole struct{ engine.Component }

func (whole) Startup(n *engine.Network) {
	err := engine.Handle(n, opReminder, func(ctx *engine.ComponentContext, w *word) error {
		return ctx.Reply(&word{w.Text + " and a word"})
	})
	if err != nil {
		panic(err)
	}
}

// Startup may register messages and add components, in every world, and peers that come then find them.
func TestRegisterInStartup(t *testing.T) {
	enginetest.Both(t, func(w *enginetest.World) {
		a, b := w.Node(&whole{}), w.Node(&whole{})
		peer := w.Dial(a, b)
		w.Do(func() {
			if got, err := engine.Call[*word](context.Background(), peer, &word{"a word"}); err != nil || got.Text != "a word and a word" {
				w.Errorf("%v, %v", got, err)
			}
		})
		if s := a.Stats(); s.Panics != 0 {
			w.Errorf("%d panics", s.Panics)
		}
	})
}
