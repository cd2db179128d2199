package identity

import (
	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/crypto/blake2b"

	"github.com/carrier-p2p/carrier/internal/invariant"
)

// A Cache remembers which encoded records have been checked, so that a record seen again (a reconnect, a contact named by
// several nodes) costs a hash and a lookup instead of a signature check. It knows records by the BLAKE2b-256 hash of
// their bytes, holds a fixed number of them and forgets those unused longest.
//
// Failures are not remembered: they are cheap to find again, or else a stranger could push good records out with bad
// ones for the price of random bytes. May be used from any goroutine.
type Cache struct {
	lru *lru.Cache[[32]byte, checked]
}

// A checked record was verified under puzzle; under another one the answer may differ.
type checked struct {
	record *Record
	puzzle Puzzle
}

// NewCache makes a cache for n records, at least one. A record takes about 0.7 KiB.
func NewCache(n int) *Cache {
	c, err := lru.New[[32]byte, checked](max(n, 1))
	if err != nil {
		invariant.Bug("identity: bug: LRU of %d: %v", n, err)
	}
	return &Cache{lru: c}
}

// Verify parses raw and verifies it under p, or finds that this was done before. The record is shared between all who
// ask for the same bytes: it must not be changed. Nothing of raw is kept. Errors are those of ParseRecord and
// Record.Verify. A nil Cache works and remembers nothing.
func (c *Cache) Verify(raw []byte, p Puzzle) (*Record, error) {
	var key [32]byte
	if c != nil && len(raw) <= RecordSizeLimit {
		key = blake2b.Sum256(raw)
		if hit, ok := c.lru.Get(key); ok && hit.puzzle == p {
			return hit.record, nil
		}
	}
	r, err := ParseRecord(raw)
	if err != nil {
		return nil, err
	}
	if err := r.Verify(p); err != nil {
		return nil, err
	}
	if c != nil {
		c.lru.Add(key, checked{&r, p})
	}
	return &r, nil
}

// Len returns the number of records held.
func (c *Cache) Len() int { return c.lru.Len() }
