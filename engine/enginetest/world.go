// Package enginetest runs whole nodes in a test: simulated, in virtual time and from one seed, or live on loopback. A scenario
// written once runs in both, and what a component does after an hour of silence takes a moment to see:
//
//	w := enginetest.Sim(t, 1, simnet.Weather{Latency: 20 * time.Millisecond})
//	a, b := w.Node(mine), w.Node(theirs)
//	w.Dial(a, b)
//	w.Pass(time.Hour)
//
// Live shows that it works, a simulation shows when it does not: lost packets, parted networks, hosts that vanish. Fails and
// Fatals go to the test; a simulation that failed says how to replay it.
package enginetest

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/gnetio"
	"github.com/carrier-p2p/carrier/engine/transport/quicio"
	"github.com/carrier-p2p/carrier/engine/transport/simnet"
	"github.com/carrier-p2p/carrier/engine/transport/udpio"
	"github.com/carrier-p2p/carrier/handshake/identity"
)

const (
	patience     = time.Minute      // of waits; see World.Patience
	farewell     = 30 * time.Second // a node's shutdown at the end of a test, real time
	step         = time.Millisecond // of virtual time at most, between two chances of a call that waits
	look         = time.Millisecond // between two looks at a live world
	port         = 4001             // where simulated nodes listen
	maxSimulated = 1<<16 - 2        // addresses 10.0.0.1 to 10.0.255.254
)

// A World is where a scenario runs. It belongs to the test's goroutine; the engine's callbacks come from inside its calls when
// it is simulated, and from the nodes' loops when it is live.
type World struct {
	testing.TB

	// Patience bounds every wait, in virtual time or real: one minute, if it is not changed.
	Patience time.Duration

	sim    *simnet.Net     // nil: live
	bubble bool            // of testing/synctest
	proto  transport.Proto // of a live world
	seed   uint64
	made   int               // new nodes so far, and so the number of the last one
	lives  uint64            // configurations of all kinds, and so what the next one's randomness follows from
	nodes  []*engine.Network // those that are shut down at the end, in the order of their start
	hosts  map[*engine.Network]*simnet.Host
	seats  map[identity.ID]seat // of whom there is a configuration
}

// A seat is what a node has in each of its lives.
type seat struct {
	number int
	addr   netip.Addr // simulated
}

// Sim is a simulated world. All that happens in it follows from seed and weather, as long as the test itself asks no clock and
// starts no goroutine.
func Sim(t testing.TB, seed uint64, weather simnet.Weather) *World {
	w := newWorld(t)
	w.sim, w.seed = simnet.New(seed, weather), seed
	t.Cleanup(func() {
		w.End()
		if t.Failed() {
			t.Logf("replay: seed %d, weather %+v", seed, weather)
		}
	})
	return w
}

// Simulate runs a scenario in a simulated world of its own, within a bubble of testing/synctest: calls that
// wait take no real time, and their order too follows from seed and weather.
func Simulate(t *testing.T, seed uint64, weather simnet.Weather, scenario func(w *World)) {
	synctest.Test(t, func(t *testing.T) {
		w := Sim(t, seed, weather)
		w.bubble = true
		w.sim.Settle(synctest.Wait)
		scenario(w)
	})
}

// Live is a world of real sockets: TCP on 127.0.0.1.
func Live(t testing.TB) *World { return Over(t, transport.TCP) }

// Over is a live world whose nodes know one transport alone: TCP, QUIC or UDP, on 127.0.0.1. Loopback loses no datagram that is
// read in time.
func Over(t testing.TB, proto transport.Proto) *World {
	w := newWorld(t)
	w.proto = proto
	t.Cleanup(w.End)
	return w
}

func newWorld(t testing.TB) *World {
	return &World{TB: t, Patience: patience, hosts: map[*engine.Network]*simnet.Host{}, seats: map[identity.ID]seat{}}
}

// Both runs a scenario simulated, in fair weather, and live. A scenario that wants a Context takes that of w. The one of the test
// around it lives longer than the bubble in which the simulation runs, so it must not be made in there.
func Both(t *testing.T, scenario func(w *World)) {
	t.Run("simnet", func(t *testing.T) { Simulate(t, 1, simnet.Weather{}, scenario) })
	t.Run("live", func(t *testing.T) { scenario(Live(t)) })
}

// Net is the simulated network, whose weather changes and which parts; nil for a live world.
func (w *World) Net() *simnet.Net { return w.sim }

// Host is the simulated host of a node, which crashes, vanishes and moves; nil in a live world.
func (w *World) Host(n *engine.Network) *simnet.Host { return w.hosts[n] }

// Key is the identity of node number n, from 1. Every world has the same ones; they have cost no work.
func (w *World) Key(n int) *identity.Identity {
	w.Helper()
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], uint64(n))
	id, err := identity.FromSeed(context.Background(), seed, identity.Puzzle{})
	if err != nil {
		w.Fatal(err)
	}
	return id
}

// Config is the configuration of the world's next node: its identity, its transport and where it listens. Change what matters,
// then make it with New. Options are of a simulated host; a live world has none.
func (w *World) Config(opts ...simnet.HostOption) engine.Config {
	w.made++
	return w.ConfigOf(w.made, opts...)
}

// ConfigAt is the configuration of the next node of a simulated world, at an address of the test's choice.
func (w *World) ConfigAt(addr netip.Addr, opts ...simnet.HostOption) engine.Config {
	w.Helper()
	if w.sim == nil {
		w.Fatal("only simulated nodes are where they like")
	}
	w.made++
	return w.config(seat{w.made, addr}, opts...)
}

// Again is the configuration of the next life of n, which has ended: with the identity that it had, and the
// same simulated address.
func (w *World) Again(n *engine.Network, opts ...simnet.HostOption) engine.Config {
	w.Helper()
	was, known := w.seats[n.ID()]
	if !known {
		w.Fatal("another life of a node that never lived here")
	}
	return w.config(was, opts...)
}

// ConfigOf is the configuration of node number n, from 1, for a test that counts its nodes itself.
func (w *World) ConfigOf(n int, opts ...simnet.HostOption) engine.Config {
	w.Helper()
	if n > maxSimulated && w.sim != nil {
		w.Fatalf("node %d: a world has room for %d", n, maxSimulated)
	}
	return w.config(seat{n, netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)})}, opts...)
}

func (w *World) config(x seat, opts ...simnet.HostOption) engine.Config {
	w.Helper()
	w.lives++
	cfg := engine.Config{Identity: w.Key(x.number), Puzzle: &identity.Puzzle{}, WeakPuzzle: true, Agent: fmt.Sprintf("node-%d", x.number)}
	w.seats[cfg.Identity.ID()] = x
	if w.sim == nil {
		cfg.Transport = w.transport(x.number)
		cfg.HandshakeWorkers = 1
		cfg.Listen = []transport.Addr{{Proto: w.proto, AddrPort: netip.MustParseAddrPort("127.0.0.1:0")}}
		return cfg
	}
	host := w.sim.Host(x.addr, opts...)
	cfg.Transport = host
	cfg.Listen = []transport.Addr{{Proto: host.Protos()[0], AddrPort: netip.AddrPortFrom(x.addr, port)}}
	cfg.Rand = newDice(w.seed, w.lives)
	return cfg
}

// transport is that of a live world's node number n: of one loop or two.
func (w *World) transport(n int) transport.Transport {
	switch w.proto {
	case transport.QUIC:
		return quicio.New(quicio.Config{})
	case transport.UDP:
		return udpio.New(udpio.Config{})
	default:
		return gnetio.New(gnetio.Config{Loops: 1 + n%2})
	}
}

// New makes a node of cfg with these components, to which the test can add more before it Starts it.
func (w *World) New(cfg engine.Config, components ...engine.ComponentInterface) *engine.Network {
	w.Helper()
	n, err := engine.New(cfg)
	if err != nil {
		w.Fatal(err)
	}
	for _, c := range components {
		if err := n.AddComponent(c); err != nil {
			w.Fatal(err)
		}
	}
	if host, ok := cfg.Transport.(*simnet.Host); ok {
		w.hosts[n] = host
	}
	return n
}

// Start starts a node, which ends with the test.
func (w *World) Start(n *engine.Network) *engine.Network {
	w.Helper()
	if err := n.Start(context.Background()); err != nil {
		w.Fatal(err)
	}
	w.nodes = append(w.nodes, n)
	return n
}

// Node starts the world's next node with these components.
func (w *World) Node(components ...engine.ComponentInterface) *engine.Network {
	w.Helper()
	return w.Start(w.New(w.Config(), components...))
}
