package identity

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"golang.org/x/crypto/blake2b"
)

// ErrPuzzle says that an identity has not done the work its network asks for.
var ErrPuzzle = errors.New("identity: puzzle not solved")

// A Puzzle is what a network asks of an identity: c1 and c2 of S/Kademlia, in leading zero bits. All nodes of a
// network use the same. The zero value asks for nothing, which is for tests.
//
// In the paper X may be any value. Then the dynamic puzzle costs nothing: whoever has found one Y with c2 zero bits in
// front of its hash sets X = ID xor Y for any number of IDs. Here the first 24 bytes of X must be zero, so that 192 bits of
// what is hashed are the ID's own; the 64 left are room for any search. X = 0 is no solution either: it would hash the
// same as the static puzzle, and be free wherever c2 <= c1.
type Puzzle struct {
	StaticBits  int // c1, 0 to PuzzleBitsLimit. Each try costs a key, about 20 us.
	DynamicBits int // c2, 0 to PuzzleBitsLimit. Each try costs a hash, about 0.2 us.
}

// DefaultPuzzle asks for about 1.4 s of one core for the ID and 0.2 s for the right to use it.
var DefaultPuzzle = Puzzle{StaticBits: 16, DynamicBits: 20}

// Validate reports bits outside 0 to PuzzleBitsLimit.
func (p Puzzle) Validate() error {
	if p.StaticBits < 0 || p.StaticBits > PuzzleBitsLimit || p.DynamicBits < 0 || p.DynamicBits > PuzzleBitsLimit {
		return fmt.Errorf("identity: puzzle bits %d and %d, allowed 0 to %d", p.StaticBits, p.DynamicBits, PuzzleBitsLimit)
	}
	return nil
}

// Check reports, with an error that wraps ErrPuzzle, whether the ID of pub and x solve p: three hashes, below a
// microsecond. Hence it comes before anything that costs more.
func (p Puzzle) Check(pub PublicKey, x [32]byte) error {
	id := pub.ID()
	if got := staticZeros(id); got < p.StaticBits {
		return fmt.Errorf("%w: static, %d leading zero bits of %d", ErrPuzzle, got, p.StaticBits)
	}
	free, ok := freeOf(&x)
	if !ok {
		return fmt.Errorf("%w: dynamic, a solution has 24 zero bytes in front", ErrPuzzle)
	}
	if p.DynamicBits == 0 {
		return nil
	}
	if free == 0 {
		return fmt.Errorf("%w: dynamic, zero is no solution", ErrPuzzle)
	}
	if got := dynamicZeros(&id, free); got < p.DynamicBits {
		return fmt.Errorf("%w: dynamic, %d leading zero bits of %d", ErrPuzzle, got, p.DynamicBits)
	}
	return nil
}

func staticZeros(id ID) int {
	h := blake2b.Sum256(id[:])
	return leadingZeros(&h)
}

func dynamicZeros(id *ID, free uint64) int {
	y := *id
	tail := y[24:]
	binary.LittleEndian.PutUint64(tail, binary.LittleEndian.Uint64(tail)^free)
	h := blake2b.Sum256(y[:])
	return leadingZeros(&h)
}

// freeOf returns the part of a solution that may be chosen; false if another part was.
func freeOf(x *[32]byte) (free uint64, ok bool) {
	le := binary.LittleEndian
	return le.Uint64(x[24:]), le.Uint64(x[0:])|le.Uint64(x[8:])|le.Uint64(x[16:]) == 0
}

func solutionOf(free uint64) (x [32]byte) {
	binary.LittleEndian.PutUint64(x[24:], free)
	return x
}

func leadingZeros(h *[32]byte) int {
	n := 0
	for i := 0; i < len(h); i += 8 {
		z := bits.LeadingZeros64(binary.BigEndian.Uint64(h[i:]))
		n += z
		if z < 64 {
			break
		}
	}
	return n
}
