package proxy_test

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/proxy"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/gnetio"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

// start makes a node that does this with relays; a relay listens, the others do not.
func start(seed byte, cfg proxy.Config) (*engine.Network, *proxy.Component) {
	id, err := identity.FromSeed(context.Background(), [32]byte{seed}, identity.Puzzle{})
	check(err)
	p, err := proxy.New(cfg)
	check(err)
	ec := engine.Config{
		Transport: gnetio.New(gnetio.Config{Loops: 1}), MoreTransports: []transport.Transport{p.Transport()},
		Identity: id, Puzzle: &identity.Puzzle{}, WeakPuzzle: true,
	}
	if cfg.Serve {
		ec.Listen = []transport.Addr{{Proto: transport.TCP, AddrPort: netip.MustParseAddrPort("127.0.0.1:0")}}
	}
	net, err := engine.New(ec)
	check(err)
	check(net.AddComponent(p))
	check(net.Start(context.Background()))
	return net, p
}

// reachable waits until the node has a reservation.
func reachable(net *engine.Network, p *proxy.Component) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	events := net.Events(ctx)
	for len(p.Addrs()) == 0 {
		<-events
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

type greeting struct{ Text string }

// Two nodes that listen nowhere, and a relay.
func Example() {
	relay, _ := start(1, proxy.Config{Serve: true})
	at := relay.Target()
	hidden, reservations := start(2, proxy.Config{Relays: []engine.Target{at}})
	reachable(hidden, reservations)
	heard := make(chan string)
	check(engine.Handle(hidden, 1000, func(ctx *engine.ComponentContext, m *greeting) error {
		heard <- fmt.Sprintf("%q, relayed: %v", m.Text, ctx.Client().Relayed())
		return nil
	}))

	caller, _ := start(3, proxy.Config{})
	check(engine.Register[greeting](caller, 1000))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	peer, err := caller.Dial(ctx, engine.Target{Addr: reservations.Addrs()[0], ID: hidden.ID()}.String())
	check(err)
	check(peer.Send(ctx, &greeting{"good evening"}))
	fmt.Println(<-heard)

	for _, n := range []*engine.Network{caller, hidden, relay} {
		check(n.Shutdown(ctx))
	}
	// Output: "good evening", relayed: true
}
