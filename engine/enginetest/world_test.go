package enginetest_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/keepalive"
	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

func TestMain(m *testing.M) { enginetest.VerifyMain(m) }

// A tally counts what a component sees.
type tally struct {
	engine.Component
	ups, downs int
}

func (c *tally) PeerConnect(*engine.PeerClient)    { c.ups++ }
func (c *tally) PeerDisconnect(*engine.PeerClient) { c.downs++ }

func count(n *engine.Network) int { all, _ := n.ConnMgr().Count(); return all }

// The same lines are a scenario in both worlds.
func TestBoth(t *testing.T) {
	runs := 0
	enginetest.Both(t, func(w *enginetest.World) {
		runs++
		a, b := w.Node(), w.Node()
		p := w.Dial(a, b)
		if p.ID() != b.ID() || b.ID() != w.Key(2).ID() || count(b) != 1 {
			t.Errorf("connected to %v, want node 2, %v; it has %d peers", p.ID(), b.ID(), count(b))
		}
		w.Do(func() {
			if _, err := p.Ping(w.Context()); err != nil {
				t.Errorf("ping: %v", err)
			}
		})
		w.Stop(b)
		w.Until("a to notice", func() bool { return count(a) == 0 })
	})
	if runs != 2 {
		t.Errorf("the scenario ran %d times", runs)
	}
}

// An hour without a word passes in a moment, and who has vanished is noticed in it.
func TestSimulatedTime(t *testing.T) {
	w := enginetest.Sim(t, 7, simnet.Weather{Latency: 50 * time.Millisecond})
	seen := &tally{}
	alive := func() engine.ComponentInterface { return &keepalive.Component{} }
	a, b, c, d := w.Node(alive(), seen), w.Node(alive()), w.Node(alive()), w.Node(alive())
	for _, x := range []*engine.Network{b, c, d} {
		w.Dial(a, x)
	}
	w.Pass(time.Hour)
	if seen.ups != 3 || seen.downs != 0 || w.Net().Now() < time.Hour {
		t.Fatalf("after %v: %+v", w.Net().Now(), *seen)
	}
	w.Vanish(b)
	w.Pass(5 * time.Minute)
	if seen.downs != 1 || count(a) != 2 {
		t.Errorf("one has vanished: %+v, %d peers", *seen, count(a))
	}
	w.Crash(c)
	w.Pass(5 * time.Minute)
	if seen.downs != 2 {
		t.Errorf("one has crashed: %+v", *seen)
	}
	w.Kill(d)
	w.Pass(time.Second)
	if seen.downs != 3 || w.Alive(d) {
		t.Errorf("one was killed: %+v", *seen)
	}
}

// A node that comes back has its identity and its address, and randomness of its own.
func TestSecondLife(t *testing.T) {
	w := enginetest.Sim(t, 1, simnet.Weather{})
	a, b := w.Node(), w.Node()
	first := w.Dial(a, b)
	w.Crash(b)
	if w.Alive(b) || !w.Alive(a) {
		t.Errorf("b has crashed and is alive: %v; a is: %v", w.Alive(b), w.Alive(a))
	}
	again := w.Start(w.New(w.Again(b)))
	if again.ID() != b.ID() || again.Addrs()[0] != b.Addrs()[0] {
		t.Fatalf("came back as %v at %v", again.ID(), again.Addrs())
	}
	w.Do(func() { _ = first.SendRaw(t.Context(), 1000, nil) }) // nobody is there: a reset
	w.Until("a to notice", func() bool { return count(a) == 0 })
	w.Dial(a, again)
	one, two := w.ConfigOf(2), w.ConfigOf(2)
	if x, y := draw(t, one), draw(t, two); x == y {
		t.Error("two lives throw the same dice")
	}
}

func draw(t *testing.T, cfg engine.Config) (b [16]byte) {
	if _, err := cfg.Rand.Read(b[:]); err != nil {
		t.Fatal(err)
	}
	return b
}

// A node is where the test wants it, in all its lives.
func TestElsewhere(t *testing.T) {
	w := enginetest.Sim(t, 1, simnet.Weather{})
	at := netip.MustParseAddr("192.0.2.7")
	a, b := w.Start(w.New(w.ConfigAt(at))), w.Node()
	w.Dial(b, a)
	w.Crash(a)
	again := w.Start(w.New(w.Again(a)))
	if a.Addrs()[0].Addr() != at || again.Addrs()[0].Addr() != at || a.ID() != w.Key(1).ID() || b.ID() != w.Key(2).ID() {
		t.Errorf("at %v, and then at %v", a.Addrs(), again.Addrs())
	}
}

// One seed is one run.
func TestReplay(t *testing.T) {
	run := func(seed uint64) any {
		w := enginetest.Sim(t, seed, simnet.Weather{Latency: time.Millisecond, Jitter: 10 * time.Millisecond})
		a := w.Node()
		for range 5 {
			w.Dial(w.Node(), a)
		}
		w.Pass(time.Minute)
		return w.Net().Trace()
	}
	one, two, other := run(1), run(1), run(2)
	if one != two || one == other {
		t.Errorf("traces %v and %v of one seed, %v of another", one, two, other)
	}
}

func TestTryDial(t *testing.T) {
	enginetest.Both(t, func(w *enginetest.World) {
		a, b, c := w.Node(), w.Node(), w.Node()
		wrong := b.Target()
		wrong.ID = c.ID()
		if p, err := w.TryDial(a, wrong); p != nil || err == nil {
			t.Errorf("somebody else answered: %v, %v", p, err)
		}
		if _, err := w.TryDial(a, a.Target()); !errors.Is(err, engine.ErrSelfDial) {
			t.Errorf("dialled itself: %v", err)
		}
	})
}

// A witness is a test that fails without failing this one.
type witness struct {
	testing.TB
	said string
}

func (f *witness) Helper() {}
func (f *witness) Fatalf(format string, args ...any) {
	f.said = format
	panic(f)
}
func (f *witness) Fatal(args ...any) {
	f.said, _ = args[0].(string)
	panic(f)
}

func TestFailures(t *testing.T) {
	cases := []struct {
		name string
		want string
		do   func(w *enginetest.World)
	}{
		{"in vain", "in vain", func(w *enginetest.World) { w.Until("never", func() bool { return false }) }},
		{"crash of the living", "only simulated", func(w *enginetest.World) { w.Crash(w.Node()) }},
		{"another life of a stranger", "never lived", func(w *enginetest.World) {
			w.Again(w.New(engine.Config{Identity: w.Key(7), Puzzle: &identity.Puzzle{}, WeakPuzzle: true, Transport: simnet.New(1, simnet.Weather{}).Host(netip.MustParseAddr("10.0.0.1"))}))
		}},
		{"a live node somewhere else", "only simulated", func(w *enginetest.World) { w.ConfigAt(netip.MustParseAddr("10.0.0.1")) }},
		{"dial nobody", "dial", func(w *enginetest.World) {
			a, b := w.Node(), w.Node()
			w.Stop(b)
			w.Dial(a, b)
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := &witness{TB: t}
			w := enginetest.Live(f)
			w.Patience = 50 * time.Millisecond
			if c.name == "dial nobody" {
				w.Patience = time.Minute
			}
			defer func() {
				if recover() == nil || !strings.Contains(f.said, c.want) {
					t.Errorf("failed with %q, want %q", f.said, c.want)
				}
			}()
			c.do(w)
		})
	}
}
