package addressmap_test

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/addressmap"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// start starts a node on a host of the simulated network.
func start(t *testing.T, net *simnet.Net, seed byte, ip string, components ...engine.ComponentInterface) *engine.Network {
	t.Helper()
	id, err := identity.FromSeed(t.Context(), [32]byte{seed}, identity.Puzzle{})
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddr(ip)
	n, err := engine.New(engine.Config{
		Transport: net.Host(addr), Identity: id, Puzzle: &identity.Puzzle{}, WeakPuzzle: true, Rand: rand.NewChaCha8([32]byte{seed}),
		Listen: []transport.Addr{{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(addr, 4001)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range components {
		if err := n.AddComponent(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		done := make(chan struct{})
		go func() { defer close(done); _ = n.Shutdown(context.Background()) }()
		for {
			select {
			case <-done:
				return
			default:
				net.Run(time.Millisecond)
			}
		}
	})
	return n
}

// What peers see of a node in a network without an outside is not taken for one, however many of them agree.
func TestNoOutside(t *testing.T) {
	net := simnet.New(1, simnet.Weather{Latency: 10 * time.Millisecond})
	c := addressmap.New(addressmap.Config{})
	n := start(t, net, 1, "10.0.0.1", c)
	var peers []*engine.Network
	for i, ip := range []string{"30.1.0.1", "30.2.0.1", "30.3.0.1"} {
		peers = append(peers, start(t, net, byte(10+i), ip))
	}
	if got := c.External(); got != nil {
		t.Fatalf("alone it knows %v", got)
	}
	for _, p := range peers {
		if err := n.DialAsync(engine.Target{Addr: p.Addrs()[0], ID: p.ID()}, func(*engine.PeerClient, error) {}); err != nil {
			t.Fatal(err)
		}
	}
	connected := func() bool { all, _ := n.ConnMgr().Count(); return all == len(peers) }
	if !net.RunUntil(connected, time.Minute) {
		t.Fatal("not connected")
	}
	if got := c.External(); got != nil { // 10.0.0.1 is nobody's address outside
		t.Errorf("it believes %v", got)
	}
}

// Peers from outside come in: what they have dialled goes into the record, once, and relayed addresses and flags stay.
func TestRecord(t *testing.T) {
	net := simnet.New(2, simnet.Weather{Latency: 10 * time.Millisecond})
	c := addressmap.New(addressmap.Config{})
	n := start(t, net, 1, "25.64.0.10", c)
	relay := transport.Addr{Proto: transport.Relay, AddrPort: netip.MustParseAddrPort("30.9.0.1:4001")}
	if err := n.Advertise(append(n.Record().Addrs, relay), identity.FlagRelay); err != nil {
		t.Fatal(err)
	}
	for i, ip := range []string{"30.1.0.1", "30.2.0.1", "30.3.0.1"} {
		p := start(t, net, byte(10+i), ip)
		if err := p.DialAsync(engine.Target{Addr: n.Addrs()[0], ID: n.ID()}, func(*engine.PeerClient, error) {}); err != nil {
			t.Fatal(err)
		}
	}
	if !net.RunUntil(func() bool { all, _ := n.ConnMgr().Count(); return all == 3 }, time.Minute) {
		t.Fatal("not connected")
	}
	if got := c.External(); !slices.Equal(got, []netip.Addr{netip.MustParseAddr("25.64.0.10")}) {
		t.Errorf("external: %v", got)
	}
	mapped := transport.Addr{Proto: transport.TCP, AddrPort: netip.MustParseAddrPort("25.64.0.99:7")}
	before := n.Record().Seq
	c.SetMapped(n.Addrs(), []transport.Addr{mapped})
	c.SetMapped(n.Addrs(), []transport.Addr{mapped}) // nothing new
	rec := n.Record()
	// Three groups see another address than the gateway says: its word goes to the end.
	if want := []transport.Addr{n.Addrs()[0], mapped, relay}; !slices.Equal(rec.Addrs, want) || rec.Flags != identity.FlagRelay || rec.Seq != before+1 {
		t.Errorf("record %v, flags %v, sequence %d after %d; want %v", rec.Addrs, rec.Flags, rec.Seq, before, want)
	}
	if got := c.Addrs(); !slices.Equal(got, rec.Addrs[:2]) {
		t.Errorf("the component says %v", got)
	}
	if got := c.Order([]transport.Addr{relay, {Proto: transport.TCP, AddrPort: netip.MustParseAddrPort("192.168.77.1:1")}}); !slices.Equal(got, []transport.Addr{relay}) {
		t.Errorf("of a relay and a private address elsewhere it tries %v", got)
	}
}

// Before the start it has no opinion and loses nothing.
func TestBeforeStart(t *testing.T) {
	c := addressmap.New(addressmap.Config{})
	mapped := []transport.Addr{{Proto: transport.TCP, AddrPort: netip.MustParseAddrPort("25.64.0.99:7")}}
	c.SetMapped(nil, mapped)
	if got := c.Order(mapped); !slices.Equal(got, mapped) || c.External() != nil || c.Addrs() != nil {
		t.Errorf("%v", got)
	}
	net := simnet.New(3, simnet.Weather{})
	n := start(t, net, 1, "10.0.0.1", c)
	if got := n.Record().Addrs; !slices.Contains(got, mapped[0]) {
		t.Errorf("after the start the record has %v", got)
	}
}
