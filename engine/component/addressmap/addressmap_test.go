package addressmap_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/addressmap"
	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

func TestMain(m *testing.M) { enginetest.VerifyMain(m) }

func newWorld(t *testing.T) *enginetest.World {
	return enginetest.Sim(t, 1, simnet.Weather{Latency: 10 * time.Millisecond})
}

// start starts a node at this address.
func start(w *enginetest.World, ip string, components ...engine.ComponentInterface) *engine.Network {
	w.Helper()
	return w.Start(w.New(w.ConfigAt(netip.MustParseAddr(ip)), components...))
}

// What peers see of a node in a network without an outside is not taken for one, however many of them agree.
func TestNoOutside(t *testing.T) {
	w := newWorld(t)
	c := addressmap.New(addressmap.Config{})
	n := start(w, "10.0.0.1", c)
	var peers []*engine.Network
	for _, ip := range []string{"30.1.0.1", "30.2.0.1", "30.3.0.1"} {
		peers = append(peers, start(w, ip))
	}
	if got := c.External(); got != nil {
		t.Fatalf("alone it knows %v", got)
	}
	for _, p := range peers {
		w.Dial(n, p)
	}
	if got := c.External(); got != nil { // 10.0.0.1 is nobody's address outside
		t.Errorf("it believes %v", got)
	}
}

// Peers from outside come in: what they have dialled goes into the record, once, and relayed addresses and flags stay.
func TestRecord(t *testing.T) {
	w := newWorld(t)
	c := addressmap.New(addressmap.Config{})
	n := start(w, "25.64.0.10", c)
	relay := transport.Addr{Proto: transport.Relay, AddrPort: netip.MustParseAddrPort("30.9.0.1:4001")}
	if err := n.Advertise(append(n.Record().Addrs, relay), identity.FlagRelay); err != nil {
		t.Fatal(err)
	}
	for _, ip := range []string{"30.1.0.1", "30.2.0.1", "30.3.0.1"} {
		w.Dial(start(w, ip), n)
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
	w := newWorld(t)
	n := start(w, "10.0.0.1", c)
	if got := n.Record().Addrs; !slices.Contains(got, mapped[0]) {
		t.Errorf("after the start the record has %v", got)
	}
}
