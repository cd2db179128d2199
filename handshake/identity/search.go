package identity

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/blake2b"
)

// ErrTryLimit says that a search has used up its tries.
var ErrTryLimit = errors.New("identity: puzzle search used up its tries")

// candidateDomain separates candidate seeds from other uses of the random bytes they come from.
const candidateDomain = "carrier/1 identity candidate"

// GenerateOptions tunes the search for an identity. The zero value is good.
type GenerateOptions struct {
	// Workers is the number of goroutines that search; 0 means one per core (GOMAXPROCS). The result does not depend on it.
	Workers int

	// Rand gives 32 secret bytes, from which all candidates follow. nil means crypto/rand.
	Rand io.Reader

	// TryLimit bounds each of the two searches; 0 means 64 times the mean. A search that reaches it returns ErrTryLimit.
	TryLimit uint64

	// Progress, if set, is told from time to time how many tries were made so far, in both searches together. It is called
	// on the goroutine that called Generate or Solve, which does not search meanwhile but waits.
	Progress func(tries uint64)
}

// Generate makes a new identity that solves p. The mean cost is 2^c1 keys of 20 us and then 2^c2 hashes of 0.2 us, divided
// by the workers; p99 is 4.6 times the mean. It returns ctx's error if ctx ends first, and leaves no goroutine behind.
func Generate(ctx context.Context, p Puzzle, opts GenerateOptions) (*Identity, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	r := opts.Rand
	if r == nil {
		r = rand.Reader
	}
	var master [32]byte
	defer clear(master[:])
	if _, err := io.ReadFull(r, master[:]); err != nil {
		return nil, fmt.Errorf("identity: reading randomness: %w", err)
	}
	s := search{ctx: ctx, opts: opts, batch: keyBatch}
	i, err := s.run(p.StaticBits, func(i uint64) bool {
		seed := candidate(&master, i)
		var pub PublicKey
		copy(pub[:], ed25519.NewKeyFromSeed(seed[:])[32:])
		return staticZeros(pub.ID()) >= p.StaticBits
	})
	if err != nil {
		return nil, err
	}
	seed := candidate(&master, i)
	defer clear(seed[:])
	return newIdentity(&seed, [32]byte{}).solve(p, &s)
}

// Solve returns the same identity with a solution of the dynamic puzzle of p: for a network that has raised c2, or
// another network. If the identity's solution is already good it returns id itself. ErrPuzzle means that the static
// puzzle is not solved.
func (id *Identity) Solve(ctx context.Context, p Puzzle, opts GenerateOptions) (*Identity, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	return id.solve(p, &search{ctx: ctx, opts: opts})
}

func (id *Identity) solve(p Puzzle, s *search) (*Identity, error) {
	static := Puzzle{StaticBits: p.StaticBits}
	if err := static.Check(id.s().public, [32]byte{}); err != nil {
		return nil, err
	}
	if p.Check(id.s().public, id.s().solution) == nil {
		return id, nil
	}
	s.batch = hashBatch
	self := id.ID()
	i, err := s.run(p.DynamicBits, func(i uint64) bool { return dynamicZeros(&self, i+1) >= p.DynamicBits })
	if err != nil {
		return nil, err
	}
	solved := *id.s()
	solved.solution = solutionOf(i + 1)
	return hide(&solved), nil
}

// candidate derives the i-th candidate seed. Numbering the candidates, instead of reading each from the random source,
// is what makes the result independent of the number of workers, and the source need not be safe for several
// goroutines.
func candidate(master *[32]byte, i uint64) [32]byte {
	var b [len(candidateDomain) + 32 + 8]byte
	n := copy(b[:], candidateDomain)
	n += copy(b[n:], master[:])
	binary.LittleEndian.PutUint64(b[n:], i)
	seed := blake2b.Sum256(b[:])
	clear(b[:])
	return seed
}

// A batch is the number of tries between two looks at the context: some 5 ms, so that cancelling feels immediate and
// looking costs nothing.
const (
	keyBatch  = 1 << 8
	hashBatch = 1 << 15
)

// A search tries the numbers 0, 1, 2, ... on several goroutines and finds the smallest that fits.
type search struct {
	ctx   context.Context
	opts  GenerateOptions
	batch uint64
	done  uint64 // tries of searches before this one, for Progress
}

// run returns the smallest i below the limit for which fits(i). fits is called on several goroutines at once.
func (s *search) run(bits int, fits func(i uint64) bool) (uint64, error) {
	limit := s.opts.TryLimit
	if limit == 0 {
		limit = 1 << (bits + tryMargin)
	}
	var (
		best  atomic.Uint64 // smallest fit so far
		tries atomic.Uint64
		wg    sync.WaitGroup
		beat  = make(chan struct{}, 1)
		over  = make(chan struct{})
	)
	best.Store(math.MaxUint64)
	workers := uint64(s.workers())
	for w := range workers {
		wg.Go(func() {
			// The worker goes on until it has passed the best fit of the others: only then is the smallest known.
			made := uint64(0)
			for i := w; i < min(limit, best.Load()); i += workers {
				made++
				if fits(i) {
					lower(&best, i)
				}
				if made == s.batch {
					tries.Add(made)
					made = 0
					select {
					case beat <- struct{}{}:
					default:
					}
					if s.ctx.Err() != nil {
						break
					}
				}
			}
			tries.Add(made)
		})
	}
	go func() { wg.Wait(); close(over) }()
	for running := true; running; {
		select {
		case <-beat:
			if s.opts.Progress != nil {
				s.opts.Progress(s.done + tries.Load())
			}
		case <-over:
			running = false
		}
	}
	s.done += tries.Load()
	if err := s.ctx.Err(); err != nil {
		return 0, fmt.Errorf("identity: puzzle search: %w", err)
	}
	if best.Load() == math.MaxUint64 {
		return 0, fmt.Errorf("%w: %d tries for %d bits", ErrTryLimit, limit, bits)
	}
	return best.Load(), nil
}

func (s *search) workers() int {
	n := s.opts.Workers
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	return min(n, workerLimit)
}

// lower sets a to i if that is less.
func lower(a *atomic.Uint64, i uint64) {
	for old := a.Load(); i < old && !a.CompareAndSwap(old, i); old = a.Load() {
	}
}
