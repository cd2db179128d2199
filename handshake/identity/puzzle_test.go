package identity

import (
	"context"
	"errors"
	"math"
	"testing"

	"golang.org/x/crypto/blake2b"
)

// Check is compared with the definition, written out bit by bit.
func TestPuzzleCheckIsTheDefinition(t *testing.T) {
	zeros := func(b [32]byte) int {
		h := blake2b.Sum256(b[:])
		for i := range 256 {
			if h[i/8]>>(7-i%8)&1 == 1 {
				return i
			}
		}
		return 256
	}
	for n := range byte(40) {
		id := generate(t, n, Puzzle{DynamicBits: 6})
		x, xored := id.Solution(), id.ID()
		for i := range xored {
			xored[i] ^= x[i]
		}
		static, dynamic := zeros(id.ID()), zeros(xored)
		for bits := range 20 {
			if err := (Puzzle{StaticBits: bits}).Check(id.PublicKey(), x); (err == nil) != (static >= bits) {
				t.Errorf("identity %d with %d static zeros, asked for %d: %v", n, static, bits, err)
			}
			if err := (Puzzle{DynamicBits: bits}).Check(id.PublicKey(), x); (err == nil) != (dynamic >= bits) {
				t.Errorf("identity %d with %d dynamic zeros, asked for %d: %v", n, dynamic, bits, err)
			}
		}
	}
}

// Whoever may choose all of X reuses one preimage for every ID. This is that attack, and it must fail.
func TestPuzzleSolutionCannotBeMovedToAnotherID(t *testing.T) {
	p := Puzzle{DynamicBits: 8}
	rich, poor := generate(t, 1, p), generate(t, 2, p)
	rid, pid, x := rich.ID(), poor.ID(), rich.Solution()
	var moved [32]byte
	for i := range moved {
		moved[i] = rid[i] ^ x[i] ^ pid[i]
	}
	if err := p.Check(poor.PublicKey(), moved); !errors.Is(err, ErrPuzzle) {
		t.Errorf("X = ID xor Y with the Y of another identity: %v, want ErrPuzzle", err)
	}
}

// With X = 0 the dynamic hash is the static one, so an ID with enough zeros would have its solution for nothing.
func TestPuzzleZeroIsNoSolution(t *testing.T) {
	id := generate(t, 1, Puzzle{StaticBits: 6})
	if err := (Puzzle{StaticBits: 6, DynamicBits: 6}).Check(id.PublicKey(), [32]byte{}); !errors.Is(err, ErrPuzzle) {
		t.Errorf("X = 0: %v, want ErrPuzzle", err)
	}
}

func TestLeadingZeros(t *testing.T) {
	for n := range 256 {
		var h [32]byte
		h[n/8] = 0x80 >> (n % 8)
		for i := n/8 + 1; i < len(h); i++ {
			h[i] = 0xff
		}
		if got := leadingZeros(&h); got != n {
			t.Errorf("%x: %d zeros, want %d", h, got, n)
		}
	}
	if got := leadingZeros(new([32]byte)); got != 256 {
		t.Errorf("zero: %d zeros, want 256", got)
	}
}

func TestPuzzleValidate(t *testing.T) {
	for _, p := range []Puzzle{{-1, 0}, {0, -1}, {PuzzleBitsLimit + 1, 0}, {0, PuzzleBitsLimit + 1}} {
		if p.Validate() == nil {
			t.Errorf("%+v is valid", p)
		}
		if _, err := Generate(context.Background(), p, GenerateOptions{}); err == nil {
			t.Errorf("Generate(%+v) succeeded", p)
		}
	}
	for _, p := range []Puzzle{{}, DefaultPuzzle, {PuzzleBitsLimit, PuzzleBitsLimit}} {
		if err := p.Validate(); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

// The mean number of tries of a search for 8 bits must be 2^8, within four standard errors: 1,000 searches with geometric
// tries have a standard error of 256/sqrt(1000) = 8.1. The seeds are fixed, so the outcome is too.
func TestPuzzleMeanTries(t *testing.T) {
	const searches, bits = 1000, 8
	total := uint64(0)
	for n := range searches {
		id := ID(blake2b.Sum256([]byte{byte(n), byte(n >> 8)}))
		free := uint64(1)
		for dynamicZeros(&id, free) < bits {
			free++
		}
		total += free
	}
	mean, want := float64(total)/searches, math.Exp2(bits)
	if se := want / math.Sqrt(searches); math.Abs(mean-want) > 4*se {
		t.Errorf("mean of %d searches: %.1f tries, want %.0f +- %.1f", searches, mean, want, 4*se)
	}
}

func TestPuzzleCheckAllocs(t *testing.T) {
	id := generate(t, 1, smallPuzzle)
	if n := testing.AllocsPerRun(100, func() {
		if smallPuzzle.Check(id.PublicKey(), id.Solution()) != nil {
			t.Fatal("not solved")
		}
	}); n != 0 {
		t.Errorf("Check allocates %v times, promised 0", n)
	}
}

func BenchmarkPuzzleCheck(b *testing.B) {
	id := generate(b, 1, smallPuzzle)
	key, x := id.PublicKey(), id.Solution()
	b.ReportAllocs()
	for b.Loop() {
		if smallPuzzle.Check(key, x) != nil {
			b.Fatal("not solved")
		}
	}
}
