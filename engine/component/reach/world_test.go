package reach_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/reach"
	"github.com/carrier-p2p/carrier/engine/enginetest"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/opcode"
)

// A world is nodes at addresses of the test's choice, some of them behind a wall.
type world struct {
	*enginetest.World
	walls map[netip.AddrPort]bool // nothing that is sent there arrives
}

// A node is one of them. Its component is nil for one that knows nothing of the matter.
type node struct {
	*engine.Network
	*reach.Component
	events <-chan engine.Event
}

func newWorld(t testing.TB) *world {
	w := &world{enginetest.Sim(t, 1, simnet.Weather{Latency: 20 * time.Millisecond}), map[netip.AddrPort]bool{}}
	w.Patience = time.Hour // of virtual time: the second look at a verdict is ten minutes after the first
	w.Net().Intercept(func(_, to transport.Addr, b []byte) []byte {
		if w.walls[to.AddrPort] {
			return nil
		}
		return b
	})
	return w
}

// wall lets nothing more in to where a node listens, or does so again.
func (w *world) wall(ip string, up bool) { w.walls[at(ip).AddrPort] = up }

// at is where the node at an IP address listens.
func at(ip string) transport.Addr {
	return transport.Addr{Proto: transport.TCP, AddrPort: netip.AddrPortFrom(netip.MustParseAddr(ip), 4001)}
}

// bare starts a node without the component, with others in its place.
func (w *world) bare(ip string, components ...engine.ComponentInterface) *node {
	w.Helper()
	n := w.New(w.ConfigAt(at(ip).Addr()), components...)
	out := &node{Network: n, events: n.Events(w.Context())}
	w.Start(n)
	return out
}

// node starts a node that finds out, and answers others.
func (w *world) node(ip string, cfg reach.Config, more ...engine.ComponentInterface) *node {
	w.Helper()
	c, err := reach.New(cfg)
	if err != nil {
		w.Fatal(err)
	}
	n := w.bare(ip, append(more, c)...)
	n.Component = c
	return n
}

// networks starts honest nodes, each in a network of its own, and has n dial them.
func (w *world) networks(n *node, ips ...string) (out []*node) {
	w.Helper()
	for _, ip := range ips {
		v := w.node(ip, reach.Config{})
		w.dial(n, v)
		out = append(out, v)
	}
	return out
}

func (w *world) dial(from, to *node) *engine.PeerClient {
	w.Helper()
	return w.Dial(from.Network, to.Network)
}

// Stats of the component, not of the engine.
func (n *node) Stats() reach.Stats { return n.Component.Stats() }

func (n *node) client() bool { return n.Record().Flags&identity.FlagClient != 0 }

func (n *node) verdict() reach.Verdict { return n.Reachability().Verdict }

// texts are the events about reachability since the last call.
func (n *node) texts() (out []string) {
	for {
		select {
		case e := <-n.events:
			if e.Kind == engine.Reachability {
				out = append(out, e.Text)
			}
		default:
			return out
		}
	}
}

// A liar answers every question at once, and dials nobody.
type liar struct {
	engine.Component
	says  reach.Answer
	asked int
}

func (*liar) Opcodes() []opcode.Opcode { return []opcode.Opcode{opcode.DialBackRequestCode} }

func (l *liar) Receive(ctx *engine.ComponentContext) error {
	l.asked++
	return ctx.Client().TrySendRaw(opcode.DialBackResponseCode, append(append([]byte(nil), ctx.Payload()[:8]...), byte(l.says)))
}

// netipPort is the address with another port.
func netipPort(a transport.Addr, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr(), port)
}
