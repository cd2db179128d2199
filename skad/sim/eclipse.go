package sim

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/carrier-p2p/carrier/internal/invariant"
	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/skad"
)

// An eclipse wants to be all that a node sees of the network. It waits until the node starts again, and is
// there before anybody else: nodes with a subnet each call it at once. To lookups they answer as colluders
// do.
type eclipse struct{ colluder }

const (
	// eclipsed is how many honest nodes start again.
	eclipsed = 8

	// strangers is how many nodes call each of them: an order of magnitude more than a table holds.
	strangers = 2000

	// eclipseTakes is the span in which all of them call, at random, and restartSettles how long the victims
	// have from their start until they are judged. In it everything that a start brings about is over: the
	// restored contacts have been pinged, strangers tried and let in or not.
	eclipseTakes   = time.Second
	restartSettles = 30 * time.Second
)

func (e *eclipse) begin(w *Network) {
	for _, n := range w.nodes {
		if len(w.restarted) == eclipsed {
			break
		}
		if honest(n) {
			w.restarted = append(w.restarted, n)
		}
	}
	callers := make([]*Node, 0, strangers)
	for i := range strangers {
		x, err := w.place(w.notary.contact(w.rnd, netip.AddrFrom4([4]byte{11, byte(i >> 8), byte(i), 9}), 0))
		if err != nil {
			invariant.Bug("sim: bug: a configuration that was good for others: %v", err)
		}
		x.evil, x.late = e, true
		callers = append(callers, x)
	}
	w.owned = newAtlas(w.nodes, func(n *Node) bool { return n.evil != nil && !n.contact.Client() })
	w.settles = restartSettles
	w.after(0, func() {
		for _, v := range w.restarted {
			w.restart(v)
			for _, x := range callers {
				w.after(time.Duration(w.rnd.Int64N(int64(eclipseTakes))), func() {
					w.send(x, v.contact, &skad.Message{Op: opcode.PingCode, Nonce: 1 + w.rnd.Uint64()>>1})
				})
			}
		}
	})
}

// restart gives a node a fresh core that has restored the table of the old one.
func (w *Network) restart(n *Node) {
	core, err := skad.New(w.cfg.core(w.notary), n.contact, rand.New(rand.NewPCG(w.cfg.Seed, w.rnd.Uint64())), w.now)
	if err != nil {
		invariant.Bug("sim: bug: a configuration that was good for others: %v", err)
	}
	n.before = map[skad.ID]bool{}
	v := n.core.View()
	for prefix := range v.Buckets() {
		for _, c := range v.Sharing(prefix) {
			if core.Adopt(w.now, c) {
				n.before[c.ID] = true
			}
		}
	}
	n.core, n.shard.alarms[n.seat] = core, alarm{skad.Never, skad.Never}
	w.settle(n)
}

// kept returns which part of its table a restarted node had before, for the one that has least.
func (w *Network) kept() float64 {
	least := 1.0
	for _, n := range w.restarted {
		v, have, all := n.core.View(), 0, 0
		for prefix := range v.Buckets() {
			for _, c := range v.Sharing(prefix) {
				if all++; n.before[c.ID] {
					have++
				}
			}
		}
		least = min(least, float64(have)/float64(max(all, 1)))
	}
	return least
}
