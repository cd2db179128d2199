package engine_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/opcode"
)

// A book answers for messages that want to be acknowledged: it writes down what it is told.
type book struct {
	engine.Component
	mu     sync.Mutex
	log    []string
	arrive func(id uint32) (bool, error)
}

func (b *book) Opcodes() []opcode.Opcode { return nil }

func (b *book) Arrived(p *engine.PeerClient, id uint32) (bool, error) {
	b.note("arrived %d", id)
	if b.arrive != nil {
		return b.arrive(id)
	}
	return true, nil
}

func (b *book) Taken(p *engine.PeerClient, id uint32, refused error) {
	b.note("taken %d %v", id, refused)
}

func (b *book) note(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.log = append(b.log, fmt.Sprintf(format, args...))
}

func (b *book) seen() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.log)
}

// Who answers for messages is asked before they are handed over, and told how that went; other messages are not its business.
func TestAckable(t *testing.T) {
	worlds(t, func(w *world) {
		w.streamed("messages in fragments")
		answers := &book{arrive: func(id uint32) (bool, error) { return id != 3, nil }}
		refuses := errors.New("not now")
		c := &witness{on: func(ctx *engine.ComponentContext) error {
			if ctx.IsRequest() {
				w.Error("a message that wants to be acknowledged passes for a request")
			}
			switch string(ctx.Payload()) {
			case "refused":
				return refuses
			case "panics":
				panic("as it was told")
			case "intercepted":
				return engine.ErrIntercepted
			}
			return nil
		}}
		b := w.node(nil, withWitness(c), func(n *engine.Network) { n.AddComponent(answers) })
		p := w.dial(w.node(nil), b)
		large := string(bytes.Repeat([]byte("x"), 200_000)) // in fragments
		for i, text := range []string{"one", "plain", "intercepted", "again", "refused", large, "panics", "last"} {
			var err error
			if text == "plain" {
				err = p.TrySendRaw(opNote, []byte(text))
			} else {
				err = p.TrySendAckable(opNote, uint32(i), []byte(text))
			}
			if err != nil {
				w.Fatal(err)
			}
		}
		if err := p.TrySendAckable(opAsk+1000, engine.AckIDs-1, nil); err != nil { // nobody wants it
			w.Fatal(err)
		}
		want := []string{"arrived 0", "taken 0 <nil>", "arrived 2", "taken 2 <nil>", "arrived 3", "arrived 4", "taken 4 not now",
			"arrived 5", "taken 5 <nil>", "arrived 6", "arrived 7", "taken 7 <nil>"}
		w.Until("all messages", func() bool { return len(answers.seen()) >= len(want) })
		w.Pass(time.Second)
		if got := answers.seen(); !slices.Equal(got, want) {
			w.Errorf("the one who answers was told\n%q, want\n%q", got, want)
		}
		handed := []string{"one", "plain", "intercepted", "refused", large, "panics", "last"}
		c.mu.Lock()
		defer c.mu.Unlock()
		if !slices.Equal(c.notes, handed) {
			w.Errorf("%d messages were handed over, want %d", len(c.notes), len(handed))
		}
		if s := b.Stats(); s.Panics != 1 || s.Components["engine_test.witness"].Errors != 1 {
			w.Errorf("counted: %+v", s.Components)
		}
	})
}

// A number of a message that wants to be acknowledged is not the number of another message in fragments: both are put together.
func TestAckableBesideFragments(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{})
	c := &witness{}
	b := w.node(nil, withWitness(c), func(n *engine.Network) { n.AddComponent(&book{}) })
	p := w.dial(w.node(nil), b)
	large := bytes.Repeat([]byte("x"), 100_000)
	for id := range uint32(3) {
		if err := errors.Join(p.TrySendAckable(opNote, id, large), p.TrySendRaw(opNote, large)); err != nil {
			t.Fatal(err)
		}
		p.RequestRawAsync(opAsk, large, 0, func(_ *engine.ComponentContext, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	w.Until("all messages", func() bool { _, _, n := c.count(); return n == 9 })
	if s := b.Stats(); s.FaultsPeers != 0 || s.Peers != 1 {
		t.Errorf("faults: %+v", s)
	}
}

// Without anybody who answers such a message is dropped: its sender would repeat it. A Fault of the one who answers ends
// the connection; its other errors are counted.
func TestAckableRefused(t *testing.T) {
	fault := &engine.Fault{Whose: engine.Peers, Fate: engine.Close, Code: engine.CodeProtocol, Err: errors.New("never sent that")}
	for _, x := range []struct {
		name   string
		answer *book
		lives  bool
		check  func(engine.Stats) bool
	}{
		{"nobody answers", nil, true, func(s engine.Stats) bool { return s.Unhandled == 1 }},
		{"an error", &book{arrive: func(uint32) (bool, error) { return true, errors.New("no") }}, true,
			func(s engine.Stats) bool { return s.Components["engine_test.book"].Errors == 1 }},
		{"a fault", &book{arrive: func(uint32) (bool, error) { return true, fault }}, false,
			func(s engine.Stats) bool { return s.FaultsPeers == 1 && s.ClosedFor[engine.CodeProtocol] == 1 }},
		{"a panic", &book{arrive: func(uint32) (bool, error) { panic("no") }}, true,
			func(s engine.Stats) bool { return s.Panics == 1 && s.Components["engine_test.book"].Panics == 1 }},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := simWorld(t, 1, simnet.Weather{})
			c := &witness{}
			b := w.node(nil, withWitness(c), func(n *engine.Network) {
				if x.answer != nil {
					n.AddComponent(x.answer)
				}
			})
			p := w.dial(w.node(nil), b)
			if err := p.TrySendAckable(opNote, 1, []byte("x")); err != nil {
				t.Fatal(err)
			}
			w.Pass(time.Second)
			if _, _, notes := c.count(); notes != 0 {
				t.Error("it was handed over")
			}
			if s := b.Stats(); !x.check(s) {
				t.Errorf("counted: %+v", s)
			}
			if p.Connected() != x.lives {
				t.Errorf("connected: %v", p.Connected())
			}
		})
	}
}

// The instance tells a restarted peer from one that has come back.
func TestInstance(t *testing.T) {
	w := simWorld(t, 1, simnet.Weather{})
	a, b := w.node(nil), w.node(nil)
	first := w.dial(a, b)
	first.Close()
	w.Until("the end", func() bool { return b.Stats().Peers == 0 })
	again := w.dial(a, b)
	if first.Instance() == 0 || again.Instance() != first.Instance() {
		t.Errorf("instances %d and %d of one process", first.Instance(), again.Instance())
	}
}
