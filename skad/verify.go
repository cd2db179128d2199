package skad

import "github.com/carrier-p2p/carrier/handshake/identity"

// A Verifier says whether a record may be believed. The core asks in the order of cost: Puzzle when a record is
// mentioned, Signature only when the record is about to be used, and never again for a record that it holds. A
// simulator injects its own.
type Verifier interface {
	// Puzzle checks the proofs of work, below a microsecond.
	Puzzle(c *Contact) error

	// Signature checks the record as a whole, tens of microseconds.
	Signature(c *Contact) error
}

// Records returns the Verifier of a network whose puzzles have the given difficulty. It keeps no state.
func Records(p identity.Puzzle) Verifier { return records{p} }

type records struct{ puzzle identity.Puzzle }

func (v records) Puzzle(c *Contact) error {
	return v.puzzle.Check(c.Record.PublicKey, c.Record.Solution)
}

func (v records) Signature(c *Contact) error { return c.Record.Verify(v.puzzle) }
