package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/carrier-p2p/carrier/opcode"
	"github.com/carrier-p2p/carrier/skad"
)

// An Adversary is what stands in front of the cores of the nodes that it owns: it sees every message for them first and may answer in its own way. All its nodes are of one mind.
// AdversaryNamed makes one; it belongs to one Network.
type Adversary interface {
	// begin is called once, when the network has been made.
	begin(w *Network)

	// receive takes a message for n, or leaves it to the core of n.
	receive(w *Network, n, from *Node, m *skad.Message) bool
}

// adversaries names them. Those of broadcasts are named where broadcasts are.
func adversary(name string) Adversary {
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
	case "sybil":
		return sybil{}
	case "slow":
		return slow{}
	}
	return nil
}

// Adversaries returns the names that AdversaryNamed knows.
func Adversaries() []string {
	return []string{"paper", "dropper", "poisoner", "colluder", "forger", "sybil", "slow"}
}

// AdversaryNamed makes an adversary:
//
//	paper      the model of the S/Kademlia paper: whoever asks it gets nodes beside the key that lead nowhere, which ends the path
//	dropper    answers no lookup and forwards no routed message; pings it answers
//	poisoner   answers with the closest of its own that the asked node happens to know
//	colluder   knows everything: answers with the closest of its own that this lookup has not asked yet
//	forger     answers with the true closest nodes, at addresses where nobody is
//	sybil      16 nodes around every key that is looked for, all of one subnet, beside its share of colluders
//	slow       answers everything, almost a second late
//
// Errors wrap ErrConfig.
func AdversaryNamed(name string) (Adversary, error) {
	if a := adversary(name); a != nil {
		return a, nil
	}
	return nil, fmt.Errorf("%w: no adversary %q; there are %s", ErrConfig, name, strings.Join(Adversaries(), ", "))
}

// reply sends what an adversary has made up.
func (w *Network) reply(n, to *Node, asked *skad.Message, contacts []*skad.Contact) {
	w.send(n, to.contact, &skad.Message{Op: opcode.LookupNodeResponseCode, Nonce: asked.Nonce, Contacts: contacts})
}

// A paper adversary needs no share of the table to end a path: it invents nodes closer to the key than any other, one for each contact asked for. They answer lookups
// with nothing, and are seen nowhere else.
type paper struct {
	ghost *Node // answers for all the invented ones
	count uint64
}

func (p *paper) begin(*Network) {}

func (p *paper) receive(w *Network, n, from *Node, m *skad.Message) bool {
	if m.Op != opcode.LookupNodeRequestCode {
		return false
	}
	var list []*skad.Contact
	for range min(int(m.Count), w.cfg.K) {
		list = append(list, p.invent(w, m.Key))
	}
	w.reply(n, from, m, list)
	return true
}

// invent makes a node so close to key that only the node whose ID it is would be closer.
func (p *paper) invent(w *Network, key skad.ID) *skad.Contact {
	p.count++
	c := w.notary.contact(w.rnd, nowhere(uint32(p.count)), 0)
	c.ID = key
	c.ID[3] ^= p.count
	w.hosts[c.Addrs[0].Addr()] = &Node{contact: c, evil: deadEnd{}, index: n32(len(w.nodes)), armedAt: skad.Never}
	return c
}
