package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/carrier-p2p/carrier/engine/component/natmap"
	"github.com/carrier-p2p/carrier/engine/lab"
	"github.com/carrier-p2p/carrier/engine/node"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/udpio"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// inLab is this program inside a namespace.
func inLab(_ context.Context, _ <-chan string, args ...string) error {
	os.Args = append([]string{"p2pbench"}, args...)
	if code := run(); code != exitFine {
		return fmt.Errorf("exit code %d", code)
	}
	return nil
}

// peerInLab is a node that tells others how it sees them.
func peerInLab(ctx context.Context, _ <-chan string, listen ...string) error {
	n, err := node.New(node.Config{
		Listen: listen, Puzzle: &identity.Puzzle{}, WeakPuzzle: true, Transports: []transport.Transport{udpio.New(udpio.Config{})},
	})
	if err != nil {
		return err
	}
	if err := n.Start(ctx); err != nil {
		return err
	}
	fmt.Println("ready")
	<-ctx.Done()
	return n.Shutdown(context.Background())
}

// What it says in the lab about routers of every kind.
func TestNATInLab(t *testing.T) {
	for _, c := range []struct {
		name string
		vars []string
		kind natmap.Kind
		nat  natBehaviour
	}{
		{"a home router", []string{"NATLAB_NAT_A=port"}, natmap.KindMapped, natCone},
		{"a symmetric one", []string{"NATLAB_NAT_A=symmetric"}, natmap.KindMapped, natSymmetric},
		{"none", []string{"NATLAB_NAT_A=none", "NATLAB_IGD_A=enable_natpmp=no"}, natmap.KindMapped, natNone},
		{"a carrier's", []string{"NATLAB_WAN=100.64.7"}, natmap.KindStacked, natCone},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := lab.Require(t, c.vars...)
			hosts := strings.Split(l.Env("NATLAB_WAN_HOSTS"), ",")
			var peers []string
			for i, h := range hosts[:2] {
				peers = append(peers, fmt.Sprintf("udp://%s:%d", h, 4001+i))
				l.Start("wan", "peer", peers[i]).Expect("ready")
			}
			p := l.Start("lan-a", "p2pbench", "nat", "--c1", "0", "--c2", "0", "--peer", strings.Join(peers, ","), "--timeout", "2m", "--json", "-")
			var found natFacts
			if err := json.Unmarshal([]byte("{"+p.Expect("{")), &found); err != nil {
				t.Fatal(err)
			}
			p.End()
			if found.Kind != c.kind || found.NAT != c.nat || len(found.Agents) != 2 || len(found.Seen) != 2 {
				t.Errorf("kind %q, want %q; NAT %q, want %q: %+v", found.Kind, c.kind, found.NAT, c.nat, found)
			}
			if c.kind == natmap.KindMapped && (found.External != l.Env("NATLAB_ROUTER_A_PUBLIC") || len(found.Mappings) != 1) {
				t.Errorf("external %q, mappings %v", found.External, found.Mappings)
			}
			if strings.Contains(l.Do("status"), "dnat") {
				t.Errorf("left in the router:\n%s", l.Do("status"))
			}
		})
	}
}

// What different peers have seen, and what that tells.
func TestBehaviour(t *testing.T) {
	sight := func(peer, local, seen string) natSight {
		var s natSight
		for _, x := range []struct {
			to   *transport.Addr
			text string
		}{{&s.peer, peer}, {&s.local, local}, {&s.seen, seen}} {
			if x.text == "" {
				continue
			}
			a, err := transport.ParseAddr(x.text)
			if err != nil {
				t.Fatal(err)
			}
			*x.to = a
		}
		return s
	}
	const a, b, local = "udp://30.1.0.1:1", "udp://30.2.0.1:1", "udp://192.168.1.7:5000"
	for _, c := range []struct {
		name string
		seen []natSight
		want natBehaviour
	}{
		{"nobody", nil, ""},
		{"nobody answered", []natSight{{Problem: "no"}}, ""},
		{"nobody said", []natSight{sight(a, local, "")}, ""},
		{"not translated", []natSight{sight(a, "tcp://25.0.0.1:5", "tcp://25.0.0.1:5")}, natNone},
		{"one peer, port kept", []natSight{sight(a, local, "udp://25.64.0.10:5000")}, natKept},
		{"one peer, port changed", []natSight{sight(a, local, "udp://25.64.0.10:6000")}, natChanges},
		{"the same for two", []natSight{sight(a, local, "udp://25.64.0.10:6000"), sight(b, local, "udp://25.64.0.10:6000")}, natCone},
		{"another for each", []natSight{sight(a, local, "udp://25.64.0.10:6000"), sight(b, local, "udp://25.64.0.10:6001")}, natSymmetric},
		{"the same peer twice", []natSight{sight(a, local, "udp://25.64.0.10:6000"), sight(a, local, "udp://25.64.0.10:6000")}, natChanges},
		{"streams have a port each", []natSight{sight("tcp://30.1.0.1:1", "tcp://192.168.1.7:5", "tcp://25.64.0.10:5"),
			sight("tcp://30.2.0.1:1", "tcp://192.168.1.7:6", "tcp://25.64.0.10:6")}, natKept},
	} {
		if got := behaviour(c.seen); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// What people read, and that every outcome has an advice of its own.
func TestPrintNAT(t *testing.T) {
	gateway := natmap.Gateway{Addr: netip.MustParseAddr("192.168.1.1"), Local: netip.MustParseAddr("192.168.1.7"), Interface: "eth0"}
	outside := netip.MustParseAddr("25.64.0.10")
	f := facts(natmap.Survey{
		Report: natmap.Report{Gateway: gateway,
			Agents: []natmap.AgentReport{
				{Via: natmap.PMP, Answers: true, Address: outside, Public: true, Holder: true},
				{Via: natmap.UPnP, Err: fmt.Errorf("%w: HTTP 404", natmap.ErrNonsense), Others: []netip.Addr{gateway.Local.Next()}},
			},
			Mappings: []natmap.Mapping{{Port: natmap.Port{Number: 4001}, External: netip.AddrPortFrom(outside, 4002), Via: natmap.PMP}}},
		Routes: []natmap.Gateway{gateway, {Addr: netip.MustParseAddr("10.0.0.1"), Interface: "wlan0"}},
		Listed: []natmap.Listed{{Protocol: "TCP", External: 80, Client: "192.168.1.3", Internal: 8080, Name: "web"}},
	})
	f.Seen = []natSight{{Peer: "tcp://30.1.0.1:1", Local: "tcp://192.168.1.7:5", Seen: "tcp://25.64.0.10:5"}, {Peer: "tcp://30.2.0.1:1", Problem: "refused"}}
	f.NAT, f.Advice = natKept, advice(f, false)
	var b bytes.Buffer
	printNAT(&b, f)
	const want = `kind           mapped
gateway        192.168.1.1 over eth0, this host is 192.168.1.7
also there     10.0.0.1 over wlan0, with a worse route
NAT-PMP        answers, external address 25.64.0.10
UPnP           the gateway's answer makes no sense
               192.168.1.8 answers as well and is not the gateway: not listened to
external       25.64.0.10
mapping        tcp/4001 -> 25.64.0.10:4002 by NAT-PMP, for a try
in the router  TCP 80 -> 192.168.1.3:8080 web
seen           tcp://30.1.0.1:1: tcp://192.168.1.7:5 is seen as tcp://25.64.0.10:5
seen           tcp://30.2.0.1:1: refused
NAT            keeps the port: endpoint independent, as far as one address tells
so             nodes here are reachable with MapPorts
`
	if got := b.String(); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	said := map[string]bool{}
	kinds := []natmap.Kind{natmap.KindPublic, natmap.KindMapped, natmap.KindStacked, natmap.KindRefused, natmap.KindSilent, natmap.KindNoGateway, natmap.KindLooking}
	for _, k := range kinds {
		said[advice(&natFacts{Kind: k}, false)] = true
	}
	said[advice(&natFacts{Kind: natmap.KindLooking}, true)] = true
	if len(said) != len(kinds)+1 {
		t.Errorf("%d pieces of advice for %d outcomes", len(said), len(kinds)+1)
	}
	b.Reset()
	printNAT(&b, facts(natmap.Survey{Report: natmap.Report{Problem: errors.New("natmap: no way out")}}))
	if !strings.Contains(b.String(), "gateway  no way out\n") {
		t.Errorf("%s", b.String())
	}
}
