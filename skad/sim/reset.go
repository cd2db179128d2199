package sim

import (
	"time"

	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/skad"
)

// With Config.Resets the kernel of a dead node is alive: it resets the connections that the node had, and refuses new ones.

// refusedAfter and pingRefusedAfter are how long the engine's discovery keeps it from the core that a message did not go out.
const (
	refusedAfter     = 100 * time.Millisecond
	pingRefusedAfter = 600 * time.Millisecond
)

// breakSessions tells every node which of its contacts are gone: all members of a table are connected.
func (w *Network) breakSessions() {
	for _, n := range w.nodes {
		if n.down {
			continue
		}
		for _, m := range n.core.Members(w.now, nil) {
			gone := w.hosts.at(m.Contact.Addrs[0].Addr())
			if gone == nil || !gone.down {
				continue
			}
			w.after(w.delays.oneWay(gone.site, n.site, w.rnd.Float64()), func() {
				n.core.Lost(w.now, m.Contact)
				w.settle(n)
			})
		}
	}
}

// refuse tells a node that nobody listens where it has sent something to.
func (w *Network) refuse(from, dest *Node, to *skad.Contact, op opcode.Opcode) {
	least := refusedAfter
	if op == opcode.PingCode {
		least = pingRefusedAfter
	}
	trip := w.delays.oneWay(from.site, dest.site, w.rnd.Float64()) + w.delays.oneWay(dest.site, from.site, w.rnd.Float64())
	w.after(max(trip, least), func() {
		if from.down {
			return
		}
		from.core.SendFailed(w.now, to)
		w.settle(from)
	})
}
