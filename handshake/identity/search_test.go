package identity

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"
)

// The same randomness gives the same identity, however many workers search.
func TestGenerateDoesNotDependOnWorkers(t *testing.T) {
	p := Puzzle{StaticBits: 7, DynamicBits: 9}
	for number := range byte(4) {
		var want *Identity
		for _, workers := range []int{1, 2, 3, 7, 0, 1 << 20} {
			id, err := Generate(context.Background(), p, GenerateOptions{Workers: workers, Rand: bytes.NewReader(bytes.Repeat([]byte{number}, 32))})
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Check(id.PublicKey(), id.Solution()); err != nil {
				t.Fatalf("%d workers found what is none: %v", workers, err)
			}
			if want == nil {
				want = id
			}
			if id.ID() != want.ID() || id.Solution() != want.Solution() || id.StaticKey() != want.StaticKey() {
				t.Errorf("%d workers: %s, one worker: %s", workers, id.ID().Short(), want.ID().Short())
			}
		}
	}
}

// The search gives the smallest number that fits, for any number of workers, and none below the limit that it leaves out.
func TestSearchFindsTheSmallest(t *testing.T) {
	for _, workers := range []int{1, 2, 5} {
		for _, target := range []uint64{0, 1, 4, 9, 63} {
			s := search{ctx: context.Background(), opts: GenerateOptions{Workers: workers, TryLimit: 64}, batch: 3}
			got, err := s.run(0, func(i uint64) bool { return i == target || i == target+1 || i == target+7 })
			if err != nil || got != target {
				t.Errorf("%d workers: %d, %v, want %d", workers, got, err, target)
			}
		}
		s := search{ctx: context.Background(), opts: GenerateOptions{Workers: workers, TryLimit: 64}, batch: 3}
		if _, err := s.run(0, func(i uint64) bool { return i == 64 }); !errors.Is(err, ErrTryLimit) {
			t.Errorf("%d workers, fit at the limit: %v, want ErrTryLimit", workers, err)
		}
		if s.done != 64 {
			t.Errorf("%d workers made %d tries, want 64", workers, s.done)
		}
	}
}

func TestGenerateIsRandom(t *testing.T) {
	a, errA := Generate(context.Background(), Puzzle{}, GenerateOptions{})
	b, errB := Generate(context.Background(), Puzzle{}, GenerateOptions{})
	if errA != nil || errB != nil || a.ID() == b.ID() {
		t.Errorf("two new identities: %v, %v, same %v", errA, errB, a.ID() == b.ID())
	}
}

func TestGenerateTryLimit(t *testing.T) {
	for _, p := range []Puzzle{{StaticBits: 40}, {DynamicBits: 40}} {
		_, err := Generate(context.Background(), p, GenerateOptions{TryLimit: 50})
		if !errors.Is(err, ErrTryLimit) {
			t.Errorf("%+v: %v, want ErrTryLimit", p, err)
		}
	}
}

// A search that would take years must end with its context; goleak sees to it that its workers do too.
func TestGenerateCancelled(t *testing.T) {
	for _, p := range []Puzzle{{StaticBits: 40}, {DynamicBits: 40}} {
		ctx, cancel := context.WithCancel(context.Background())
		_, err := Generate(ctx, p, GenerateOptions{Progress: func(uint64) { cancel() }})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%+v: %v, want context.Canceled", p, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Generate(ctx, DefaultPuzzle, GenerateOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v, want context.Canceled", err)
	}
}

// Progress rises, is told on the caller's goroutine, and never counts more than was allowed.
func TestProgress(t *testing.T) {
	const limit = 4 * hashBatch
	own := goroutine()
	var told []uint64
	_, err := Generate(context.Background(), Puzzle{DynamicBits: 40}, GenerateOptions{
		TryLimit: limit,
		Progress: func(n uint64) {
			told = append(told, n)
			if goroutine() != own {
				t.Error("told on another goroutine")
			}
		},
	})
	if !errors.Is(err, ErrTryLimit) || len(told) == 0 {
		t.Fatalf("%v after %d reports", err, len(told))
	}
	last := uint64(0)
	for _, n := range told {
		if n < last || n > limit+uint64(runtime.NumCPU()) { // each worker counts the try that it is told to stop before
			t.Errorf("reports %v do not rise to %d", told, limit)
		}
		last = n
	}
}

func goroutine() string {
	b := make([]byte, 64)
	head, _, _ := strings.Cut(string(b[:runtime.Stack(b, false)]), "[")
	return head
}

func TestGenerateWithoutRandomness(t *testing.T) {
	if _, err := Generate(context.Background(), Puzzle{}, GenerateOptions{Rand: bytes.NewReader(make([]byte, 31))}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("31 bytes: %v, want io.ErrUnexpectedEOF", err)
	}
}

func TestSolve(t *testing.T) {
	low, high := Puzzle{DynamicBits: 4}, Puzzle{DynamicBits: 12}
	id := generate(t, 1, low)
	if got, err := id.Solve(context.Background(), low, GenerateOptions{}); err != nil || got != id {
		t.Errorf("already solved: %v, another object %v", err, got != id)
	}
	got, err := id.Solve(context.Background(), high, GenerateOptions{})
	if err != nil || high.Check(got.PublicKey(), got.Solution()) != nil {
		t.Fatalf("raised puzzle: %v", err)
	}
	if got.ID() != id.ID() || got.StaticKey() != id.StaticKey() || id.Solution() == got.Solution() || low.Check(id.PublicKey(), id.Solution()) != nil {
		t.Error("solving changed more than the solution, or changed the old identity")
	}
	if _, err := id.Solve(context.Background(), Puzzle{StaticBits: staticZeros(id.ID()) + 1}, GenerateOptions{}); !errors.Is(err, ErrPuzzle) {
		t.Errorf("static puzzle too hard for this key: %v, want ErrPuzzle", err)
	}
	if _, err := id.Solve(context.Background(), Puzzle{DynamicBits: 99}, GenerateOptions{}); err == nil {
		t.Error("99 bits are valid")
	}
}

// The default bound must be 64 times the mean, and fit, for all allowed puzzles.
func TestDefaultTryLimitFits(t *testing.T) {
	if limit := math.Exp2(PuzzleBitsLimit + tryMargin); limit >= math.MaxUint64 || limit != 64*math.Exp2(PuzzleBitsLimit) {
		t.Errorf("limit %g", limit)
	}
}

func BenchmarkGenerate(b *testing.B) {
	for _, p := range []Puzzle{{}, {StaticBits: 8}, {DynamicBits: 12}} {
		b.Run(fmt.Sprintf("c1=%d/c2=%d", p.StaticBits, p.DynamicBits), func(b *testing.B) {
			for b.Loop() {
				if _, err := Generate(context.Background(), p, GenerateOptions{Workers: 1}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
