package reach_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/reach"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

var four = []string{"30.1.0.1", "30.2.0.1", "30.3.0.1", "30.4.0.1"}

// A node that others can dial is told so, by three networks, and stays a server; nobody has got a connection out of it.
func TestPublicNode(t *testing.T) {
	w := newWorld(t)
	n := w.node("25.64.0.10", reach.Config{})
	peers := w.networks(n, four...)
	w.Until("a verdict", func() bool { return n.verdict() != reach.Unknown })
	r := n.Reachability()
	if r.Verdict != reach.Reachable || r.Client || n.client() || r.Addr != at("25.64.0.10") || r.Networks != 4 {
		t.Errorf("%+v", r)
	}
	if want := "reachable at tcp://25.64.0.10:4001, 3 of 3 networks came in"; r.String() != want || !slices.Equal(n.texts(), []string{want}) {
		t.Errorf("%q", r)
	}
	probes := int64(0)
	for _, p := range peers {
		s := p.Stats()
		probes += s.Probes
		if s.Reached != s.Probes || s.Foreign+s.Hasty+s.Busy+s.Unasked+s.Malformed != 0 {
			t.Errorf("%+v", s)
		}
	}
	if s := n.Network.Stats(); s.Opened != 4 || s.Closed != 0 || s.HandshakesFailed != 0 || probes < 3 || probes > 4 {
		t.Errorf("%d probes; %+v", probes, s)
	}
}

// A node that nobody can dial becomes a client. When its router lets others in after all, and the addresses that it shows
// change, it becomes a server soon; when they do not change a later round finds out, and one more makes sure.
func TestHiddenNode(t *testing.T) {
	for _, mapped := range []bool{true, false} {
		t.Run(fmt.Sprintf("new address %v", mapped), func(t *testing.T) {
			w := newWorld(t)
			w.wall("25.64.0.10", true)
			n := w.node("25.64.0.10", reach.Config{})
			w.networks(n, four...)
			w.Until("a verdict", func() bool { return n.verdict() != reach.Unknown })
			if r := n.Reachability(); r.Verdict != reach.Unreachable || !r.Client || !n.client() {
				t.Fatalf("%+v", r)
			}
			w.wall("25.64.0.10", false)
			since := w.Net().Now()
			if mapped {
				two := transport.Addr{Proto: transport.TCP, AddrPort: at("25.64.0.10").AddrPort}
				if err := n.Readvertise(func(have *identity.Record) ([]transport.Addr, identity.Flags) {
					return []transport.Addr{{Proto: transport.QUIC, AddrPort: two.AddrPort}, {Proto: transport.TCP, AddrPort: at("25.64.0.11").AddrPort}, two}, have.Flags
				}); err != nil {
					t.Fatal(err)
				}
			}
			rounds := n.Reachability().Rounds
			w.Until("another verdict", func() bool { return n.verdict() == reach.Reachable })
			took, asked := w.Net().Now()-since, n.Reachability().Rounds-rounds
			if n.client() || n.Reachability().Addr != at("25.64.0.10") {
				t.Errorf("%+v", n.Reachability())
			}
			if mapped && (took > 45*time.Second || asked != 1) || !mapped && asked != 2 {
				t.Errorf("after %v and %d rounds", took, asked)
			}
			if got := n.texts(); len(got) != 2 || !strings.HasPrefix(got[0], "unreachable, 0 of ") || !strings.HasPrefix(got[1], "reachable at ") {
				t.Errorf("%q", got)
			}
		})
	}
}

// Where there are not three networks nothing is decided, whoever and however many are there.
func TestTooFewNetworks(t *testing.T) {
	for name, ips := range map[string][]string{
		"nobody":       nil,
		"two networks": {"30.1.0.1", "30.2.0.1", "30.1.0.2", "30.2.7.1", "30.1.255.1"},
		"private ones": {"10.1.0.1", "10.2.0.1", "10.3.0.1", "192.168.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.wall("25.64.0.10", true)
			n := w.node("25.64.0.10", reach.Config{})
			w.networks(n, ips...)
			w.Pass(time.Hour)
			if r := n.Reachability(); r.Verdict != reach.Unknown || r.Client || n.client() || r.Rounds == 0 || r.Rounds > 20 {
				t.Errorf("%+v", r)
			}
			w.networks(n, "40.1.0.1", "40.2.0.1", "40.3.0.1", "40.4.0.1")
			w.Until("a verdict once there are", func() bool { return n.client() })
		})
	}
}

// In a LAN of several networks private addresses are asked about too, if that is the scope. On one machine or in one LAN the
// node stays a server.
func TestPrivateScope(t *testing.T) {
	w := newWorld(t)
	private := reach.Config{Scope: 1}
	n := w.node("10.0.0.1", private)
	for _, ip := range []string{"10.1.0.1", "10.2.0.1", "10.3.0.1"} {
		w.dial(n, w.node(ip, private))
	}
	lan := w.node("192.168.0.1", private)
	w.wall("192.168.0.1", true)
	for _, ip := range []string{"192.168.0.2", "192.168.1.2", "192.168.2.2", "192.168.3.2"} {
		w.dial(lan, w.node(ip, private))
	}
	w.Until("a verdict", func() bool { return n.verdict() == reach.Reachable })
	w.Pass(time.Hour)
	if lan.verdict() != reach.Unknown || lan.client() {
		t.Errorf("%+v", lan.Reachability())
	}
}

// A node without any address that others could dial is a client without asking, once it sees that there are others.
func TestNoAddress(t *testing.T) {
	w := newWorld(t)
	n := w.node("25.64.0.10", reach.Config{})
	if err := n.Advertise([]transport.Addr{{Proto: transport.TCP, AddrPort: at("192.168.0.7").AddrPort}}, 0); err != nil {
		t.Fatal(err)
	}
	w.networks(n, four...)
	w.Until("a verdict", func() bool { return n.client() })
	if r := n.Reachability(); r.Verdict != reach.Unreachable || n.Stats().Asked != 0 || r.String() != "unreachable, nobody was asked" {
		t.Errorf("%+v", r)
	}
}

// The operator may know better: the peers' verdict is only shown then.
func TestModes(t *testing.T) {
	w := newWorld(t)
	w.wall("25.64.0.10", true)
	server := w.node("25.64.0.10", reach.Config{Mode: reach.Server})
	client := w.node("25.65.0.10", reach.Config{Mode: reach.Client})
	if !client.client() || !client.Reachability().Client {
		t.Error("a client from the beginning")
	}
	for _, ip := range four {
		v := w.node(ip, reach.Config{})
		w.dial(server, v)
		w.dial(client, v)
	}
	w.Until("verdicts", func() bool { return server.verdict() == reach.Unreachable && client.verdict() == reach.Reachable })
	w.Pass(time.Hour)
	if server.client() || !client.client() {
		t.Errorf("server %+v, client %+v", server.Reachability(), client.Reachability())
	}
}

// What somebody else has said of the node stays.
func TestMarkedByOthers(t *testing.T) {
	w := newWorld(t)
	n := w.node("25.64.0.10", reach.Config{})
	if err := n.Advertise(n.Record().Addrs, identity.FlagClient|identity.FlagRelay); err != nil {
		t.Fatal(err)
	}
	w.networks(n, four...)
	w.Until("a verdict", func() bool { return n.verdict() == reach.Reachable })
	if n.Record().Flags != identity.FlagClient|identity.FlagRelay {
		t.Errorf("flags %v", n.Record().Flags)
	}
}

// Half of the connections are lost: it looks whether it is itself that has gone. Between its looks it asks seldom.
func TestLostConnections(t *testing.T) {
	w := newWorld(t)
	n := w.node("25.64.0.10", reach.Config{})
	peers := w.networks(n, append([]string{"30.5.0.1", "30.6.0.1", "30.7.0.1", "30.8.0.1"}, four...)...)
	w.Until("a verdict", func() bool { return n.verdict() == reach.Reachable })
	w.Pass(time.Minute)
	rounds, asked := n.Reachability().Rounds, n.Stats().Asked
	for _, p := range peers[:4] {
		w.Stop(p.Network)
	}
	w.Pass(30 * time.Second)
	if got := n.Reachability().Rounds - rounds; got != 1 {
		t.Errorf("%d rounds after the loss", got)
	}
	w.Pass(12 * time.Hour)
	if got := n.Stats().Asked - asked; got > 4*12 {
		t.Errorf("%d questions in half a day", got)
	}
}

// Everything that is wrong with a configuration is said at once.
func TestBadConfig(t *testing.T) {
	_, err := reach.New(reach.Config{Mode: 3, Scope: 2, Voters: 2})
	if !errors.Is(err, reach.ErrConfig) {
		t.Fatal(err)
	}
	for _, part := range []string{"Mode", "Scope", "Voters"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("nothing about %s in %v", part, err)
		}
	}
	if _, err := reach.New(reach.Config{Voters: 17}); !errors.Is(err, reach.ErrConfig) {
		t.Errorf("17 voters: %v", err)
	}
}

var _ engine.ComponentInterface = (*reach.Component)(nil)
