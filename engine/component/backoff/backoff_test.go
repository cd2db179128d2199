package backoff_test

import (
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/backoff"
	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

func TestMain(m *testing.M) { enginetest.VerifyMain(m) }

// A seat is one life of a simulated node.
type seat struct {
	*engine.Network
	w    *enginetest.World
	back *backoff.Component // nil: it has none
}

func config() *backoff.Config { return &backoff.Config{Watch: -1} }

func newWorld(t testing.TB) *enginetest.World { return enginetest.Sim(t, 1, simnet.Weather{}) }

// start starts the world's next node. cfg nil: without the component.
func start(w *enginetest.World, cfg *backoff.Config) *seat {
	w.Helper()
	x := &seat{w: w}
	var components []engine.ComponentInterface
	if cfg != nil {
		var err error
		if x.back, err = backoff.New(*cfg); err != nil {
			w.Fatal(err)
		}
		components = append(components, x.back)
	}
	x.Network = w.Node(components...)
	return x
}

// again is the next life of a node, without the component.
func (x *seat) again() *seat {
	x.w.Helper()
	return &seat{w: x.w, Network: x.w.Start(x.w.New(x.w.Again(x.Network)))}
}

func (x *seat) stop() { x.w.Stop(x.Network) }

// crash ends the node's life without a word; its host answers with a reset. a notices, since it sends something.
func (x *seat) crash(a *seat) {
	x.w.Crash(x.Network)
	if p, ok := a.ConnMgr().Peer(x.ID()); ok {
		_ = p.TrySendRaw(1000, nil)
	}
}

func (x *seat) connected(y *seat) bool { _, ok := x.ConnMgr().Peer(y.ID()); return ok }

// until lets at most limit of virtual time pass.
func (x *seat) until(what string, limit time.Duration, cond func() bool) {
	x.w.Helper()
	if !x.w.Net().RunUntil(cond, limit) {
		x.w.Fatalf("waited %v of virtual time in vain: %s; %+v", limit, what, x.back.Stats())
	}
}

func (x *seat) dial(y *seat) { x.w.Dial(x.Network, y.Network) }

// pair is a, which has the component and has dialled b, for longer than Stable.
func pair(t testing.TB, cfg *backoff.Config) (w *enginetest.World, a, b *seat) {
	w = newWorld(t)
	a, b = start(w, cfg), start(w, nil)
	a.dial(b)
	w.Pass(time.Minute)
	return w, a, b
}

// A peer that crashes and starts again is connected again, within the first wait after it is there.
func TestComesBack(t *testing.T) {
	w, a, b := pair(t, config())
	b.crash(a)
	a.until("the loss", time.Second, func() bool { return !a.connected(b) })
	b = b.again()
	a.until("the peer to be back", 2*backoff.FirstDefault, func() bool { return a.connected(b) })
	if s := a.back.Stats(); s.Lost != 1 || s.Reconnected != 1 || s.Dials != 1 || s.Waiting != 0 {
		t.Errorf("%+v", s)
	}
	w.Pass(2 * backoff.StableDefault)
	if all := a.back.Peers(); len(all) != 0 {
		t.Errorf("after the connection has lasted, still known: %+v", all)
	}
}

// Waits double from First to Max, less a part left to chance; after Attempts the peer is given up.
func TestWaits(t *testing.T) {
	cfg := config()
	cfg.Max, cfg.Attempts = 10*time.Second, 8
	w, a, b := pair(t, cfg)
	b.crash(a)
	var waits []time.Duration
	last, dials := w.Net().Now(), int64(0)
	w.Net().RunUntil(func() bool {
		if s := a.back.Stats(); s.Dials > dials {
			dials = s.Dials
			waits = append(waits, w.Net().Now()-last)
			last = w.Net().Now()
		}
		return a.back.Stats().GivenUp == 1
	}, time.Hour)
	if len(waits) != 8 {
		t.Fatalf("%d dials, want one for each attempt: %v", len(waits), waits)
	}
	full := time.Second
	for i, wait := range waits {
		if wait < full/2-time.Millisecond || wait > full+50*time.Millisecond {
			t.Errorf("wait %d is %v, want %v to %v", i, wait, full/2, full)
		}
		full = min(2*full, 10*time.Second)
	}
	w.Pass(time.Hour)
	if s := a.back.Stats(); s.Dials != 8 || s.Failed != 8 || s.Waiting != 0 || len(a.back.Peers()) != 0 {
		t.Errorf("after it was given up: %+v", s)
	}
}

// Who parts in an orderly way is forgotten, whoever said goodbye; who is enabled is dialled all the same.
func TestParted(t *testing.T) {
	for _, x := range []struct {
		name    string
		end     func(a, b *seat, p *engine.PeerClient)
		enabled bool
		again   bool
	}{
		{"the peer shuts down", func(_, b *seat, _ *engine.PeerClient) { b.stop() }, false, false},
		{"this node hangs up", func(_, _ *seat, p *engine.PeerClient) { p.Close() }, false, false},
		{"this node hangs up with a reason", func(_, _ *seat, p *engine.PeerClient) { p.Disconnect(engine.CodeApplication+1, "") }, false, false},
		{"the peer hangs up", func(a, b *seat, _ *engine.PeerClient) { q, _ := b.ConnMgr().Peer(a.ID()); q.Close() }, false, false},
		{"the peer has no room", func(a, b *seat, _ *engine.PeerClient) {
			q, _ := b.ConnMgr().Peer(a.ID())
			q.Disconnect(engine.CodeEvicted, "")
		}, false, true},
		{"the peer finds it silent", func(a, b *seat, _ *engine.PeerClient) {
			q, _ := b.ConnMgr().Peer(a.ID())
			q.Disconnect(engine.CodeTimeout, "")
		}, false, true},
		{"this node finds it silent", func(_, _ *seat, p *engine.PeerClient) { p.Disconnect(engine.CodeTimeout, "") }, false, true},
		{"this node makes room", func(_, _ *seat, p *engine.PeerClient) { p.Disconnect(engine.CodeEvicted, "") }, false, false},
		{"a breach of the protocol", func(_, _ *seat, p *engine.PeerClient) { p.Disconnect(engine.CodeProtocol, "") }, false, false},
		{"the peer vanishes", func(a, b *seat, _ *engine.PeerClient) { b.crash(a) }, false, true},
		{"enabled: the peer hangs up", func(a, b *seat, _ *engine.PeerClient) { q, _ := b.ConnMgr().Peer(a.ID()); q.Close() }, true, true},
		{"another connection replaces this one", func(a, b *seat, _ *engine.PeerClient) {
			q, _ := b.ConnMgr().Peer(a.ID())
			q.Disconnect(engine.CodeReplaced, "")
		}, false, false},
		{"enabled: this node hangs up", func(_, _ *seat, p *engine.PeerClient) { p.Close() }, true, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			w, a, b := pair(t, config())
			if x.enabled {
				if err := a.back.Enable(b.Target()); err != nil {
					t.Fatal(err)
				}
			}
			p, _ := a.ConnMgr().Peer(b.ID())
			x.end(a, b, p)
			w.Pass(10 * time.Second)
			if s := a.back.Stats(); (s.Dials > 0) != x.again || (s.Lost > 0) != x.again {
				t.Errorf("dialled again: %+v, want %v", s, x.again)
			}
		})
	}
}

// A connection that is replaced is not missed, but if the one that replaces it never opens, an enabled peer is dialled.
func TestReplacedByNothing(t *testing.T) {
	_, a, b := pair(t, config())
	if err := a.back.Enable(b.Target()); err != nil {
		t.Fatal(err)
	}
	q, _ := b.ConnMgr().Peer(a.ID())
	q.Disconnect(engine.CodeReplaced, "")
	a.until("the loss", time.Second, func() bool { return !a.connected(b) })
	a.until("the peer to be back", 2*backoff.FirstDefault, func() bool { return a.connected(b) })
	if s := a.back.Stats(); s.Lost != 0 || s.Dials != 1 {
		t.Errorf("%+v", s)
	}
}

// The side that was dialled does not dial, unless the peer is enabled; a disabled peer is never dialled.
func TestWhoIsDialled(t *testing.T) {
	for _, x := range []struct {
		name  string
		cfg   backoff.Config
		setup func(b, a *seat) error // b has the component and was dialled by a
		again bool
	}{
		{"was dialled", backoff.Config{}, func(b, a *seat) error { return nil }, false},
		{"enabled", backoff.Config{}, func(b, a *seat) error { return b.back.Enable(a.Target()) }, true},
		{"enabled, then disabled", backoff.Config{}, func(b, a *seat) error { return errors.Join(b.back.Enable(a.Target()), b.back.Disable(a.ID())) }, false},
		{"disabled, then enabled", backoff.Config{}, func(b, a *seat) error { return errors.Join(b.back.Disable(a.ID()), b.back.Enable(a.Target())) }, true},
		{"enabled, then forgotten", backoff.Config{}, func(b, a *seat) error { err := b.back.Enable(a.Target()); b.back.Forget(a.ID()); return err }, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := newWorld(t)
			x.cfg.Watch = -1
			a, b := start(w, nil), start(w, &x.cfg)
			a.dial(b)
			if err := x.setup(b, a); err != nil {
				t.Fatal(err)
			}
			w.Net().Partition([]netip.Addr{w.Host(a.Network).Addr()})
			p, _ := b.ConnMgr().Peer(a.ID())
			p.Disconnect(engine.CodeTimeout, "")
			w.Pass(10 * time.Second)
			if s := b.back.Stats(); (s.Dials > 0) != x.again {
				t.Errorf("dialled again: %+v, want %v", s, x.again)
			}
		})
	}
	t.Run("only those enabled", func(t *testing.T) {
		cfg := config()
		cfg.OnlyEnabled = true
		w, a, b := pair(t, cfg)
		b.crash(a)
		w.Pass(time.Minute)
		if s := a.back.Stats(); s.Dials != 0 {
			t.Errorf("%+v", s)
		}
	})
	t.Run("dialled and disabled", func(t *testing.T) {
		w, a, b := pair(t, config())
		if err := a.back.Disable(b.ID()); err != nil {
			t.Fatal(err)
		}
		b.crash(a)
		w.Pass(time.Minute)
		if s := a.back.Stats(); s.Dials != 0 || s.Lost != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// An enabled peer is dialled at once, though there never was a connection, and again for as long as it takes.
func TestEnable(t *testing.T) {
	w := newWorld(t)
	cfg := config()
	cfg.Attempts, cfg.Max = 3, 10*time.Second
	a, b := start(w, cfg), start(w, nil)
	target := b.Target()
	b.crash(a)
	if err := a.back.Enable(target); err != nil {
		t.Fatal(err)
	}
	w.Pass(5 * time.Minute)
	if s := a.back.Stats(); s.GivenUp != 0 || s.Dials < 20 || s.Waiting != 1 {
		t.Errorf("%+v", s)
	}
	b = b.again()
	a.until("the peer", 11*time.Second, func() bool { return a.connected(b) })
	for _, bad := range []engine.Target{{}, {Addr: target.Addr}, {ID: target.ID}} {
		if a.back.Enable(bad) == nil {
			t.Errorf("%v is accepted", bad)
		}
	}
}

// A peer that accepts and hangs up at once does not get its waits shortened by that.
func TestFlapping(t *testing.T) {
	w, a, b := pair(t, config())
	for range 1000 {
		if q, ok := b.ConnMgr().Peer(a.ID()); ok {
			q.Disconnect(engine.CodeTimeout, "")
		}
		w.Pass(time.Second)
	}
	if s := a.back.Stats(); s.Lost < 5 || s.Lost > 20 {
		t.Errorf("in 1000 s of hanging up it was dialled %d times", s.Lost)
	}
}

// After Wake everybody is tried at once, Dials at a time.
func TestWake(t *testing.T) {
	w := enginetest.Sim(t, 1, simnet.Weather{DialTimeout: 2 * time.Second})
	cfg := config()
	cfg.Dials = 3
	a := start(w, cfg)
	const peers = 10
	most := 0
	for i := range byte(peers) {
		w.Net().Host(netip.AddrFrom4([4]byte{10, 9, 9, i})).Vanish()
		if err := a.back.Enable(engine.Target{ID: identity.ID{i + 1}, Addr: transport.Addr{Proto: transport.TCP,
			AddrPort: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 9, 9, i}), 1)}}); err != nil {
			t.Fatal(err)
		}
	}
	watch := func() bool { most = max(most, a.back.Stats().Dialling); return false }
	w.Net().RunUntil(watch, 20*time.Minute) // nobody answers: the waits are at their longest
	before := a.back.Stats()
	a.back.Wake()
	w.Net().RunUntil(watch, time.Second)
	if s := a.back.Stats(); s.Dialling != 3 || most != 3 {
		t.Errorf("%d dials are under way, at most %d were, want 3", s.Dialling, most)
	}
	w.Net().RunUntil(watch, 10*time.Second)
	if s := a.back.Stats(); s.Dials < before.Dials+peers || s.Woken != 1 || most != 3 {
		t.Errorf("%d dials after Wake, want %d: %+v", s.Dials-before.Dials, peers, s)
	}
}

// A change of the machine's addresses is a Wake, while anybody is waited for.
func TestNetworkChange(t *testing.T) {
	enginetest.Simulate(t, 1, simnet.Weather{}, func(w *enginetest.World) {
		var here atomic.Pointer[string]
		var looks atomic.Int64
		one, other := "192.0.2.1", "198.51.100.1"
		here.Store(&one)
		a := start(w, &backoff.Config{First: time.Hour, Max: time.Hour, LocalAddrs: func() string { looks.Add(1); return *here.Load() }})
		b := start(w, nil)
		a.dial(b)
		w.Pass(time.Minute)
		if looks.Load() != 0 {
			t.Error("it looks though nobody is waited for")
		}
		b.crash(a)
		w.Pass(time.Minute)
		b = b.again()
		w.Pass(time.Minute)
		if s := a.back.Stats(); s.Dials != 0 || looks.Load() < 100 || looks.Load() > 125 {
			t.Errorf("%d looks in two minutes: %+v", looks.Load(), s)
		}
		here.Store(&other)
		a.until("the change", 2*backoff.WatchDefault, func() bool { return a.connected(b) })
		if s := a.back.Stats(); s.Woken != 1 || s.Dials != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// No more peers are waited for than Peers.
func TestFull(t *testing.T) {
	cfg := config()
	cfg.Peers = 3
	w := newWorld(t)
	a := start(w, cfg)
	var others []*seat
	for range 5 {
		b := start(w, nil)
		a.dial(b)
		others = append(others, b)
	}
	for _, b := range others {
		b.crash(a)
	}
	w.Pass(10 * time.Second)
	if s := a.back.Stats(); s.Waiting != 3 || s.Dropped != 2 {
		t.Errorf("%+v", s)
	}
	if err := a.back.Disable(identity.ID{77}); !errors.Is(err, backoff.ErrFull) {
		t.Errorf("Disable of one more: %v", err)
	}
}

// What is to be enabled can be said before Start; a component that is taken out dials nobody.
func TestLife(t *testing.T) {
	w := newWorld(t)
	b := start(w, nil)
	a := start(w, nil)
	back, err := backoff.New(*config())
	if err != nil {
		t.Fatal(err)
	}
	if err := back.Enable(b.Target()); err != nil {
		t.Fatal(err)
	}
	do := func(f func() error) {
		t.Helper()
		w.Do(func() {
			if err := f(); err != nil {
				t.Error(err)
			}
		})
	}
	a.back = back
	do(func() error { return a.AddComponent(back) })
	a.until("the peer", time.Second, func() bool { return a.connected(b) })
	do(func() error { return a.RemoveComponent(back) })
	b.crash(a)
	w.Pass(time.Minute)
	if s := back.Stats(); s.Dials != 1 || s.Lost != 0 {
		t.Errorf("%+v", s)
	}
}

// Between Startup and the first PeerConnect a peer may be connected without the component's knowing: it is
// not dialled again and again.
func TestStartsBeforeItHears(t *testing.T) {
	w := newWorld(t)
	a, b := start(w, nil), start(w, nil)
	back, err := backoff.New(backoff.Config{First: time.Second, Watch: -1})
	if err != nil {
		t.Fatal(err)
	}
	if err := back.Enable(b.Target()); err != nil {
		t.Fatal(err)
	}
	back.Startup(a.Network)
	w.Pass(10*time.Second + 500*time.Millisecond)
	if s := back.Stats(); !a.connected(b) || s.Dials < 2 || s.Dials > 11 {
		t.Errorf("connected: %v; %+v", a.connected(b), s)
	}
	peer, _ := a.ConnMgr().Peer(b.ID())
	back.PeerConnect(peer)
	before := back.Stats().Dials
	w.Pass(time.Minute)
	if s := back.Stats(); s.Dials != before {
		t.Errorf("dialled again though it is connected: %+v", s)
	}
	back.Cleanup(a.Network)
}

func TestConfig(t *testing.T) {
	for _, x := range []backoff.Config{{First: -1}, {Max: -1}, {Attempts: -1}, {Stable: -1}, {Dials: -1}, {Peers: -1}, {Jitter: -0.1}, {Jitter: 1.1}} {
		if _, err := backoff.New(x); err == nil {
			t.Errorf("%+v is accepted", x)
		}
	}
	if _, err := backoff.New(backoff.Config{First: -1, Peers: -1}); err == nil || len(err.(interface{ Unwrap() []error }).Unwrap()) != 2 {
		t.Errorf("two problems are reported as %v", err)
	}
}

// An address that does not answer does not keep the peer from being dialled at the next one.
func TestDeadAddressFirst(t *testing.T) {
	w := newWorld(t)
	a, b, gone := start(w, config()), start(w, nil), start(w, nil)
	hole := gone.Addrs()[0]
	w.Vanish(gone.Network)
	for _, at := range []transport.Addr{hole, b.Addrs()[0]} {
		if err := a.back.Enable(engine.Target{ID: b.ID(), Addr: at}); err != nil {
			t.Fatal(err)
		}
	}
	a.until("the peer", time.Second, func() bool { return a.connected(b) })
	if s := a.back.Stats(); s.Dials != 1 || s.Failed != 0 {
		t.Errorf("%+v", s)
	}
}
