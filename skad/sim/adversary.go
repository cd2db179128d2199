package sim

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/carrier-p2p/carrier/internal/invariant"
	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/skad"
	"github.com/carrier-p2p/carrier/skad/spread"
)

// An Adversary is what stands in front of the cores of the nodes that it owns: it sees every message for them
// first and may answer in its own way. All its nodes are of one mind. AdversaryNamed makes one; it belongs to
// one Network.
type Adversary interface {
	// begin is called once, when the network has been made.
	begin(w *Network)

	// receive takes a message for n, or leaves it to the core of n.
	receive(w *Network, n, from *Node, m *skad.Message) bool

	// news is receive for broadcasts.
	news(w *Network, n, from *Node, m *spread.Message) bool
}

// plain is what adversaries do where they do nothing special.
type plain struct{}

func (plain) begin(*Network) {}

func (plain) receive(*Network, *Node, *Node, *skad.Message) bool { return false }

func (plain) news(*Network, *Node, *Node, *spread.Message) bool { return false }

// zoo names them.
func zoo(name string) Adversary {
	switch name {
	case "paper":
		return &paper{}
	case "dropper":
		return dropper{}
	case "poisoner":
		return poisoner{}
	case "colluder":
		return colluder{}
	case "forger":
		return &forger{}
	case "slow":
		return slow{}
	case "sybil":
		return sybil{}
	case "flooder":
		return flooder{}
	case "blackhole":
		return blackhole{}
	case "eclipse":
		return &eclipse{}
	case "inflator":
		return inflator{}
	}
	return nil
}

// Adversaries returns the names that AdversaryNamed knows.
func Adversaries() []string {
	return []string{"paper", "dropper", "poisoner", "colluder", "forger", "slow", "sybil", "flooder", "eclipse", "blackhole", "inflator"}
}

// AdversaryNamed makes an adversary:
//
//	paper      the model of the S/Kademlia paper: whoever asks it gets nodes beside the key that lead nowhere, which ends the path
//	dropper    answers no lookup, and forwards no routed message that it has taken over; pings it answers
//	poisoner   answers with the closest of its own that the asked node happens to know
//	colluder   knows everything: answers with the closest of its own that this lookup has not asked yet
//	forger     answers with the true closest nodes, at addresses where nobody is
//	slow       answers everything, most of a second late
//	sybil      surrounds eight honest nodes, each with 16 colluders that are closer to its ID than any other node; lookups are then made for those eight
//	flooder    calls every node from 254 identities in one subnet, which answer honestly: it wants into all tables
//	eclipse    calls eight nodes from 2000 subnets at the moment in which they start again; lookups are then made by those eight, and answered as colluders do
//	blackhole  takes what is broadcast, and passes nothing on
//	inflator   passes broadcasts on as if its delegates had half of the network to serve
//
// Errors wrap ErrConfig.
func AdversaryNamed(name string) (Adversary, error) {
	if a := zoo(name); a != nil {
		return a, nil
	}
	return nil, fmt.Errorf("%w: no adversary %q; there are %s", ErrConfig, name, strings.Join(Adversaries(), ", "))
}

// reply sends what an adversary has made up.
func (w *Network) reply(n, to *Node, asked *skad.Message, contacts []*skad.Contact) {
	w.send(n, to.contact, &skad.Message{Op: opcode.LookupNodeResponseCode, Nonce: asked.Nonce, Contacts: contacts})
}

// taken tells the hop before that a routed message is in good hands, so that it looks for no other way.
func (w *Network) taken(n, from *Node, m *skad.Message) {
	w.send(n, from.contact, &skad.Message{Op: opcode.RouteAckCode, Nonce: m.Nonce})
}

// A paper adversary needs no share of the table to end a path: it invents nodes closer to the key than any
// other, as many as the path wants. They answer lookups with nothing, and then they are gone.
type paper struct {
	plain
	count uint64
}

// ghostLife is how long an invented node stays: longer than the questions of one path.
const ghostLife = 10 * time.Second

func (p *paper) receive(w *Network, n, from *Node, m *skad.Message) bool {
	if m.Op != opcode.LookupNodeRequestCode {
		return false
	}
	width := 1
	if from.quest != nil {
		width = from.quest.plan.Width
	}
	var list []*skad.Contact
	for range min(int(m.Count), width) {
		list = append(list, p.invent(w, n, m.Key))
	}
	w.reply(n, from, m, list)
	return true
}

// invent makes a node so close to key that only the node whose ID it is would be closer.
func (p *paper) invent(w *Network, n *Node, key skad.ID) *skad.Contact {
	p.count++
	at := nowhere(uint32(p.count))
	c := w.notary.contact(w.rnd, at, 0)
	c.ID = key
	c.ID[3] ^= p.count
	w.hosts.put(at, &Node{contact: c, evil: ghost{}, shard: n.shard, index: n.index, decided: 1<<31 | uint32(p.count)<<6, site: n.site})
	w.after(ghostLife, func() { w.hosts.remove(at) })
	return c
}

// A ghost is an invented node. It has no core.
type ghost struct{ plain }

func (ghost) receive(w *Network, n, from *Node, m *skad.Message) bool {
	if m.Op == opcode.LookupNodeRequestCode {
		w.reply(n, from, m, nil)
	}
	return true
}

type dropper struct{ plain }

func (dropper) receive(w *Network, n, from *Node, m *skad.Message) bool {
	switch m.Op {
	case opcode.LookupNodeRequestCode:
		return true
	case opcode.RouteCode:
		w.taken(n, from, m)
		return true
	}
	return false
}

type poisoner struct{ plain }

func (poisoner) receive(w *Network, n, from *Node, m *skad.Message) bool {
	if m.Op != opcode.LookupNodeRequestCode {
		return false
	}
	list := slices.DeleteFunc(n.core.Closest(m.Key, skad.CountLimit, nil), func(c *skad.Contact) bool {
		at := w.hosts.at(c.Addrs[0].Addr())
		return at == nil || at.evil == nil || at == from
	})
	w.reply(n, from, m, list[:min(len(list), int(m.Count))])
	return true
}

type colluder struct{ plain }

func (colluder) receive(w *Network, n, from *Node, m *skad.Message) bool {
	if m.Op != opcode.LookupNodeRequestCode {
		return false
	}
	var used []*Node
	if from.quest != nil && from.quest.key == m.Key {
		used = from.quest.owned
	}
	var list []*skad.Contact
	for _, x := range w.owned.nearest(m.Key, int(m.Count)+len(used)+1) {
		if x != n && x != from && !slices.Contains(used, x) && len(list) < int(m.Count) {
			list = append(list, x.contact)
		}
	}
	w.reply(n, from, m, list)
	return true
}

// A forger knows everybody, and their records, which it cannot sign.
type forger struct {
	plain
	all   atlas
	count uint32
}

func (f *forger) begin(w *Network) {
	f.all = newAtlas(w.nodes, func(n *Node) bool { return !n.contact.Client() })
}

func (f *forger) receive(w *Network, n, from *Node, m *skad.Message) bool {
	if m.Op != opcode.LookupNodeRequestCode {
		return false
	}
	var list []*skad.Contact
	for _, x := range f.all.nearest(m.Key, int(m.Count)+1) {
		if x == from || len(list) == int(m.Count) {
			continue
		}
		c := x.contact
		if x.evil == nil {
			f.count++
			c = forge(c, nowhere(f.count))
		}
		list = append(list, c)
	}
	w.reply(n, from, m, list)
	return true
}

// slow answers are late by slowness and a usual round trip, below the second that a question lasts at most.
type slow struct{ plain }

const slowness = 700 * time.Millisecond

func (slow) begin(w *Network) {
	for _, n := range w.owned {
		n.delay = slowness
	}
}

// A sybil adversary has done the work to put nodes where it wants them. Otherwise they are colluders.
type sybil struct{ colluder }

// sybilVictims is how many nodes are surrounded, and sybilsEach by how many nodes.
const (
	sybilVictims = 8
	sybilsEach   = 16
)

func (s sybil) begin(w *Network) {
	bits := int(math.Ceil(math.Log2(float64(len(w.nodes))))) // within this prefix there is one node on average, or less
	for _, n := range w.nodes {
		if len(w.victims) == sybilVictims {
			break
		}
		if honest(n) {
			w.victims = append(w.victims, n)
		}
	}
	for _, v := range w.victims {
		for range sybilsEach {
			x, err := w.place(w.notary.near(w.rnd, v.contact.ID, bits, homeAddr(uint32(len(w.nodes)))))
			if err != nil {
				invariant.Bug("sim: bug: a configuration that was good for others: %v", err)
			}
			x.evil = s
		}
	}
	w.owned = newAtlas(w.nodes, func(n *Node) bool { return n.evil != nil && !n.contact.Client() })
}

// A flooder owns one subnet, and calls everybody from every address of it, a node after the other, twice.
type flooder struct{ plain }

// floodEvery is the span between two nodes that are called.
const floodEvery = 5 * time.Millisecond

func (f flooder) begin(w *Network) {
	calls := 2 * len(w.nodes)
	for host := 1; host < 255; host++ {
		x, err := w.place(w.notary.contact(w.rnd, netip.AddrFrom4([4]byte{11, 7, 7, byte(host)}), 0))
		if err != nil {
			invariant.Bug("sim: bug: a configuration that was good for others: %v", err)
		}
		x.evil, x.stray, x.late = f, true, true
		w.strays = append(w.strays, x)
	}
	called := 0
	var call func()
	call = func() {
		for _, x := range w.strays {
			w.send(x, w.nodes[called%(calls/2)].contact, &skad.Message{Op: opcode.PingCode, Nonce: 1 + w.rnd.Uint64()>>1})
		}
		if called++; called < calls {
			w.after(floodEvery, call)
		}
	}
	w.after(0, call)
}

// A blackhole takes what is broadcast, and neither passes it on nor answers those who miss it.
type blackhole struct{ plain }

func (blackhole) news(*Network, *Node, *Node, *spread.Message) bool { return true }

// An inflator gives its delegates more to do than is theirs: it claims that they share nothing with it, which
// would put them in charge of half of the network.
type inflator struct{ plain }

func (inflator) begin(w *Network) {
	for _, n := range w.owned {
		n.warp = func(m *spread.Message) { m.Height = 0 }
	}
}
