package host

import (
	"fmt"
	"slices"

	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/skad"
)

// A Known is a node as the truth has it.
type Known struct {
	ID      skad.ID
	Hostile bool
}

// Truth returns what an exact lookup of key by asker finds: the honest ones among the Nearest of all. all is put in order
// of distance.
func Truth(all []Known, key, asker skad.ID) (ids []skad.ID) {
	slices.SortFunc(all, func(a, b Known) int { return a.ID.Xor(key).Compare(b.ID.Xor(key)) })
	rank := 0
	for _, k := range all {
		if k.ID == asker {
			continue
		}
		if !k.Hostile {
			ids = append(ids, k.ID)
		}
		if rank++; rank == Nearest {
			break
		}
	}
	return ids
}

// A crowd is everybody, as the coordinator knows them. It never changes.
type crowd struct {
	hostile map[skad.ID]bool
	all     []*skad.Contact       // for those who lie about them
	truth   map[skad.ID][]skad.ID // by asker, of its own ID
}

func newCrowd(members []Member) (*crowd, error) {
	c := &crowd{hostile: map[skad.ID]bool{}, truth: map[skad.ID][]skad.ID{}}
	var all []Known
	for _, m := range members {
		rec, err := identity.ParseRecord(m.Record)
		if err != nil {
			return nil, fmt.Errorf("host: the record of node %d: %w", m.Number, err)
		}
		c.all = append(c.all, skad.NewContact(rec, skad.Private))
		c.hostile[m.ID] = m.Hostile
		all = append(all, Known{m.ID, m.Hostile})
	}
	for _, m := range members {
		c.truth[m.ID] = Truth(all, m.ID, m.ID)
	}
	return c, nil
}

// exact reports whether a node knows whom it should. Whoever is not of the crowd yet is not judged.
func (c *crowd) exact(asker skad.ID, known []*skad.Contact) bool {
	truth, there := c.truth[asker]
	return there && !slices.ContainsFunc(truth, func(id skad.ID) bool {
		return !slices.ContainsFunc(known, func(d *skad.Contact) bool { return d.ID == id })
	})
}

// nearest returns the contacts nearest to key, without one node.
func (c *crowd) nearest(key, without skad.ID, count int) []*skad.Contact {
	list := slices.DeleteFunc(slices.Clone(c.all), func(d *skad.Contact) bool { return d.ID == without })
	slices.SortFunc(list, func(a, b *skad.Contact) int { return a.ID.Xor(key).Compare(b.ID.Xor(key)) })
	return list[:min(len(list), count)]
}
