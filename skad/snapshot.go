package skad

import (
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"time"

	"github.com/carrier-p2p/carrier/handshake/identity"
	"github.com/carrier-p2p/carrier/internal/wire"
)

// A snapshot, little endian:
//
//	offset size field     meaning
//	0      4    magic     "skad"
//	4      1    version   1
//	5      2    count     contacts, longest acquaintance first
//	7      4    known     seconds since the first answer        (per contact)
//	11     4    silent    seconds since the last sign of life   (per contact)
//	15     2    length    of the record                         (per contact)
//	17     n    record    see package identity                  (per contact)
//	end-4  4    checksum  CRC-32C of all before it
//
// Ages instead of times, because engine time begins anew with every start. The checksum finds torn writes; against
// somebody who writes to the disk there is the signature of each record.
const (
	snapshotMagic   = "skad"
	snapshotVersion = 1
)

var (
	// ErrSnapshot is wrapped by what Restore says about bytes that are no snapshot.
	ErrSnapshot = errors.New("skad: not a snapshot")

	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// Snapshot appends the table for Restore: every member, so that a restart does not begin with strangers. Write it every
// few minutes and at the end.
func (c *Core) Snapshot(now time.Duration, dst []byte) []byte {
	c.begin(now)
	defer c.end()
	list := slices.Clone(c.members)
	slices.SortStableFunc(list, func(a, b uint16) int { return cmp.Compare(c.slots[a].firstAt, c.slots[b].firstAt) })
	list = list[:min(len(list), snapshotLimit)]

	from := len(dst)
	dst = append(append(dst, snapshotMagic...), snapshotVersion)
	dst = wire.AppendUint16(dst, uint16(len(list)))
	for _, i := range list {
		s := &c.slots[i]
		dst = wire.AppendUint32(dst, c.age(s.firstAt))
		dst = wire.AppendUint32(dst, c.age(s.verifiedAt))
		dst = appendContact(dst, s.contact)
	}
	return wire.AppendUint32(dst, crc32.Checksum(dst[from:], castagnoli))
}

// A Saved contact is a member of the table as a program that keeps contacts by itself sees it.
type Saved struct {
	Contact *Contact
	Known   time.Duration // since its first answer
	Silent  time.Duration // since its last sign of life
}

// Members appends the whole table, for RestoreMembers.
func (c *Core) Members(now time.Duration, dst []Saved) []Saved {
	c.begin(now)
	for _, i := range c.members {
		s := &c.slots[i]
		dst = append(dst, Saved{s.contact, max(0, c.now-s.firstAt.duration()), max(0, c.now-s.verifiedAt.duration())})
	}
	return dst
}

// RestoreMembers is Restore for contacts that come from elsewhere than a snapshot. Their spans have the time in them that
// the node was down.
func (c *Core) RestoreMembers(now time.Duration, list []Saved) []*Contact {
	c.begin(now)
	defer c.end()
	entries := make([]saved, 0, min(len(list), snapshotLimit))
	for _, s := range list[:min(len(list), snapshotLimit)] {
		entries = append(entries, saved{s.Contact, max(0, s.Known), max(0, s.Silent)})
	}
	return c.restore(entries, 0)
}

// age returns the seconds since a tick.
func (c *Core) age(at tick) uint32 {
	return uint32(max(0, c.now-at.duration()) / time.Second) // 136 years fit
}

// Restore takes the contacts of a snapshot into the table before anybody else can come in, and returns them, ready for
// Bootstrap. down is how long ago the snapshot was made; those that are silent for more than five days by now stay out.
// They are pinged within seconds; whoever does not answer goes the usual way. The records are checked as if a peer had sent
// them; bad ones are left out. Errors wrap ErrSnapshot; then nothing has changed.
func (c *Core) Restore(now time.Duration, b []byte, down time.Duration) ([]*Contact, error) {
	c.begin(now)
	defer c.end()
	entries, err := parseSnapshot(b, c.cfg.Scope)
	if err != nil {
		return nil, err
	}
	return c.restore(entries, down), nil
}

func (c *Core) restore(entries []saved, down time.Duration) (list []*Contact) {
	for _, r := range entries {
		if down = max(down, 0); r.silent+down > restoredAgeLimit || c.cfg.Verifier.Puzzle(r.contact) != nil || c.cfg.Verifier.Signature(r.contact) != nil {
			continue
		}
		if i := c.adopt(r.contact); i != 0 {
			s := &c.slots[i]
			s.firstAt, s.verifiedAt = tickOf(c.now-down-min(r.known, knownLimit)), tickOf(c.now-down-r.silent)
			c.wake.set(i, tickOf(c.now+c.within(restoredPingWithin)))
			list = append(list, r.contact)
		}
	}
	return list
}

// Adopt takes a contact into the table as if it had just answered, and reports whether there was room for it. It is for
// contacts that the caller vouches for: a simulator that begins with full tables.
func (c *Core) Adopt(now time.Duration, d *Contact) bool {
	c.begin(now)
	defer c.end()
	return c.adopt(d) != 0
}

// Season makes a table that Adopt has filled one that has been looked after for long: its members have been
// known for as long as matters, and their pings, the refreshes and the lookups of buckets are due at any
// moment of their spans. Without it everybody is a new acquaintance who is pinged often, and all of them in
// step.
func (c *Core) Season(now time.Duration) {
	c.begin(now)
	defer c.end()
	if len(c.members) == 0 {
		return
	}
	for _, i := range c.members {
		s := &c.slots[i]
		until := c.within(c.cfg.PingMost)
		s.firstAt, s.verifiedAt = tickOf(c.now-2*c.cfg.PingMost), tickOf(c.now+until-c.cfg.PingMost)
		c.wake.set(i, tickOf(c.now+until))
	}
	for i := range c.buckets {
		c.buckets[i].lookedAt = tickOf(c.now - c.within(c.cfg.BucketIdle))
	}
	c.join.refreshAt = c.now + c.within(c.cfg.RefreshMost)
}

// within returns a random part of a span.
func (c *Core) within(span time.Duration) time.Duration {
	return time.Duration(c.rnd.Int64N(int64(span)))
}

func (c *Core) adopt(d *Contact) uint16 {
	if !c.fit(d) || c.find(&d.ID) != 0 {
		return 0
	}
	i := c.acquire(d)
	if i == 0 {
		return 0
	}
	s := &c.slots[i]
	s.marks |= isVerified
	s.firstAt, s.verifiedAt = tickOf(c.now), tickOf(c.now)
	c.settle(i)
	if !c.slots[i].has(isMember) {
		c.tidy(i)
		return 0
	}
	return i
}

// knownLimit bounds how old an acquaintance a snapshot may claim, a year: what the coarse clock of the table holds.
const knownLimit = 365 * 24 * time.Hour

// A saved contact is an entry of a snapshot.
type saved struct {
	contact       *Contact
	known, silent time.Duration
}

func parseSnapshot(b []byte, scope Scope) ([]saved, error) {
	const head = len(snapshotMagic) + 1 + 2
	if len(b) < head+4 || string(b[:4]) != snapshotMagic {
		return nil, fmt.Errorf("%w: %d bytes", ErrSnapshot, len(b))
	}
	if b[4] != snapshotVersion {
		return nil, fmt.Errorf("%w: version %d", ErrSnapshot, b[4])
	}
	body, sum := b[:len(b)-4], b[len(b)-4:]
	if want, _ := wire.ConsumeUint32(sum); crc32.Checksum(body, castagnoli) != want {
		return nil, fmt.Errorf("%w: checksum", ErrSnapshot)
	}
	count, _ := wire.ConsumeUint16(body[5:])
	body = body[head:]
	if count > snapshotLimit || int(count)*(8+recordSizeLeast) > len(body) {
		return nil, fmt.Errorf("%w: %d contacts in %d bytes", ErrSnapshot, count, len(body))
	}
	list := make([]saved, 0, count)
	for range count {
		if len(body) < 8 {
			return nil, fmt.Errorf("%w: cut short", ErrSnapshot)
		}
		known, _ := wire.ConsumeUint32(body)
		silent, _ := wire.ConsumeUint32(body[4:])
		raw, n := wire.ConsumeBytes16(body[8:], identity.RecordSizeLimit)
		if n < 0 {
			return nil, fmt.Errorf("%w: cut short", ErrSnapshot)
		}
		rec, err := identity.ParseRecord(raw)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrSnapshot, err)
		}
		list = append(list, saved{NewContact(rec, scope), time.Duration(known) * time.Second, time.Duration(silent) * time.Second})
		body = body[8+n:]
	}
	if len(body) != 0 {
		return nil, fmt.Errorf("%w: %d bytes too many", ErrSnapshot, len(body))
	}
	return list, nil
}
