package engine

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// detourBench is a bench transport for links over other peers.
type detourBench struct{ benchTransport }

func (*detourBench) Protos() []transport.Proto { return []transport.Proto{transport.PrivateProto} }

func (*detourBench) DialPeer(context.Context, transport.Addr, [32]byte, any) {}

func TestOrderOfAddresses(t *testing.T) {
	n, _, _ := twoOnBench(t)
	n.sinks = append(n.sinks, &sink{net: n, under: &detourBench{}, serves: []transport.Proto{transport.PrivateProto}})
	parse := func(all []string) (out []transport.Addr) {
		for _, s := range all {
			a, err := transport.ParseAddr(s)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, a)
		}
		return out
	}
	for _, c := range []struct {
		name   string
		worked string
		addrs  []string
		want   []string
	}{
		{"one", "", []string{"quic://192.0.2.1:1"}, []string{"quic://192.0.2.1:1"}},
		{"the order of our transports", "", []string{"quic://192.0.2.1:1", "tcp://192.0.2.1:1"}, []string{"tcp://192.0.2.1:1", "quic://192.0.2.1:1"}},
		{"IPv6 first", "", []string{"tcp://192.0.2.1:1", "tcp://[2001:db8::1]:1"}, []string{"tcp://[2001:db8::1]:1", "tcp://192.0.2.1:1"}},
		{"kinds in turn", "", []string{"tcp://192.0.2.1:1", "tcp://192.0.2.2:1", "tcp://192.0.2.3:1", "quic://192.0.2.1:1", "quic://192.0.2.2:1"},
			[]string{"tcp://192.0.2.1:1", "quic://192.0.2.1:1", "tcp://192.0.2.2:1", "quic://192.0.2.2:1", "tcp://192.0.2.3:1"}},
		{"the node's own order within a kind", "", []string{"tcp://192.0.2.2:1", "tcp://192.0.2.1:1"}, []string{"tcp://192.0.2.2:1", "tcp://192.0.2.1:1"}},
		{"detours last", "", []string{"proto-128://192.0.2.9:1", "quic://192.0.2.1:1", "quic://192.0.2.2:1"},
			[]string{"quic://192.0.2.1:1", "quic://192.0.2.2:1", "proto-128://192.0.2.9:1"}},
		{"what nobody serves", "", []string{"udp://192.0.2.1:1", "proto-200://192.0.2.1:1", "tcp://192.0.2.1:1"}, []string{"tcp://192.0.2.1:1"}},
		{"twice the same, and no port", "", []string{"tcp://192.0.2.1:1", "tcp://192.0.2.1:1", "tcp://192.0.2.1:0"}, []string{"tcp://192.0.2.1:1"}},
		{"what worked comes first", "quic://192.0.2.2:1", []string{"tcp://192.0.2.1:1", "quic://192.0.2.1:1", "quic://192.0.2.2:1"},
			[]string{"quic://192.0.2.2:1", "tcp://192.0.2.1:1", "quic://192.0.2.1:1"}},
		{"what worked is no longer its address", "quic://192.0.2.2:1", []string{"tcp://192.0.2.1:1"}, []string{"tcp://192.0.2.1:1"}},
		{"none", "", nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			id := identity.ID{7}
			n.worked.Purge()
			if c.worked != "" {
				n.worked.Add(id, parse([]string{c.worked})[0])
			}
			if got, want := n.inOrder(id, parse(c.addrs)), parse(c.want); !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
	var many []transport.Addr
	for i := range 1000 {
		many = append(many, parse([]string{fmt.Sprintf("tcp://192.0.2.1:%d", i+1)})...)
	}
	if got := n.inOrder(identity.ID{7}, many); len(got) != identity.AddrLimit {
		t.Errorf("of 1000 addresses %d would be tried, want %d", len(got), identity.AddrLimit)
	}
}
