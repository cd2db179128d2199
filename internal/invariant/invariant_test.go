package invariant_test

import (
	"bytes"
	"testing"

	"github.com/carrier-p2p/carrier/internal/invariant"
)

// caught runs f and returns what it panicked with, or nil.
func caught(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}

func TestBugAlwaysPanics(t *testing.T) {
	got := caught(func() { invariant.Bug("framing: bug: %d fragments of %s", 9, "nothing") })
	want := invariant.Violation("framing: bug: 9 fragments of nothing")
	if got != want {
		t.Errorf("panicked with %#v, want %#v", got, want)
	}
	if err, ok := got.(error); !ok || err.Error() != string(want) {
		t.Errorf("the panic value is no error with its message: %#v", got)
	}
}

func TestCheckOnlyInCheckedBuilds(t *testing.T) {
	if got := caught(func() { invariant.Check(true, "x: bug: true is false") }); got != nil {
		t.Errorf("Check(true) panicked with %v", got)
	}
	got := caught(func() { invariant.Check(false, "x: bug: known false") })
	if invariant.Enabled && got != invariant.Violation("x: bug: known false") {
		t.Errorf("checked build: Check(false) panicked with %#v", got)
	}
	if !invariant.Enabled && got != nil {
		t.Errorf("normal build: Check(false) panicked with %#v", got)
	}
}

func TestSpoilOnlyInCheckedBuilds(t *testing.T) {
	b := []byte("kept too long")
	invariant.Spoil(b[:4])
	want := []byte("kept too long")
	if invariant.Enabled {
		copy(want, []byte{invariant.Spoiled, invariant.Spoiled, invariant.Spoiled, invariant.Spoiled})
	}
	if !bytes.Equal(b, want) {
		t.Errorf("after Spoil of 4 bytes: % x, want % x", b, want)
	}
}

func TestCheckCostsNothing(t *testing.T) {
	buf := make([]byte, 64)
	n := testing.AllocsPerRun(100, func() {
		invariant.Check(len(buf) == 64, "x: bug: length")
		invariant.Spoil(buf)
	})
	if n != 0 {
		t.Errorf("%v allocations, promised 0", n)
	}
}
