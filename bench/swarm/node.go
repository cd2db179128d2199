package swarm

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/broadcast"
	"github.com/carrier-p2p/carrier/engine/component/discovery"
	"github.com/carrier-p2p/carrier/engine/component/keepalive"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/gnetio"
	"github.com/carrier-p2p/carrier/engine/transport/shared"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
)

// A node is one of the swarm.
type node struct {
	net  *engine.Network
	disc *discovery.Component
	cast *broadcast.Component
	port *shared.Port
	id   skad.ID
	dead bool
}

// A swarm is owned by the measuring goroutine.
type swarm struct {
	cfg        Config
	rnd        *rand.Rand
	hub        *shared.Hub
	nodes      []*node
	ids        []skad.ID // of the living
	deliveries *deliveries
	heap       uint64 // before anything was started
	ending     sync.WaitGroup
}

// keep are the idle connections that each node may keep, so that all of them fit the descriptors of the process.
func (s *swarm) keep() int {
	return max(8, min(discovery.ConnectionsDefault, (descriptors()-2048)/(2*s.cfg.Nodes)))
}

// join starts all nodes, a few joining at a time.
func (s *swarm) join(ctx context.Context, r *Result) error {
	s.heap = heap()
	listen := slices.Repeat([]transport.Addr{{Proto: transport.TCP, AddrPort: netip.MustParseAddrPort("127.0.0.1:0")}}, s.cfg.Nodes)
	var err error
	if s.hub, err = shared.New(gnetio.New(gnetio.Config{Loops: s.cfg.Loops}), 0, listen...); err != nil {
		return err
	}
	began := time.Now()
	for i := range s.cfg.Nodes {
		n, err := s.start(ctx, i)
		if err != nil {
			return fmt.Errorf("node %d: %w", i, err)
		}
		s.nodes = append(s.nodes, n)
		s.ids = append(s.ids, n.id)
		s.cfg.Progress("join", i+1, s.cfg.Nodes)
		for s.joining() > s.cfg.Joining {
			if err := pause(ctx, time.Millisecond); err != nil {
				return err
			}
		}
	}
	r.JoinSeconds = time.Since(began).Seconds()
	return nil
}

// joining counts the nodes that have not joined; the first one has nobody to join.
func (s *swarm) joining() (n int) {
	for _, x := range s.nodes[1:] {
		if !x.disc.Joined() {
			n++
		}
	}
	return n
}

// start makes and starts one node, which knows the first.
func (s *swarm) start(ctx context.Context, i int) (*node, error) {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], s.cfg.Seed)
	binary.LittleEndian.PutUint64(seed[8:], uint64(i)+1)
	id, err := identity.FromSeed(ctx, seed, identity.Puzzle{})
	if err != nil {
		return nil, err
	}
	n := &node{port: s.hub.Port(), id: skad.IDOf(id.ID())}
	n.net, err = engine.New(engine.Config{
		Transport: n.port, Identity: id, Listen: s.hub.Bound()[i : i+1],
		Puzzle: &identity.Puzzle{}, WeakPuzzle: true, NetworkID: "p2pbench swarm", TaskWork: true,
	})
	if err != nil {
		return nil, err
	}
	dc := discovery.Config{Overlay: skad.Config{Scope: skad.Private}, Connections: s.keep(), Idle: 5 * time.Second}
	if i > 0 {
		dc.Bootstrap = []string{engine.Target{Addr: s.hub.Bound()[0], ID: s.nodes[0].net.ID()}.String()}
	}
	if n.disc, err = discovery.New(dc); err != nil {
		return nil, err
	}
	if n.cast, err = broadcast.New(broadcast.Config{Table: n.disc.Table(), Scope: skad.Private, Deliver: s.deliveries.take}); err != nil {
		return nil, err
	}
	for _, c := range []engine.ComponentInterface{&keepalive.Component{Every: time.Minute, Timeout: 3 * time.Minute}, n.disc, n.cast} {
		if err := n.net.AddComponent(c); err != nil {
			return nil, err
		}
	}
	return n, n.net.Start(ctx)
}

// pick draws nodes that live.
func (s *swarm) pick(count int) []*node {
	alive := s.alive()
	s.rnd.Shuffle(len(alive), func(i, k int) { alive[i], alive[k] = alive[k], alive[i] })
	return alive[:count]
}

func (s *swarm) alive() (list []*node) {
	for _, n := range s.nodes {
		if !n.dead {
			list = append(list, n)
		}
	}
	return list
}

// end kills nodes, all at the same moment. What they hold is given back in the background.
func (s *swarm) end(nodes []*node) {
	for _, n := range nodes {
		n.dead = true
		n.port.Cut()
	}
	s.ids = nil
	for _, n := range s.alive() {
		s.ids = append(s.ids, n.id)
	}
	for _, n := range nodes {
		s.ending.Go(func() { shutdown(n) })
	}
}

func shutdown(n *node) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = n.net.Shutdown(ctx) // what is not said in time is not said
}

// close ends everything.
func (s *swarm) close() {
	for _, n := range s.alive() {
		n.port.Cut()
		s.ending.Go(func() { shutdown(n) })
	}
	s.ending.Wait()
	if s.hub != nil {
		_ = s.hub.Close()
	}
}
