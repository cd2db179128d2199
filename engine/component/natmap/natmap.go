// Package natmap makes a node behind a home router reachable: it asks the router to lead a port of its public address to
// each port that the node listens on, and keeps asking for as long as the node runs.
//
//	node ─── 192.168.1.7:4001 ─── router ─── 25.64.0.10:4001 ─── everybody
//	           │                    ▲
//	           └── NAT-PMP or UPnP ─┘  "lead your tcp/4001 to me for ten minutes"
//
// The router is the gateway of the default route. Both protocols are tried side by side and one of them makes
// the mappings; they are renewed at half their life, made again when the gateway has restarted or forgotten
// them, and removed at shutdown. Where there is no gateway, or it refuses, or it has no public address itself
// (carrier-grade NAT), the component says so and goes on asking, rarely. It never maps anything but the
// node's own listening ports.
//
// # What it believes
//
// Anybody in the local network can answer in the router's place, so little is believed: answers count only
// from the gateway's address, descriptions and control addresses only on it, redirects and proxies are not
// followed, and everything that is read is bounded. What a gateway claims as its address has to be one that
// the internet can reach. Whether it tells the truth is for others to see: component/addressmap weighs it
// against what peers observe.
//
// # Owners
//
// The machine decides and is owned by one goroutine, which the component starts in Startup and ends in Cleanup. Calls to the
// gateway block, so each runs on a goroutine of its own, one for each protocol at a time; the loops of the Network never wait for
// any of it. Errors of the gateway are in Report and in events; no method of the component returns one.
package natmap

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/opcode"
)

// A Component maps the listening ports of one Network. The zero value is ready; it may not be changed once it has been
// added. Its methods may be called from any goroutine.
type Component struct {
	engine.Component

	Lifetime time.Duration // of a mapping; 0 means LifetimeDefault
	Gateway  netip.Addr    // the router; zero: that of the default route, which is known on Linux only
	Logger   *slog.Logger  // nil: silent

	mu     sync.Mutex
	report Report // under mu

	stop context.CancelFunc // set by Startup
	done chan struct{}      // closed when the goroutine has ended
}

// Validate reports every problem at once. Network.AddComponent asks it.
func (c *Component) Validate() error {
	if c.Lifetime < 0 || c.Lifetime > lifetimeMost || c.Lifetime > 0 && c.Lifetime < time.Second {
		return fmt.Errorf("natmap: Lifetime is %v, want a second to %v", c.Lifetime, lifetimeMost)
	}
	return nil
}

// An AddressBook is a component that wants to know the addresses that gateways map: component/addressmap.
type AddressBook interface {
	engine.ComponentInterface

	// SetMapped replaces the mapped addresses: connections to external[i] arrive at local[i]. Any goroutine.
	SetMapped(local, external []transport.Addr)
}

// Opcodes: none.
func (c *Component) Opcodes() []opcode.Opcode { return []opcode.Opcode{} }

// Startup begins to look for the gateway and returns at once.
func (c *Component) Startup(net *engine.Network) {
	ctx, cancel := context.WithCancel(context.Background())
	c.stop, c.done = cancel, make(chan struct{})
	k := newKeeper(c.Lifetime, c.place, dial)
	k.changed = func(r Report) { c.changed(net, r) }
	k.event = func(e event) { c.tell(net, e) }
	k.want = func(local netip.Addr) []Port { return ports(net.Addrs(), local) }
	go func() {
		defer close(c.done)
		k.run(ctx)
	}()
}

// Cleanup removes the mappings. It waits for that, for farewellTimeout at most.
func (c *Component) Cleanup(*engine.Network) {
	if c.stop == nil {
		return
	}
	c.stop()
	<-c.done
}

// Report is how things stand.
func (c *Component) Report() Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.report
}

// place is where the host stands in its network.
func (c *Component) place() (Gateway, error) { return findGateway(c.Gateway) }

// findGateway returns the gateway of the best default route, or the one that was named.
func findGateway(named netip.Addr) (Gateway, error) {
	g := Gateway{Addr: named}
	if !named.IsValid() {
		found, err := routes()
		if err != nil {
			return Gateway{}, err
		}
		if len(found) == 0 {
			return Gateway{}, ErrNoGateway
		}
		g.Addr, g.Interface = found[0].Gateway, found[0].Interface
	}
	var err error
	g.Local, err = localFor(g.Addr)
	return g, err
}

// ports are those of the listening addresses that a packet to local reaches.
func ports(bound []transport.Addr, local netip.Addr) (out []Port) {
	if public(local) { // there is nothing to translate
		return nil
	}
	for _, a := range bound {
		if p := portOf(a); behind(a, local) && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

// behind: a packet to local arrives where a listens.
func behind(a transport.Addr, local netip.Addr) bool {
	return a.Addr().IsUnspecified() || a.Addr() == local
}

// changed hands new addresses on.
func (c *Component) changed(net *engine.Network, r Report) {
	c.mu.Lock()
	old := c.report
	c.report = r
	c.mu.Unlock()
	if slices.Equal(old.Mappings, r.Mappings) && old.Gateway == r.Gateway {
		return
	}
	if book, ok := engine.ComponentOf[AddressBook](net); ok {
		book.SetMapped(pairs(net.Addrs(), r))
	}
}

// pairs are the listening addresses and the external ones that lead to them.
func pairs(bound []transport.Addr, r Report) (local, external []transport.Addr) {
	for _, a := range bound {
		for _, m := range r.Mappings {
			if m.Port == portOf(a) && behind(a, r.Gateway.Local) {
				local = append(local, transport.Addr{Proto: a.Proto, AddrPort: netip.AddrPortFrom(r.Gateway.Local, a.Port())})
				external = append(external, transport.Addr{Proto: a.Proto, AddrPort: m.External})
			}
		}
	}
	return local, external
}

func (c *Component) tell(net *engine.Network, e event) {
	if c.Logger != nil {
		c.Logger.Info("nat: "+e.Kind.String(), "protocol", e.Via, "gateway", e.Gateway, "port", e.Port, "external", e.External, "err", e.Err)
	}
	net.Publish(engine.Event{Kind: engine.Reachability, Text: e.String(), Err: e.Err})
}
