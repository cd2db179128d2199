package handshake

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/carrier-p2p/carrier/handshake/identity"
)

// A Config is what all handshakes of a node have in common. It is shared by its machines and not changed once one was
// made; a node whose record changes makes a new Config.
type Config struct {
	Identity  *identity.Identity // required
	Record    []byte             // the identity's own encoded record; required
	NetworkID string             // at most NetworkIDLimit bytes; nodes of different networks refuse each other
	Puzzle    identity.Puzzle    // asked of every peer, and the same in all the network; the zero value asks nothing
	Params    Params             // what we say of ourselves; Machine.Observe sets Observed for one handshake
	Timeout   time.Duration      // for the whole handshake; 0 means DefaultTimeout
	Rand      io.Reader          // gives ephemeral keys; nil means crypto/rand. Read by all machines, on their goroutines
	Cache     *identity.Cache    // of records checked before; nil means none
}

// Validate reports everything that is wrong with c, once, when a node starts. It checks the record as a peer would.
func (c *Config) Validate() error {
	errs := []error{c.check()}
	if c.Identity == nil {
		return errors.Join(errs...)
	}
	r, err := identity.ParseRecord(c.Record)
	if err == nil {
		err = r.Verify(c.Puzzle)
	}
	switch {
	case err != nil:
		errs = append(errs, fmt.Errorf("handshake: own record: %w", err))
	case r.PublicKey != c.Identity.PublicKey() || r.Static != c.Identity.StaticPublic():
		errs = append(errs, errors.New("handshake: own record is of another identity"))
	}
	return errors.Join(errs...)
}

// check holds what every machine relies on. It is cheap enough to be asked each time.
func (c *Config) check() error {
	switch {
	case c.Identity == nil:
		return errors.New("handshake: config without an identity")
	case len(c.Record) == 0 || len(c.Record) > identity.RecordSizeLimit:
		return fmt.Errorf("handshake: own record of %d bytes, allowed 1 to %d", len(c.Record), identity.RecordSizeLimit)
	case len(c.NetworkID) > NetworkIDLimit:
		return fmt.Errorf("handshake: network id of %d bytes, limit %d", len(c.NetworkID), NetworkIDLimit)
	case c.Timeout < 0:
		return fmt.Errorf("handshake: timeout %v", c.Timeout)
	}
	if err := c.Puzzle.Validate(); err != nil {
		return err
	}
	return c.Params.Validate()
}

func (c *Config) timeout() time.Duration {
	if c.Timeout == 0 {
		return DefaultTimeout
	}
	return c.Timeout
}

func (c *Config) rand() io.Reader {
	if c.Rand == nil {
		return rand.Reader
	}
	return c.Rand
}

// prologue is what both sides must agree on for any message after the first to decrypt.
func (c *Config) prologue() []byte {
	const name = "carrier/1"
	b := make([]byte, 0, len(name)+1+len(c.NetworkID)+2)
	b = append(append(b, name...), byte(len(c.NetworkID)))
	b = append(b, c.NetworkID...)
	return append(b, byte(c.Puzzle.StaticBits), byte(c.Puzzle.DynamicBits))
}

// networkTag tells networks apart in message 1. It is a hash, so that a network's name is not sent in clear; a name
// that can be guessed can still be recognised.
func networkTag(prologue []byte) (tag [8]byte) {
	h := identity.Hash(prologue)
	copy(tag[:], h[:])
	return tag
}
