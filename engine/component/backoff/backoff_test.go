package backoff_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/backoff"
	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

func TestMain(m *testing.M) {
	enginetest.VerifyMain(m)
}

// A seat is one life of an identity at 10.0.0.n, in virtual time.
type seat struct {
	*engine.Network
	t    testing.TB
	sim  *simnet.Net
	host *simnet.Host
	back *backoff.Component
	dead bool
}

func config() *backoff.Config { return &backoff.Config{Watch: -1} }

func start(t testing.TB, sim *simnet.Net, n, life byte, cfg *backoff.Config) *seat {
	t.Helper()
	id, err := identity.FromSeed(t.Context(), [32]byte{n}, identity.Puzzle{})
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.AddrFrom4([4]byte{10, 0, 0, n})
	x := &seat{t: t, sim: sim, host: sim.Host(addr)}
	x.Network, err = engine.New(engine.Config{
		Transport: x.host, Identity: id, Puzzle: &identity.Puzzle{}, WeakPuzzle: true, Rand: rand.NewChaCha8([32]byte{n, life}),
		Listen: []transport.Addr{{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(addr, 4001)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if cfg != nil {
		if x.back, err = backoff.New(*cfg); err != nil {
			t.Fatal(err)
		}
		if err := x.AddComponent(x.back); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.stop)
	return x
}

// stop shuts the node down, while virtual time goes on.
func (x *seat) stop() {
	if x.dead {
		return
	}
	x.dead = true
	done := make(chan struct{})
	go func() { defer close(done); _ = x.Shutdown(context.Background()) }()
	for {
		select {
		case <-done:
			return
		default:
			x.sim.Run(time.Millisecond)
		}
	}
}

// crash ends the node's life without a word; its host answers with a reset. a notices, since it sends something.
func (x *seat) crash(a *seat) {
	x.host.Crash()
	x.dead = true
	if p, ok := a.ConnMgr().Peer(x.ID()); ok {
		_ = p.TrySendRaw(1000, nil)
	}
}

func (x *seat) target() engine.Target { return engine.Target{Addr: x.Addrs()[0], ID: x.ID()} }

func (x *seat) connected(y *seat) bool { _, ok := x.ConnMgr().Peer(y.ID()); return ok }

func (x *seat) until(what string, limit time.Duration, cond func() bool) {
	x.t.Helper()
	if !x.sim.RunUntil(cond, limit) {
		x.t.Fatalf("waited %v of virtual time in vain: %s; %+v", limit, what, x.back.Stats())
	}
}

func (x *seat) dial(y *seat) *engine.PeerClient {
	x.t.Helper()
	if err := x.DialAsync(y.target(), func(*engine.PeerClient, error) {}); err != nil {
		x.t.Fatal(err)
	}
	if !x.sim.RunUntil(func() bool { return x.connected(y) && y.connected(x) }, time.Minute) {
		x.t.Fatal("not connected")
	}
	p, _ := x.ConnMgr().Peer(y.ID())
	return p
}

// pair is a, which has the component and has dialled b, for longer than Stable.
func pair(t testing.TB, cfg *backoff.Config) (sim *simnet.Net, a, b *seat) {
	sim = simnet.New(1, simnet.Weather{})
	a, b = start(t, sim, 1, 1, cfg), start(t, sim, 2, 1, nil)
	a.dial(b)
	sim.Run(time.Minute)
	return sim, a, b
}

// A peer that crashes and starts again is connected again, within the first wait after it is there.
func TestComesBack(t *testing.T) {
	sim, a, b := pair(t, config())
	b.crash(a)
	a.until("the loss", time.Second, func() bool { return !a.connected(b) })
	b = start(t, sim, 2, 2, nil)
	a.until("the peer to be back", 2*backoff.FirstDefault, func() bool { return a.connected(b) })
	if s := a.back.Stats(); s.Lost != 1 || s.Reconnected != 1 || s.Dials != 1 || s.Waiting != 0 {
		t.Errorf("%+v", s)
	}
	sim.Run(2 * backoff.StableDefault)
	if all := a.back.Peers(); len(all) != 0 {
		t.Errorf("after the connection has lasted, still known: %+v", all)
	}
}

// Waits double from First to Max, less a part left to chance; after Attempts the peer is given up.
func TestWaits(t *testing.T) {
	cfg := config()
	cfg.Max, cfg.Attempts = 10*time.Second, 8
	sim, a, b := pair(t, cfg)
	b.crash(a)
	var waits []time.Duration
	last, dials := sim.Now(), int64(0)
	sim.RunUntil(func() bool {
		if s := a.back.Stats(); s.Dials > dials {
			dials = s.Dials
			waits = append(waits, sim.Now()-last)
			last = sim.Now()
		}
		return a.back.Stats().GivenUp == 1
	}, time.Hour)
	if len(waits) != 8 {
		t.Fatalf("%d dials, want one for each attempt: %v", len(waits), waits)
	}
	full := time.Second
	for i, w := range waits {
		if w < full/2-time.Millisecond || w > full+50*time.Millisecond {
			t.Errorf("wait %d is %v, want %v to %v", i, w, full/2, full)
		}
		full = min(2*full, 10*time.Second)
	}
	sim.Run(time.Hour)
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
			sim, a, b := pair(t, config())
			if x.enabled {
				if err := a.back.Enable(b.target()); err != nil {
					t.Fatal(err)
				}
			}
			p, _ := a.ConnMgr().Peer(b.ID())
			x.end(a, b, p)
			sim.Run(10 * time.Second)
			if s := a.back.Stats(); (s.Dials > 0) != x.again || (s.Lost > 0) != x.again {
				t.Errorf("dialled again: %+v, want %v", s, x.again)
			}
		})
	}
}

// A connection that is replaced is not missed, but if the one that replaces it never opens, an enabled peer is dialled.
func TestReplacedByNothing(t *testing.T) {
	_, a, b := pair(t, config())
	if err := a.back.Enable(b.target()); err != nil {
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
		{"enabled", backoff.Config{}, func(b, a *seat) error { return b.back.Enable(a.target()) }, true},
		{"enabled, then disabled", backoff.Config{}, func(b, a *seat) error { return errors.Join(b.back.Enable(a.target()), b.back.Disable(a.ID())) }, false},
		{"disabled, then enabled", backoff.Config{}, func(b, a *seat) error { return errors.Join(b.back.Disable(a.ID()), b.back.Enable(a.target())) }, true},
		{"enabled, then forgotten", backoff.Config{}, func(b, a *seat) error { err := b.back.Enable(a.target()); b.back.Forget(a.ID()); return err }, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			sim := simnet.New(1, simnet.Weather{})
			x.cfg.Watch = -1
			a, b := start(t, sim, 1, 1, nil), start(t, sim, 2, 1, &x.cfg)
			a.dial(b)
			if err := x.setup(b, a); err != nil {
				t.Fatal(err)
			}
			sim.Partition([]netip.Addr{a.host.Addr()})
			p, _ := b.ConnMgr().Peer(a.ID())
			p.Disconnect(engine.CodeTimeout, "")
			sim.Run(10 * time.Second)
			if s := b.back.Stats(); (s.Dials > 0) != x.again {
				t.Errorf("dialled again: %+v, want %v", s, x.again)
			}
		})
	}
	t.Run("only those enabled", func(t *testing.T) {
		cfg := config()
		cfg.OnlyEnabled = true
		sim, a, b := pair(t, cfg)
		b.crash(a)
		sim.Run(time.Minute)
		if s := a.back.Stats(); s.Dials != 0 {
			t.Errorf("%+v", s)
		}
	})
	t.Run("dialled and disabled", func(t *testing.T) {
		sim, a, b := pair(t, config())
		if err := a.back.Disable(b.ID()); err != nil {
			t.Fatal(err)
		}
		b.crash(a)
		sim.Run(time.Minute)
		if s := a.back.Stats(); s.Dials != 0 || s.Lost != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// An enabled peer is dialled at once, though there never was a connection, and again for as long as it takes.
func TestEnable(t *testing.T) {
	sim := simnet.New(1, simnet.Weather{})
	cfg := config()
	cfg.Attempts, cfg.Max = 3, 10*time.Second
	a, b := start(t, sim, 1, 1, cfg), start(t, sim, 2, 1, nil)
	target := b.target()
	b.crash(a)
	if err := a.back.Enable(target); err != nil {
		t.Fatal(err)
	}
	sim.Run(5 * time.Minute)
	if s := a.back.Stats(); s.GivenUp != 0 || s.Dials < 20 || s.Waiting != 1 {
		t.Errorf("%+v", s)
	}
	b = start(t, sim, 2, 2, nil)
	a.until("the peer", 11*time.Second, func() bool { return a.connected(b) })
	for _, bad := range []engine.Target{{}, {Addr: target.Addr}, {ID: target.ID}} {
		if a.back.Enable(bad) == nil {
			t.Errorf("%v is accepted", bad)
		}
	}
}

// A peer that accepts and hangs up at once does not get its waits shortened by that.
func TestFlapping(t *testing.T) {
	sim, a, b := pair(t, config())
	for range 1000 {
		if q, ok := b.ConnMgr().Peer(a.ID()); ok {
			q.Disconnect(engine.CodeTimeout, "")
		}
		sim.Run(time.Second)
	}
	if s := a.back.Stats(); s.Lost < 5 || s.Lost > 20 {
		t.Errorf("in 1000 s of hanging up it was dialled %d times", s.Lost)
	}
}

// After Wake everybody is tried at once, Dials at a time.
func TestWake(t *testing.T) {
	sim := simnet.New(1, simnet.Weather{DialTimeout: 2 * time.Second})
	cfg := config()
	cfg.Dials = 3
	a := start(t, sim, 1, 1, cfg)
	const peers = 10
	most := 0
	for i := range byte(peers) {
		sim.Host(netip.AddrFrom4([4]byte{10, 9, 9, i})).Vanish()
		if err := a.back.Enable(engine.Target{ID: identity.ID{i + 1}, Addr: transport.Addr{Proto: transport.TCP,
			AddrPort: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 9, 9, i}), 1)}}); err != nil {
			t.Fatal(err)
		}
	}
	watch := func() bool { most = max(most, a.back.Stats().Dialling); return false }
	sim.RunUntil(watch, 20*time.Minute) // nobody answers: the waits are at their longest
	before := a.back.Stats()
	a.back.Wake()
	sim.RunUntil(watch, time.Second)
	if s := a.back.Stats(); s.Dialling != 3 || most != 3 {
		t.Errorf("%d dials are under way, at most %d were, want 3", s.Dialling, most)
	}
	sim.RunUntil(watch, 10*time.Second)
	if s := a.back.Stats(); s.Dials < before.Dials+peers || s.Woken != 1 || most != 3 {
		t.Errorf("%d dials after Wake, want %d: %+v", s.Dials-before.Dials, peers, s)
	}
}

// A change of the machine's addresses is a Wake, while anybody is waited for.
func TestNetworkChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := simnet.New(1, simnet.Weather{})
		sim.Settle(synctest.Wait)
		var here atomic.Pointer[string]
		var looks atomic.Int64
		one, other := "192.0.2.1", "198.51.100.1"
		here.Store(&one)
		a := start(t, sim, 1, 1, &backoff.Config{First: time.Hour, Max: time.Hour, LocalAddrs: func() string { looks.Add(1); return *here.Load() }})
		b := start(t, sim, 2, 1, nil)
		a.dial(b)
		sim.Run(time.Minute)
		if looks.Load() != 0 {
			t.Error("it looks though nobody is waited for")
		}
		b.crash(a)
		sim.Run(time.Minute)
		b = start(t, sim, 2, 2, nil)
		sim.Run(time.Minute)
		if s := a.back.Stats(); s.Dials != 0 || looks.Load() < 100 || looks.Load() > 125 {
			t.Errorf("%d looks in two minutes: %+v", looks.Load(), s)
		}
		here.Store(&other)
		a.until("the change", 2*backoff.WatchDefault, func() bool { return a.connected(b) })
		if s := a.back.Stats(); s.Woken != 1 || s.Dials != 1 {
			t.Errorf("%+v", s)
		}
		a.stop()
		b.stop()
		synctest.Wait()
	})
}

// No more peers are waited for than Peers.
func TestFull(t *testing.T) {
	cfg := config()
	cfg.Peers = 3
	sim := simnet.New(1, simnet.Weather{})
	a := start(t, sim, 1, 1, cfg)
	var others []*seat
	for i := range byte(5) {
		b := start(t, sim, 10+i, 1, nil)
		a.dial(b)
		others = append(others, b)
	}
	for _, b := range others {
		b.crash(a)
	}
	sim.Run(10 * time.Second)
	if s := a.back.Stats(); s.Waiting != 3 || s.Dropped != 2 {
		t.Errorf("%+v", s)
	}
	if err := a.back.Disable(identity.ID{77}); !errors.Is(err, backoff.ErrFull) {
		t.Errorf("Disable of one more: %v", err)
	}
}

// What is to be enabled can be said before Start; a component that is taken out dials nobody.
func TestLife(t *testing.T) {
	sim := simnet.New(1, simnet.Weather{})
	b := start(t, sim, 2, 1, nil)
	a := start(t, sim, 1, 1, nil)
	back, err := backoff.New(*config())
	if err != nil {
		t.Fatal(err)
	}
	if err := back.Enable(b.target()); err != nil {
		t.Fatal(err)
	}
	do := func(f func() error) {
		t.Helper()
		done := make(chan error, 1)
		go func() { done <- f() }()
		for {
			select {
			case err := <-done:
				if err != nil {
					t.Fatal(err)
				}
				return
			default:
				sim.Run(time.Millisecond)
			}
		}
	}
	a.back = back
	do(func() error { return a.AddComponent(back) })
	a.until("the peer", time.Second, func() bool { return a.connected(b) })
	do(func() error { return a.RemoveComponent(back) })
	b.crash(a)
	sim.Run(time.Minute)
	if s := back.Stats(); s.Dials != 1 || s.Lost != 0 {
		t.Errorf("%+v", s)
	}
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
	sim := simnet.New(1, simnet.Weather{})
	a, b, gone := start(t, sim, 1, 1, config()), start(t, sim, 2, 1, nil), start(t, sim, 3, 1, nil)
	hole := gone.Addrs()[0]
	gone.host.Vanish()
	gone.dead = true
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
