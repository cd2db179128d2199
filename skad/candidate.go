package skad

import (
	"slices"
	"sort"
)

// A standing is how far a candidate has come.
//
//	fresh ──asked──▶ waiting ──answer──▶ live
//	  │                 └─────silence──▶ dead ──asked again, once──▶ waiting
//	  ├──another path asked it──▶ taken
//	  └──its record is forged──▶ (removed)
type standing uint8

const (
	fresh standing = iota
	waiting
	live
	dead
	taken
)

// A candidate is a contact that a lookup may ask.
type candidate struct {
	contact *Contact
	source  *Contact // who mentioned it; nil: our own table
	word    uint64   // first word of the distance to the key
	hops    uint8    // contacts that had to be asked to learn of it, itself included
	state   standing
	checked bool  // the record is known to be genuine
	tries   uint8 // how often it was asked
	silent  bool  // it did not answer although it was connected, or had been; or has moved: to be asked once more
}

// A shortlist holds candidates, closest to the key first, each ID once.
type shortlist []candidate

// place returns where d stands or would stand.
func (l shortlist) place(key *ID, d *Contact) (at int, found bool) {
	word := d.ID[0] ^ key[0]
	at = sort.Search(len(l), func(i int) bool {
		if l[i].word != word {
			return l[i].word > word
		}
		return !closer(key, &l[i].contact.ID, &d.ID)
	})
	return at, at < len(l) && l[at].contact.ID == d.ID
}

// insert adds a candidate that is not in the list, at its place. Beyond limit the farthest one that nobody waits for
// leaves; that may be the new one.
func (l *shortlist) insert(at int, cand candidate, limit int) {
	if len(*l) >= limit {
		out := len(*l) - 1
		for out >= 0 && (*l)[out].state == waiting {
			out--
		}
		if out < at {
			return
		}
		*l = slices.Delete(*l, out, out+1)
	}
	*l = slices.Insert(*l, at, cand)
}

// offer adds a candidate unless the list has its ID. Where the list has another record of that ID, the dispute is
// settled by checking signatures: otherwise whoever speaks first with a forged record of an honest node would hide the
// node.
func (c *Core) offer(l *shortlist, key *ID, cand candidate, limit int) {
	at, found := l.place(key, cand.contact)
	if !found {
		l.insert(at, cand, limit)
		return
	}
	have := &(*l)[at]
	if have.gone(cand.contact) && (cand.checked || c.signed(cand.contact, cand.source)) {
		have.renew(cand.contact)
	}
	if have.state != fresh || have.contact.sameRecord(cand.contact) {
		return
	}
	if !cand.checked && !c.signed(cand.contact, cand.source) {
		return
	}
	cand.checked = true
	if !have.checked && !c.signed(have.contact, have.source) || cand.contact.Record.Seq > have.contact.Record.Seq {
		*have = cand
		return
	}
	have.checked = true
}

// gone reports whether a candidate was asked in vain, once, where an older record than d says that it is.
func (cand *candidate) gone(d *Contact) bool {
	return cand.state == dead && cand.tries == 1 && d.Record.Seq > cand.contact.Record.Seq
}

// renew gives one that is gone a second chance, where its newer and genuine record says that it is: whoever knows where it was must
// not hide it from those who have heard where it is. See askAgain.
func (cand *candidate) renew(d *Contact) {
	cand.contact, cand.checked, cand.silent = d, true, true
}
