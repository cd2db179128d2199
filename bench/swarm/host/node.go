package host

import (
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"time"

	"github.com/carrier-p2p/carrier/engine"
	"github.com/carrier-p2p/carrier/engine/component/broadcast"
	"github.com/carrier-p2p/carrier/engine/component/discovery"
	"github.com/carrier-p2p/carrier/engine/component/keepalive"
	"github.com/carrier-p2p/carrier/engine/transport"
	"github.com/carrier-p2p/carrier/engine/transport/shared"
	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
)

// A node is one of the swarm. Nothing of it changes after its start.
type node struct {
	net     *engine.Network
	disc    *discovery.Component
	cast    *broadcast.Component
	port    *shared.Port
	at      transport.Addr
	id      skad.ID
	hostile bool
}

// idle is how long a node keeps a connection that it has dialled for a lookup: short, as descriptors are what a swarm runs
// out of first.
const idle = 5 * time.Second

// saveEvery is how often stores are written. A swarm is measured in less than the minute of a real node.
const saveEvery = 5 * time.Second

// spare is how many descriptors are left to everything that is no connection between nodes.
const spare = 2048

// keep are the idle connections that each node may keep, so that all of them fit the descriptors of the process. Both ends are
// here, and for eight that are kept there is room for one that is just made for a lookup or on its way out: without it lookups
// fail for want of descriptors.
func (h *Host) keep() int {
	return max(8, min(discovery.ConnectionsDefault, (descriptors()-spare)*4/(9*h.setup.Places)))
}

// start makes and starts one node. It is put together as node.Node does it, on a transport that is shared.
func (h *Host) start(s Spec, at transport.Addr) (*node, error) {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], h.setup.Seed)
	binary.LittleEndian.PutUint64(seed[8:], uint64(s.Number)+1)
	id, err := identity.FromSeed(h.ctx, seed, identity.Puzzle{})
	if err != nil {
		return nil, err
	}
	n := &node{port: h.hub.Port(), at: at, id: skad.IDOf(id.ID()), hostile: s.Hostile}
	n.net, err = engine.New(engine.Config{
		Transport: n.port, Identity: id, Listen: []transport.Addr{at},
		Puzzle: &identity.Puzzle{}, WeakPuzzle: true, NetworkID: "p2pbench swarm", TaskWork: true,
	})
	if err != nil {
		return nil, err
	}
	components, err := h.components(s, n)
	if err != nil {
		return nil, err
	}
	for _, c := range components {
		if err := n.net.AddComponent(c); err != nil {
			return nil, err
		}
	}
	return n, n.net.Start(h.ctx)
}

// components makes what the node consists of, of which a hostile one bends something.
func (h *Host) components(s Spec, n *node) (list []engine.ComponentInterface, err error) {
	dc := discovery.Config{Overlay: skad.Config{Scope: skad.Private}, Connections: h.keep(), Idle: idle}
	if s.Bootstrap != "" {
		dc.Bootstrap = []string{s.Bootstrap}
	}
	if h.setup.Stores != "" {
		dc.StoreFile, dc.SaveEvery = filepath.Join(h.setup.Stores, fmt.Sprintf("%d.store", s.Number)), saveEvery
	}
	if n.disc, err = discovery.New(dc); err != nil {
		return nil, err
	}
	n.cast, err = broadcast.New(broadcast.Config{
		Table: n.disc.Table(), Connect: n.disc.Connect, Scope: skad.Private,
		Deliver: func(m broadcast.Message) bool { h.take(s.Number, &m); return true },
		Blame: func(who *skad.Contact, why skad.Reason) {
			_ = n.disc.Do(func(now time.Duration, core *skad.Core) { core.Blame(now, who, why) }) // busy: it will happen again
		},
	})
	if err != nil {
		return nil, err
	}
	list = []engine.ComponentInterface{&keepalive.Component{Every: time.Minute, Timeout: 3 * time.Minute}, n.disc, n.cast, &yardstick{}}
	if s.Hostile {
		bend := adversaries[h.setup.Adversary]
		if bend == nil {
			return nil, fmt.Errorf("host: no adversary %q", h.setup.Adversary)
		}
		list = bend(h, n, list)
	}
	return list, nil
}

// member describes the node.
func (n *node) member(s Spec) Member {
	return Member{
		Number: s.Number, ID: n.id, Record: n.net.Record().Append(nil), Hostile: n.hostile,
		Target:   n.net.Target().String(),
		Restored: n.disc.Stats().Restored,
	}
}

// shutdownWithin bounds the end of a node whose connections are cut already.
const shutdownWithin = 5 * time.Second

func (n *node) shutdown() {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownWithin)
	defer cancel()
	_ = n.net.Shutdown(ctx) // what is not said in time is not said
}
