package skad

// A View is the table at one moment, for other goroutines: immutable, safe for concurrent use, good for ever.
type View struct {
	self     ID
	contacts []*Contact // closest to self first
	siblings []*Contact
}

// View returns the table as it is now. It is made anew only after the table has changed; publish it through an atomic
// pointer.
func (c *Core) View() *View {
	if c.view != nil {
		return c.view
	}
	v := &View{self: c.self.ID, contacts: make([]*Contact, len(c.members))}
	for i, m := range c.members {
		v.contacts[i] = c.slots[m].contact
	}
	v.siblings = c.Siblings(make([]*Contact, 0, c.siblings))
	c.view = v
	return v
}

func (v *View) len() int          { return len(v.contacts) }
func (v *View) word(i int) uint64 { return v.contacts[i].ID[0] ^ v.self[0] }
func (v *View) id(i int) *ID      { return &v.contacts[i].ID }

// Self returns the node's own ID.
func (v *View) Self() ID { return v.self }

// Len returns how many contacts there are.
func (v *View) Len() int { return len(v.contacts) }

// Closest appends the n contacts closest to key, as Core.Closest does.
func (v *View) Closest(key ID, n int, dst []*Contact) []*Contact {
	var s selection
	closest(v, &v.self, &key, min(n, CountLimit), &s)
	for _, pos := range s.pos[:s.n] {
		dst = append(dst, v.contacts[pos])
	}
	return dst
}

// Siblings returns the sibling list, closest first. It must not be changed.
func (v *View) Siblings() []*Contact { return v.siblings[:len(v.siblings):len(v.siblings)] }

// Sharing returns the contacts that share exactly prefix bits with self, closest to self first. It must not be changed.
func (v *View) Sharing(prefix int) []*Contact {
	from, to := prefixEnd(v, &v.self, prefix), prefixEnd(v, &v.self, prefix-1)
	return v.contacts[from:to:to]
}

// Buckets returns how many prefixes Sharing has contacts for: one more than the longest prefix in the table.
func (v *View) Buckets() int {
	if len(v.contacts) == 0 {
		return 0
	}
	return CommonPrefix(v.self, v.contacts[0].ID) + 1
}
