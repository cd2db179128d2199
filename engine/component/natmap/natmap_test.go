package natmap

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/gnetio"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// A notebook is an address book that remembers.
type notebook struct {
	engine.Component
	mu       sync.Mutex
	external []transport.Addr
}

func (b *notebook) SetMapped(_, external []transport.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.external = external
}

func (b *notebook) has() []transport.Addr {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.external
}

// liveNode is a node on loopback whose gateway is f.
func liveNode(t *testing.T, gateway netip.Addr) (*engine.Network, *Component, *notebook) {
	t.Helper()
	id, err := identity.FromSeed(t.Context(), [32]byte{1}, identity.Puzzle{})
	if err != nil {
		t.Fatal(err)
	}
	n, err := engine.New(engine.Config{
		Transport: gnetio.New(gnetio.Config{Loops: 1}), Identity: id, Puzzle: &identity.Puzzle{}, WeakPuzzle: true,
		Listen: []transport.Addr{{Proto: transport.TCP, AddrPort: netip.MustParseAddrPort("127.0.0.1:0")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	c, b := &Component{Gateway: gateway, Logger: slog.New(slog.DiscardHandler)}, &notebook{}
	for _, x := range []engine.ComponentInterface{b, c} {
		if err := n.AddComponent(x); err != nil {
			t.Fatal(err)
		}
	}
	return n, c, b
}

// A node maps its port as soon as it runs, tells the address book and whoever listens to events, and takes the mapping back
// when it stops.
func TestComponent(t *testing.T) {
	f := newFake(t)
	n, c, b := liveNode(t, f.at)
	events := n.Events(t.Context())
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	port := n.Addrs()[0].Port()
	want := []transport.Addr{{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(outside1, port)}}
	until(t, "the address book is told", func() bool { return slices.Equal(b.has(), want) })
	r := c.Report()
	if r.Kind() != KindMapped || r.Gateway.Addr != f.at || len(r.Mappings) != 1 || !r.Agents[PMP].Holder {
		t.Errorf("%+v", r)
	}
	told := false
	for e := range events {
		if told = e.Kind == engine.Reachability && strings.HasPrefix(e.Text, "mapped (NAT-PMP"); told {
			break
		}
	}
	if !told {
		t.Error("nobody was told")
	}
	if err := n.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.set(func() {
		if len(f.table) != 0 {
			t.Errorf("left behind: %v", f.table)
		}
	})
}

// A gateway that hangs holds up neither the start nor a loop, and the end no longer than farewellTimeout.
func TestComponentHangs(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.set(func() {
		f.deaf = true
		f.found = func(string) string { return "" }
	})
	n, c, _ := liveNode(t, f.at)
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "it has begun", func() bool { return c.Report().Gateway.Addr == f.at })
	then := make(chan Report, 1)
	if !n.HomeLoop().Post(func() { then <- c.Report() }) {
		t.Fatal("the loop has ended")
	}
	for _, a := range (<-then).Agents {
		if a.Err != nil {
			t.Errorf("the loop went on only when %v was given up: %v", a.Via, a.Err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), farewellTimeout+30*time.Second)
	defer cancel()
	if err := n.Shutdown(ctx); err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

// No gateway: nothing happens, and the report says why.
func TestComponentAlone(t *testing.T) {
	k := newKeeper(0, func() (Gateway, error) { return Gateway{}, ErrNoGateway }, nil)
	var last Report
	k.changed, k.event = func(r Report) { last = r }, func(event) { t.Error("an event") }
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	k.run(ctx)
	if last.Kind() != KindNoGateway || last.Problem != ErrNoGateway {
		t.Errorf("%+v", last)
	}
	(&Component{}).Cleanup(nil) // never started: nothing to wait for
}

// A modelled answers with the model of a router.
type modelled struct {
	r   *router
	at  *time.Time
	mu  *sync.Mutex
	lag time.Duration
}

func (d modelled) do(_ context.Context, act action) result {
	time.Sleep(d.lag) // in a bubble: virtual time
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.r.do(time.Since(*d.at), act)
}

// The host moves from one network to another and to none: the keeper follows within routeEvery, in virtual time.
func TestKeeperMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var mu sync.Mutex
		away := home
		away.Addr, away.Local = netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.9")
		routers := map[Gateway]*router{home: newRouter(), away: newRouter()}
		routers[away].address = outside2
		here := home
		k := newKeeper(0, func() (Gateway, error) {
			mu.Lock()
			defer mu.Unlock()
			if here.isZero() {
				return here, ErrNoGateway
			}
			return here, nil
		}, func(g Gateway) [protocols]dialect {
			d := modelled{routers[g], &began, &mu, 10 * time.Millisecond}
			return [protocols]dialect{d, d}
		})
		var last Report
		k.changed = func(r Report) { mu.Lock(); last = r; mu.Unlock() }
		k.event = func(event) {}
		k.want = func(netip.Addr) []Port { return []Port{tcp4001} }
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); k.run(ctx) }()
		for _, step := range []struct {
			to       Gateway
			external string
		}{{home, "25.64.0.10:4001"}, {away, "25.64.0.11:4001"}, {Gateway{}, ""}, {home, "25.64.0.10:4001"}} {
			mu.Lock()
			here = step.to
			mu.Unlock()
			time.Sleep(routeEvery + time.Second)
			synctest.Wait()
			mu.Lock()
			got := ""
			for _, m := range last.Mappings {
				got = m.External.String()
			}
			if got != step.external {
				t.Errorf("at %v: mapped %q, want %q", step.to.Addr, got, step.external)
			}
			for g, r := range routers {
				if g != step.to && len(r.ours(time.Since(began))) != 0 {
					t.Errorf("at %v: %v still has %q", step.to.Addr, g.Addr, r.ours(time.Since(began)))
				}
			}
			mu.Unlock()
		}
		cancel()
		<-done
		if left := routers[home].ours(time.Since(began)); left != nil {
			t.Errorf("left behind: %q", left)
		}
	})
}

// panicky is a library that cannot stand what the gateway says.
type panicky struct{}

func (panicky) do(context.Context, action) result { panic("index out of range") }

func TestCallPanics(t *testing.T) {
	act := action{Via: UPnP, Verb: verbMap, Port: tcp4001}
	if r := call(t.Context(), panicky{}, act); !errors.Is(r.Err, ErrNonsense) || r.Action.Via != UPnP || r.Action.Verb != verbMap || r.Action.Port != tcp4001 {
		t.Errorf("%+v", r)
	}
}

// Which ports of which listening addresses are mapped.
func TestPorts(t *testing.T) {
	private, global := netip.MustParseAddr("192.168.1.7"), netip.MustParseAddr("25.64.0.1")
	addr := func(s string) transport.Addr {
		a, err := transport.ParseAddr(s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for _, c := range []struct {
		local netip.Addr
		bound []string
		want  []Port
	}{
		{private, []string{"tcp://0.0.0.0:4001"}, []Port{tcp4001}},
		{private, []string{"tcp://[::]:4001", "udp://[::]:4001"}, []Port{tcp4001, udp4001}},
		{private, []string{"udp://0.0.0.0:4001", "quic://0.0.0.0:4001"}, []Port{udp4001}}, // one port
		{private, []string{"tcp://192.168.1.7:4001"}, []Port{tcp4001}},
		{private, []string{"tcp://127.0.0.1:4001", "tcp://192.168.2.7:4001", "tcp://[::1]:4001"}, nil},
		{global, []string{"tcp://0.0.0.0:4001"}, nil}, // nothing to translate
		{private, nil, nil},
	} {
		var bound []transport.Addr
		for _, s := range c.bound {
			bound = append(bound, addr(s))
		}
		if got := ports(bound, c.local); !slices.Equal(got, c.want) {
			t.Errorf("%v at %v: %v, want %v", c.bound, c.local, got, c.want)
		}
	}
	r := Report{Gateway: Gateway{Local: private}, Mappings: []Mapping{{udp4001, netip.AddrPortFrom(outside1, 5), UPnP}}}
	local, external := pairs([]transport.Addr{addr("quic://0.0.0.0:4001"), addr("tcp://0.0.0.0:4001")}, r)
	if !slices.Equal(local, []transport.Addr{addr("quic://192.168.1.7:4001")}) || !slices.Equal(external, []transport.Addr{addr("quic://25.64.0.10:5")}) {
		t.Errorf("%v %v", local, external)
	}
}

func TestPublic(t *testing.T) {
	for s, want := range map[string]bool{
		"25.64.0.10": true, "8.8.8.8": true, "223.255.255.255": true, "10.0.0.1": false, "192.168.1.1": false, "172.16.0.1": false,
		"100.64.0.1": false, "100.63.0.1": true, "127.0.0.1": false, "169.254.1.1": false, "0.0.0.0": false, "0.1.2.3": false,
		"224.0.0.1": false, "240.0.0.1": false, "255.255.255.255": false, "192.0.2.1": false, "198.51.100.1": false,
		"203.0.113.1": false, "198.18.0.1": false, "192.0.0.1": false,
	} {
		if got := public(netip.MustParseAddr(s)); got != want {
			t.Errorf("%s: %v", s, got)
		}
	}
	if public(netip.Addr{}) {
		t.Error("no address is public")
	}
}

// Events read well, and every kind has a name.
func TestEvents(t *testing.T) {
	e := event{Kind: mapped, Via: UPnP, Gateway: home.Addr, Port: tcp4001, External: netip.AddrPortFrom(outside1, 4002)}
	if got := e.String(); got != "mapped (UPnP at 192.168.1.1) tcp/4001 25.64.0.10:4002" {
		t.Error(got)
	}
	e = event{Kind: mappingRefused, Via: PMP, Port: udp4001, Err: ErrRefused}
	if got := e.String(); got != "mapping refused (NAT-PMP) udp/4001: natmap: the gateway refuses" {
		t.Error(got)
	}
	seen := map[string]bool{}
	for k := gatewayFound; k <= mappingRefused; k++ {
		seen[k.String()] = true
	}
	if len(seen) != int(mappingRefused) || seen["unknown"] || (mappingRefused+1).String() != "unknown" {
		t.Errorf("%v", seen)
	}
}
